// `show crypto isakmp sa`, `show crypto ipsec sa`, `show crypto engine configuration` and `show crypto engine
// connections dropped-packet` as IOS lays them out, from the daemon's JSON. Lines IOS has about things
// oakgate does not have (interfaces' MTU, compression, slots) are left out.
#pragma once

#include <string>
#include <string_view>

#include "daemon/control_protocol.h"

namespace oakgate::cli {

// The configuration's words for transforms as IOS shows them: "esp-256-aes esp-sha-hmac".
[[nodiscard]] std::string ios_transform(std::string_view words);
[[nodiscard]] std::string ios_isakmp_sa(const Json& result);
[[nodiscard]] std::string ios_ipsec_sa(const Json& result);
[[nodiscard]] std::string ios_crypto_engine(const Json& result);
// IOS's line, and behind it what its counter does not tell: the reasons, those that occurred.
[[nodiscard]] std::string ios_dropped_packets(const Json& result);

}  // namespace oakgate::cli
