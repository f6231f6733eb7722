// The software data plane, for kernels without ESP: a TUN device on the inner side, raw protocol-50 and -51
// sockets and the daemon's UDP 4500 sockets on the outer side, worker threads between them (RFC 4301, 4302,
// 4303, 3948, 6479, 6040).
//
// The contract is ike/ports/data_plane.h. AH and transport mode in UDP are refused with
// ErrorCode::unsupported. Beyond the contract: a packet that meets a policy with `acquire` and no SA waits
// (16 a reqid, 10 s) for the SA.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "ike/ports/data_plane.h"
#include "xfrm/netlink/guard.h"

namespace oakgate {

struct SoftConfig {
  std::string device_prefix = "oakgate";  // the device takes the first free number: "oakgate0"
  // Of the TUN device, so of the inner packets. 1400 leaves room for the usual ESP and UDP headers on a
  // 1500-byte path; where a path has less, ICMP "too big" tells the sender, from the path MTU of the very SA.
  std::uint16_t mtu = 1400;
  // Threads that carry packets, 1 to 64; none: by the processors that this process may use.
  std::optional<unsigned> workers{};
  InboundDrop inbound_drop = InboundDrop::xfrm;  // the best there may be; nftables: as if there were no XFRM
};

// Needs CAP_NET_ADMIN and CAP_NET_RAW, now and as long as it lives: routes and policies come and go with
// protect(). ErrorCode::not_found: no TUN device; ErrorCode::not_permitted: privileges.
[[nodiscard]] Result<std::unique_ptr<DataPlane>> make_soft_data_plane(const SoftConfig& config = {});

}  // namespace oakgate
