// `show crypto isakmp sa`, `show crypto ipsec sa` and `show crypto engine configuration` as IOS lays them
// out, from the daemon's JSON. Lines IOS has about things oakgate does not have (interfaces' MTU,
// compression, slots) are left out.
#pragma once

#include <string>

#include "daemon/control_protocol.h"

namespace oakgate::cli {

[[nodiscard]] std::string ios_isakmp_sa(const Json& result);
[[nodiscard]] std::string ios_ipsec_sa(const Json& result);
[[nodiscard]] std::string ios_crypto_engine(const Json& result);

}  // namespace oakgate::cli
