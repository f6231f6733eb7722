// Fuzz target: what a packet filter's listing says about IKE and IPsec, as nft and as iptables write it.
// Whatever it is, there is a verdict, and the same one each time.
#include <netinet/in.h>

#include <string_view>

#include "daemon/probe/firewall.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace oakgate;
  using namespace oakgate::probe;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const bool inbound : {true, false}) {
    for (const std::uint8_t protocol : {IPPROTO_UDP, IPPROTO_ESP}) {
      const Traffic traffic{inbound ? Family::ipv4 : Family::ipv6, inbound, protocol,
                            static_cast<std::uint16_t>(protocol == IPPROTO_UDP ? 500 : 0)};
      if (judge_nftables(text, traffic) != judge_nftables(text, traffic)) __builtin_trap();
      if (judge_iptables(text, traffic) != judge_iptables(text, traffic)) __builtin_trap();
    }
  }
  return 0;
}
