#include "xfrm/netlink/guard_plan.h"

#include <netinet/in.h>

#include <algorithm>
#include <array>

namespace oakgate {

namespace {

constexpr std::uint32_t kPriorityFirst = 0x800;  // before every selector's
constexpr std::uint32_t kPriorityLast = 0x4000;  // behind them
constexpr std::uint32_t kMetricOfExemption = 50;

bool contains_any(const Subnet& network, std::span<const IpAddress> addresses) {
  return std::any_of(addresses.begin(), addresses.end(),
                     [&](const IpAddress& address) { return network.contains(address); });
}

XfrmPolicy allow(PolicyDirection direction, const Selector& source, const Selector& destination,
                 std::uint32_t priority) {
  XfrmPolicy policy;
  policy.direction = direction;
  policy.source = source;
  policy.destination = destination;
  policy.priority = priority;
  return policy;
}

}  // namespace

bool overlaps(const Subnet& a, const Subnet& b) {
  return a.contains(b) || b.contains(a);
}

bool strictly_contains(const Subnet& outer, const Subnet& inner) {
  return outer.prefix() < inner.prefix() && outer.contains(inner);
}

std::optional<IpAddress> source_within(const Subnet& local, const IpAddress& gateway,
                                       std::span<const LocalAddress> addresses) {
  std::optional<IpAddress> found;
  for (const LocalAddress& own : addresses) {
    if (!own.usable || own.host_scope || own.link_scope || !local.contains(own.address)) continue;
    const bool better = !found || *found == gateway || (own.address < *found && own.address != gateway);
    if (better) found = own.address;
  }
  return found;
}

std::vector<Subnet> connected_networks(std::span<const LocalAddress> addresses) {
  std::vector<Subnet> found;
  for (const LocalAddress& own : addresses) {
    if (own.host_scope || own.prefix >= own.address.bits()) continue;
    found.emplace_back(own.address, own.prefix);
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

bool is_wide(const Subnet& remote, std::span<const LocalAddress> addresses) {
  if (remote.prefix() == 0) return true;
  const auto networks = connected_networks(addresses);
  return std::any_of(networks.begin(), networks.end(),
                     [&](const Subnet& network) { return overlaps(remote, network); });
}

std::vector<Subnet> own_lan_networks(std::span<const Subnet> locals, std::span<const IpAddress> gateways,
                                     std::span<const LocalAddress> addresses) {
  std::vector<Subnet> found = connected_networks(addresses);
  std::erase_if(found, [&](const Subnet& network) {
    return std::none_of(locals.begin(), locals.end(), [&](const Subnet& local) {
      if (local.prefix() == 0) return false;  // "everything" says nothing about where the LAN is
      return local.contains(network) || (network.contains(local) && !contains_any(network, gateways));
    });
  });
  return found;
}

std::span<const Subnet> link_networks() {
  static const auto networks = std::to_array<Subnet>({
      *Subnet::parse("255.255.255.255/32"),
      *Subnet::parse("224.0.0.0/24"),
      *Subnet::parse("169.254.0.0/16"),
      *Subnet::parse("ff02::/16"),
      *Subnet::parse("fe80::/10"),
  });
  return networks;
}

std::vector<Route> pair_routes(const Subnet& remote, const PairRouting& routing) {
  std::vector<Route> routes;
  const auto add = [&](std::uint32_t table, const std::optional<IpAddress>& source) {
    Route behind;
    behind.destination = remote;
    behind.type = RouteType::unreachable;
    behind.table = table;
    behind.metric = kUnreachableMetric;
    routes.push_back(behind);  // first: there is no moment with the other one alone
    if (!routing.device) return;
    Route route;
    route.destination = remote;
    route.table = table;
    route.metric = kGuardMetric;
    route.ifindex = *routing.device;
    route.preferred_source = source;
    routes.push_back(route);
  };
  add(routing.table, {});
  if (routing.source) add(kRouteTable, routing.source);
  return routes;
}

Route exemption_route(std::uint32_t table, const Subnet& network) {
  Route route;
  route.destination = network;
  route.type = RouteType::throw_out;
  route.table = table;
  route.metric = kMetricOfExemption;
  return route;
}

std::vector<Rule> frame_rules(Family family) {
  Rule end;
  end.family = family;
  end.priority = kRuleEnd;
  end.action = RuleAction::nothing;
  Rule skip;
  skip.family = family;
  skip.priority = kRuleSkipMarked;
  skip.action = RuleAction::go_to;
  skip.target = kRuleEnd;
  skip.mark = kBypassMark;
  skip.mark_mask = kBypassMarkMask;
  Rule source;
  source.family = family;
  source.priority = kRuleSource;
  source.target = kRouteTable;
  source.local_only = true;
  // IPv6 has no match for "no source address yet": there the suggestion's table serves every packet of this
  // host that the rules before it left.
  if (family == Family::ipv4) source.from = Subnet::host(IpAddress::any(family));
  return {end, skip, source};
}

Rule table_rule(const Subnet& local, std::uint8_t protocol, std::uint32_t table) {
  Rule rule;
  rule.family = local.family();
  rule.priority = kRuleProtected;
  rule.target = table;
  if (local.prefix() != 0) rule.from = local;
  rule.ip_protocol = protocol;
  return rule;
}

std::vector<XfrmPolicy> pair_policies(const ProtectPolicy& policy, bool software, unsigned offload_ifindex) {
  const IpAddress& ours = policy.local_gateway;
  const IpAddress theirs = policy.remote_gateway.value_or(IpAddress::any(ours.family()));
  std::vector<XfrmPolicy> policies;
  const auto tie = [&](XfrmPolicy& one) {
    one.mark = policy.ties.mark;
    one.if_id = policy.ties.if_id();
    one.offload_ifindex = offload_ifindex;
  };
  for (const auto& [local, remote] : policy.selectors.subnet_pairs()) {
    for (const auto direction : {PolicyDirection::in, PolicyDirection::forward}) {
      XfrmPolicy inbound = allow(direction, remote, local, policy_priority(remote, local, false));
      if (software) inbound.action = PolicyAction::block;
      inbound.sa =
          PolicyTemplate{theirs, ours, policy.reqid, policy.protection, policy.mode, policy.compression};
      tie(inbound);
      policies.push_back(inbound);
    }
    if (software) continue;
    XfrmPolicy outbound = allow(PolicyDirection::out, local, remote, policy_priority(local, remote, false));
    outbound.sa =
        PolicyTemplate{ours, theirs, policy.reqid, policy.protection, policy.mode, policy.compression};
    tie(outbound);
    policies.push_back(outbound);
  }
  return policies;
}

std::vector<XfrmPolicy> fragment_policies(const ProtectPolicy& pair, bool software) {
  const SelectorPair& selectors = pair.selectors;
  if (selectors.local.port == 0 && selectors.remote.port == 0) return {};
  std::vector<XfrmPolicy> policies;
  for (auto [local, remote] : selectors.subnet_pairs()) {
    local.port = remote.port = 0;
    policies.push_back(allow(PolicyDirection::forward, remote, local, kPriorityLast));
    if (!software) policies.push_back(allow(PolicyDirection::out, local, remote, kPriorityLast));
  }
  for (XfrmPolicy& policy : policies) {
    policy.action = PolicyAction::block;
    policy.fragments = true;
    policy.mark = pair.ties.mark;
    policy.if_id = pair.ties.if_id();
  }
  return policies;
}

std::vector<XfrmPolicy> exemption_policies(const Subnet& local, const Subnet& network, bool software) {
  const Selector here{local};
  const Selector there{network};
  std::vector<XfrmPolicy> policies;
  for (const auto direction : {PolicyDirection::in, PolicyDirection::forward}) {
    policies.push_back(allow(direction, there, here, policy_priority(there, here, true)));
  }
  if (!software) {
    policies.push_back(allow(PolicyDirection::out, here, there, policy_priority(here, there, true)));
  }
  return policies;
}

std::vector<XfrmPolicy> neighbor_discovery_policies() {
  std::vector<XfrmPolicy> policies;
  for (std::uint16_t type = 133; type <= 136;
       ++type) {  // RFC 4861 section 4: solicitations and advertisements
    const Selector from{Subnet::any(Family::ipv6), IPPROTO_ICMPV6, type};
    const Selector to{Subnet::any(Family::ipv6), IPPROTO_ICMPV6, 0};
    for (const auto direction : {PolicyDirection::in, PolicyDirection::out}) {
      policies.push_back(allow(direction, from, to, kPriorityFirst));
    }
  }
  return policies;
}

}  // namespace oakgate
