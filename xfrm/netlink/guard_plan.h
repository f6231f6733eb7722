// What the guard wants in the kernel, computed from plain values: no system call, no state. guard.h has the
// why.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "ike/ports/data_plane.h"
#include "xfrm/netlink/address_monitor.h"
#include "xfrm/netlink/routes.h"
#include "xfrm/netlink/xfrm_policy.h"

namespace oakgate {

inline constexpr std::uint32_t kGuardMetric = 100;
inline constexpr std::uint32_t kUnreachableMetric = 65535;

[[nodiscard]] bool overlaps(const Subnet& a, const Subnet& b);
[[nodiscard]] bool strictly_contains(const Subnet& outer, const Subnet& inner);

// The address of this gateway that lies within `local`, for traffic of its own: not the outer one if there is
// a choice; of several the lowest.
[[nodiscard]] std::optional<IpAddress> source_within(const Subnet& local, const IpAddress& gateway,
                                                     std::span<const LocalAddress> addresses);

// The networks this gateway stands in by its own addresses; host routes and host scope left out.
[[nodiscard]] std::vector<Subnet> connected_networks(std::span<const LocalAddress> addresses);

// Whether a remote subnet is `wide`: everything, or overlapping a network we stand in. No source address is
// then suggested for traffic of our own: it would divert more than the operator meant.
[[nodiscard]] bool is_wide(const Subnet& remote, std::span<const LocalAddress> addresses);

// Of the connected networks, those of the LAN side: within a protected local subnet, or around one and not
// the outer network.
[[nodiscard]] std::vector<Subnet> own_lan_networks(std::span<const Subnet> locals,
                                                   std::span<const IpAddress> gateways,
                                                   std::span<const LocalAddress> addresses);
// What never leaves the link, whatever the selectors say: multicast and broadcast of the link, link-local
// addresses.
[[nodiscard]] std::span<const Subnet> link_networks();

// How the guard reaches its pairs: `tables` of the pair, the device its packets are routed to (none:
// unreachable for now), and the source address suggested (none: no suggestion).
struct PairRouting {
  std::uint32_t table = 0;
  std::optional<unsigned> device;
  std::optional<IpAddress> source;
};
[[nodiscard]] std::vector<Route> pair_routes(const Subnet& remote, const PairRouting& routing);
[[nodiscard]] Route exemption_route(std::uint32_t table, const Subnet& network);
// The rules beside those of the tables, in the order they must be added.
[[nodiscard]] std::vector<Rule> frame_rules(Family family);
[[nodiscard]] Rule table_rule(const Subnet& local, std::uint8_t protocol, std::uint32_t table);

// The pair's policies: templates on the kernel plane, blocks on the software plane. For ranges one of each
// for each pair of subnets, all of the pair's reqid. `offload_ifindex`: the device that does all of IPsec.
[[nodiscard]] std::vector<XfrmPolicy> pair_policies(const ProtectPolicy& policy, bool software,
                                                    unsigned offload_ifindex = 0);
// Fragments show no ports, so a policy with ports misses them: unless a wider pair protects them they stop
// here. Several pairs may share them; empty for selectors without ports.
[[nodiscard]] std::vector<XfrmPolicy> fragment_policies(const ProtectPolicy& pair, bool software);
// Between a protected local subnet and one of our own networks. Without indices: the guard numbers them.
[[nodiscard]] std::vector<XfrmPolicy> exemption_policies(const Subnet& local, const Subnet& network,
                                                         bool software);
// Neighbor Discovery (RFC 4861): without it no IPv6 packet, protected or not, finds its next hop.
[[nodiscard]] std::vector<XfrmPolicy> neighbor_discovery_policies();

}  // namespace oakgate
