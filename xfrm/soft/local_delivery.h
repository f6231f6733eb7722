// Lets IPv6 packets out of tunnels reach this host itself, past the inbound policies that block plaintext.
//
// disable_policy on the TUN does not do it: for packets to this host IPv6 looks at that setting of the device
// that has the address (Linux 6.1 to 6.18), and an XFRM selector's device is the outgoing one. So an nftables
// rule marks what comes from the TUN to this host, in the input hook, and a policy allows what is marked:
//
//   table ip6 oakgate0 { chain input { type filter hook input priority raw; iifname "oakgate0" meta mark set
//   0x6f620001 } } XFRM policy in, ::/0 to ::/0, mark 0x6f620001, allow
//
// Both are harmless when they outlive the device; the next start replaces them.
#pragma once

#include <string>

#include "ike/base/result.h"

namespace oakgate::soft {

inline constexpr std::uint32_t kFromTunnelMark =
    0x6f62'0001;  // outside kBypassMark's range (xfrm/netlink/routes.h)

// `device` is the TUN's name. Adds or replaces.
[[nodiscard]] Result<void> allow_local_delivery(const std::string& device);
// Takes both away; what is not there is no error.
void disallow_local_delivery(const std::string& device);

}  // namespace oakgate::soft
