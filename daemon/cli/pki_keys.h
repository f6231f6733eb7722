// `oakgate pki generate-key | show key | show keys | zeroize`: private keys of ours. No private part is ever
// printed.
#pragma once

#include "daemon/cli/pki.h"

namespace oakgate::cli {

[[nodiscard]] Outcome<Json> generate_key(const PkiContext& context);
[[nodiscard]] Outcome<Json> zeroize(const PkiContext& context);
[[nodiscard]] Outcome<Json> show_key(const PkiContext& context);
[[nodiscard]] Outcome<Json> show_keys(const PkiContext& context);
// As `show crypto key mypubkey rsa` of IOS.
[[nodiscard]] std::string ios_keys(const Json& result);

}  // namespace oakgate::cli
