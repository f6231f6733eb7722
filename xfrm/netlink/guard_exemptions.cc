// What wide remote subnets do not take: our own networks, the link's, Neighbor Discovery, and the peers
// themselves.

#include <algorithm>

#include "xfrm/netlink/guard_state.h"

namespace oakgate {

namespace {

constexpr std::uint32_t kReqidOfExemptions = 0;  // owns the routes that no single pair owns; no pair has it

std::set<Subnet> subnets_of(const Selector& side) {
  const std::vector<Subnet> subnets = side.subnets();
  return {subnets.begin(), subnets.end()};
}

std::set<XfrmPolicy> as_set(const std::vector<XfrmPolicy>& policies) {
  return {policies.begin(), policies.end()};
}

}  // namespace

std::vector<Subnet> Guard::State::find_own_networks() {
  std::set<Subnet> locals;
  std::set<IpAddress> ours;
  for (const auto& [reqid, pair] : pairs) {
    locals.merge(subnets_of(pair.policy.selectors.local));
    ours.insert(pair.policy.local_gateway);
  }
  const std::vector<Subnet> local_list(locals.begin(), locals.end());
  const std::vector<IpAddress> gateway_list(ours.begin(), ours.end());
  looks_for_peers = false;
  std::vector<Subnet> found = own_lan_networks(local_list, gateway_list, monitor->addresses());
  // A local subnet behind an inner router: it has a route of its own that does not lead outside.
  for (const Subnet& local : locals) {
    if (local.prefix() == 0 || std::find(found.begin(), found.end(), local) != found.end()) continue;
    const auto route = routing.match(local.last(), kBypassMark);
    if (!route && route.error().code != ErrorCode::not_found) look_later();
    if (!route || route->type != RouteType::unicast || route->destination.prefix() == 0) continue;
    looks_for_peers = true;
    if (!leads_outside(route->ifindex)) found.push_back(local);
  }
  return found;
}

// Whether some peer is reached through the device.
bool Guard::State::leads_outside(unsigned ifindex) {
  for (auto peer = peers.begin(); peer != peers.end(); peer = peers.upper_bound(*peer)) {
    if (device_towards(*peer) == ifindex) return true;
  }
  return false;
}

void Guard::State::count(const ProtectPolicy& policy, bool add) {
  if (policy.ties.steered()) return;  // it has no routes that others had to be exempt from
  for (const Subnet& remote : policy.selectors.remote.subnets()) {
    if (add) {
      remotes.add(remote);
    } else {
      remotes.remove(remote);
    }
  }
  if (!policy.local_gateway.is_any()) {
    if (add) {
      ++gateways[policy.local_gateway];
    } else if (const auto own = gateways.find(policy.local_gateway);
               own != gateways.end() && --own->second == 0) {
      gateways.erase(own);
    }
  }
  if (!policy.remote_gateway) return;
  if (add) {
    peers.insert(*policy.remote_gateway);
  } else if (const auto found = peers.find(*policy.remote_gateway); found != peers.end()) {
    peers.erase(found);
  }
}

bool Guard::State::holds_peer(const Subnet& remote) const {
  const auto first = peers.lower_bound(remote.address());
  return first != peers.end() && remote.contains(*first) && !remote.is_host();
}

// Whether a pair that comes or goes can change an exemption. Most cannot, and thousands of them are quickly
// done.
bool Guard::State::concerns_exemptions(const ProtectPolicy& policy) const {
  if (!fragment_policies(policy, software()).empty() || !wide.empty()) return true;
  if (policy.ties.steered()) return false;
  for (const Subnet& remote : policy.selectors.remote.subnets()) {
    const auto within = [&](const Subnet& network) { return strictly_contains(remote, network); };
    if (holds_peer(remote) || std::any_of(exempt.begin(), exempt.end(), within)) return true;
  }
  // A peer that is new may stand in another pair's remote subnet.
  return policy.remote_gateway && peers.count(*policy.remote_gateway) <= 1 &&
         remotes.hold(*policy.remote_gateway);
}

// The same for one that changes. Most often it is its peer alone, whose address comes to be known.
bool Guard::State::concerns_exemptions(const ProtectPolicy& before, const ProtectPolicy& now) const {
  if (before.selectors != now.selectors) return true;
  // Whether a network is ours depends on which addresses are gateways: one is new, or gone.
  const auto now_there = gateways.find(now.local_gateway);
  const bool fresh = now_there != gateways.end() && now_there->second == 1;
  const bool gone = !before.local_gateway.is_any() && !gateways.contains(before.local_gateway);
  if (before.local_gateway != now.local_gateway && (fresh || gone)) return true;
  if (looks_for_peers && before.remote_gateway != now.remote_gateway) return true;
  return concerns_exemptions(before);
}

// What one subnet of a pair's remote side leaves out.
void Guard::State::plan_exemptions(Reqid reqid, const Subnet& remote, std::span<const GuardTableKey> locals,
                                   std::set<XfrmPolicy>& policies, std::set<Route>& wanted) {
  for (const Subnet& network : exempt) {
    if (!strictly_contains(remote, network)) continue;
    wide.insert(reqid);
    for (const GuardTableKey& key : locals) {
      wanted.insert(exemption_route(table_for(key), network));
      policies.merge(as_set(exemption_policies(key.local, network, software())));
    }
  }
  if (!holds_peer(remote)) return;
  wide.insert(reqid);
  if (software()) return;  // the mark on the sockets is enough, and the peer's other traffic is protected
  for (auto peer = peers.lower_bound(remote.address()); peer != peers.end() && remote.contains(*peer);
       ++peer) {
    for (const GuardTableKey& key : locals)
      wanted.insert(exemption_route(table_for(key), Subnet::host(*peer)));
    wanted.insert(exemption_route(kRouteTable, Subnet::host(*peer)));
  }
}

Result<void> Guard::State::mend_exemptions() {
  exempt = find_own_networks();
  exempt.insert(exempt.end(), link_networks().begin(), link_networks().end());
  wide.clear();
  std::set<XfrmPolicy> policies;
  std::set<Route> wanted;
  bool ipv6 = false;
  for (const auto& [reqid, pair] : pairs) {
    const Selector& side = pair.policy.selectors.remote;
    policies.merge(as_set(fragment_policies(pair.policy, software())));
    ipv6 = ipv6 || side.family() == Family::ipv6;
    if (pair.policy.ties.steered()) continue;
    for (const Subnet& remote : side.subnets())
      plan_exemptions(reqid, remote, pair.table_keys, policies, wanted);
  }
  if (ipv6) policies.merge(as_set(neighbor_discovery_policies()));
  // A pair with the very selectors of an exemption protects them.
  std::erase_if(policies, [&](const XfrmPolicy& policy) {
    XfrmPolicy key = policy.key();
    key.fragments = false;
    return claims.contains(key);
  });
  FirstError errors;
  errors.note(set_standing(policies));
  for (const Route& route : wanted) errors.note(want(kReqidOfExemptions, route));
  for (const Route& route : throws) {
    if (!wanted.contains(route)) errors.note(unwant(kReqidOfExemptions, route));
  }
  throws.assign(wanted.begin(), wanted.end());
  return std::move(errors).result();
}

}  // namespace oakgate
