// From which prefix lengths on the kernel finds a policy by its hash table. By default it takes only pairs of
// hosts; all others go into trees that it walks as a whole whenever one is added or removed: a thousand
// policies a second at 1,000 of them, ten at 100,000.
#pragma once

#include <cstdint>

#include "xfrm/netlink/netlink_socket.h"

namespace oakgate {

// `local` and `remote` as seen by outbound traffic.
struct HashThreshold {
  std::uint8_t local = 0;
  std::uint8_t remote = 0;
  friend bool operator==(const HashThreshold&, const HashThreshold&) = default;
};
struct PolicyHash {
  HashThreshold ipv4;
  HashThreshold ipv6;
  friend bool operator==(const PolicyHash&, const PolicyHash&) = default;
};
inline constexpr PolicyHash kKernelsPolicyHash{{32, 32}, {128, 128}};
// Remote networks of /24, or /56, and narrower, whatever the local one: of those that share such a prefix the
// kernel looks at one after the other.
inline constexpr PolicyHash kManyPairsPolicyHash{{0, 24}, {0, 56}};

[[nodiscard]] NetlinkMessage policy_hash_message(const PolicyHash& hash);
[[nodiscard]] Result<PolicyHash> policy_hash(NetlinkSocket& xfrm);
// The kernel sorts its policies anew, in the background.
[[nodiscard]] Result<void> set_policy_hash(NetlinkSocket& xfrm, const PolicyHash& hash);

}  // namespace oakgate
