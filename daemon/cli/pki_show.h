// `oakgate pki show certificates | crls | trustpoints`: what stands in the files and in the daemon's cache,
// as IOS prints it. Nothing here is secret.
#pragma once

#include <memory>

#include "daemon/cli/pki.h"
#include "pki/trust_store.h"

namespace oakgate::cli {

// The files of the configuration and the cache of its state folder, read anew.
[[nodiscard]] Outcome<std::unique_ptr<pki::TrustStore>> open_store(const PkiContext& context);

[[nodiscard]] Outcome<Json> show_certificates(const PkiContext& context);
[[nodiscard]] Outcome<Json> show_crls(const PkiContext& context);
[[nodiscard]] Outcome<Json> show_trustpoints(const PkiContext& context);
// As `show crypto ca certificates`, `show crypto ca crls` and `show crypto ca trustpoints` of IOS.
[[nodiscard]] std::string ios_certificates(const Json& result);
[[nodiscard]] std::string ios_crls(const Json& result);
[[nodiscard]] std::string ios_trustpoints(const Json& result);

}  // namespace oakgate::cli
