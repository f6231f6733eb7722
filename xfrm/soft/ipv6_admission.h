// Lets IPv6 packets out of tunnels past the inbound policies that block plaintext, where the TUN's settings
// do not.
//
// disable_policy on the TUN is enough for forwarded packets, if /proc/sys can be written. For packets to this
// host IPv6 looks at that setting of the device that has the address (Linux 6.1 to 6.18), and an XFRM
// selector's device is the outgoing one. So an nftables rule marks what comes from the TUN, and policies
// allow what is marked:
//
//   table ip6 oakgate0 { chain mark { type filter hook input priority raw;
//                                     iifname "oakgate0" meta mark set 0x6f620001 } }
//   XFRM policy in (and forward), ::/0 to ::/0, mark 0x6f620001, allow
//
// The hook is prerouting where forwarded packets need it, too. All of it is harmless when it outlives the
// device; the next start replaces it.
#pragma once

#include <cstdint>
#include <string>

#include "ike/base/result.h"

namespace oakgate::soft {

inline constexpr std::uint32_t kFromTunnelMark =
    0x6f62'0001;  // outside kBypassMark's range (xfrm/netlink/routes.h)

enum class Admission : std::uint8_t { to_this_host, everywhere };

// `device` is the TUN's name. Adds or replaces.
[[nodiscard]] Result<void> admit_ipv6(const std::string& device, Admission admission);
// Takes it away; what is not there is no error.
void withdraw_ipv6(const std::string& device);

}  // namespace oakgate::soft
