// `show crypto key pubkey-chain rsa`: the peers' public keys of the configuration, as IOS prints them.
#pragma once

#include "daemon/cli/pki.h"

namespace oakgate::cli {

// All, one by its name, or those of the peers at an address. A key that is named and not there is
// Exit::not_found.
[[nodiscard]] Outcome<Json> show_pubkey_chain(const PkiContext& context);
[[nodiscard]] std::string ios_pubkey_chain(const Json& result);

}  // namespace oakgate::cli
