// The guard's routes, rules and tables.

#include <algorithm>
#include <utility>

#include <linux/rtnetlink.h>

#include "xfrm/netlink/guard_state.h"

namespace oakgate {

Result<void> Guard::State::want(std::uint32_t owner, const Route& route) {
  GuardRoute& entry = routes[key_of(route)];
  const std::optional<Route> before = entry.owners.empty() ? std::nullopt : std::optional(entry.wanted());
  entry.owners[owner] = route;
  if (before == entry.wanted() && entry.placed) return {};
  if (before && before != entry.wanted() && entry.placed) leftover_routes.emplace(key_of(route), *before);
  return place(entry);
}

// In place of what is there under the same key.
Result<void> Guard::State::place(GuardRoute& route) {
  const Route& now = route.wanted();
  auto added = routing.add(now);
  route.placed = added.has_value();
  if (added) leftover_routes.erase(key_of(now));
  return added;
}

Result<void> Guard::State::take_away(const Route& route) {
  auto removed = routing.remove(route);
  if (!removed) leftover_routes.emplace(key_of(route), route);
  return removed;
}

Result<void> Guard::State::unwant(std::uint32_t owner, const Route& route) {
  const auto found = routes.find(key_of(route));
  if (found == routes.end()) return {};
  const Route before = found->second.wanted();
  found->second.owners.erase(owner);
  if (found->second.owners.empty()) {
    routes.erase(found);
    return take_away(before);
  }
  if (found->second.wanted() == before) return {};
  return place(found->second);
}

Result<void> Guard::State::frame(Family family) {
  if (frames_standing.contains(family)) return {};
  framed.insert(family);
  for (const Rule& rule : frame_rules(family)) {
    if (auto added = routing.add(rule); !added) return added;
    leftover_rules.erase(rule);
  }
  frames_standing.insert(family);
  return {};
}

// A table of a killed run that had the same rule is taken over: its routes are then replaced one by one.
std::uint32_t Guard::State::table_for(const GuardTableKey& key) {
  auto& table = tables[key];
  if (table.id != 0) return table.id;
  std::set<std::uint32_t> taken;
  for (const auto& [other, entry] : tables) taken.insert(entry.id);
  for (const Rule& rule : leftover_rules) {
    if (rule.priority != kRuleProtected) continue;
    if (rule == table_rule(key.local, key.protocol, rule.target) && !taken.contains(rule.target)) {
      return table.id = rule.target;
    }
    taken.insert(rule.target);
  }
  table.id = kRouteTable + 1;
  while (taken.contains(table.id)) ++table.id;
  return table.id;
}

std::vector<GuardTableKey> Guard::State::use_tables(const ProtectPolicy& policy) {
  std::vector<GuardTableKey> fresh;
  for (const GuardTableKey& key : table_keys(policy)) {
    static_cast<void>(table_for(key));
    GuardTable& table = tables[key];
    ++table.users;
    if (!table.ruled) fresh.push_back(key);
  }
  return fresh;
}

Result<void> Guard::State::add_rules(std::span<const GuardTableKey> keys) {
  FirstError errors;
  for (const GuardTableKey& key : keys) {
    const Rule rule = table_rule(key.local, key.protocol, table_for(key));
    auto added = routing.add(rule);
    tables[key].ruled = added.has_value();
    if (added) leftover_rules.erase(rule);
    errors.note(std::move(added));
  }
  return std::move(errors).result();
}

Result<void> Guard::State::leave_tables(std::span<const GuardTableKey> keys) {
  FirstError errors;
  for (const GuardTableKey& key : keys) {
    const auto found = tables.find(key);
    if (found == tables.end() || --found->second.users != 0) continue;
    const Rule rule = table_rule(key.local, key.protocol, found->second.id);
    tables.erase(found);
    auto removed = routing.remove(rule);
    if (!removed) leftover_rules.insert(rule);
    errors.note(std::move(removed));
  }
  return std::move(errors).result();
}

std::optional<unsigned> Guard::State::device_for(const ProtectPolicy& policy) {
  if (software()) return tunnel_ifindex;
  if (!policy.remote_gateway) return std::nullopt;
  return device_towards(*policy.remote_gateway);
}

// `ip route NET dev ipsec7`, and behind it what lets nothing out when the device goes.
std::vector<Route> Guard::State::interface_routes(const GuardPair& pair) {
  std::vector<Route> wanted;
  for (const Subnet& destination : pair.policy.ties.interface->routes) {
    Route behind;
    behind.destination = destination;
    behind.type = RouteType::unreachable;
    behind.table = RT_TABLE_MAIN;
    behind.metric = kUnreachableMetric;
    wanted.push_back(behind);
    if (!pair.interface) continue;
    Route route;
    route.destination = destination;
    route.table = RT_TABLE_MAIN;
    route.metric = kGuardMetric;
    route.ifindex = *pair.interface;
    wanted.push_back(route);
  }
  return wanted;
}

Result<void> Guard::State::use_interface(GuardPair& pair, const GuardPair& old) {
  Result<void> result;
  const std::optional<TunnelInterface>& interface = pair.policy.ties.interface;
  if (interface && old.interface && old.policy.ties.interface == interface) {
    pair.interface = old.interface;
    return result;
  }
  if (old.interface) result = interfaces->leave(old.policy.ties.interface->name);
  if (!interface || !interfaces) return result;
  auto used = interfaces->use(*interface);
  if (!used) return fail(std::move(used.error()));
  pair.interface = *used;
  return result;
}

std::vector<Route> Guard::State::routes_for(const GuardPair& pair) {
  const ProtectPolicy& policy = pair.policy;
  if (policy.ties.interface) return interface_routes(pair);
  const std::optional<unsigned> device = device_for(policy);
  const Selector& local = policy.selectors.local;
  // The gateways' own traffic of one protocol: its source address is the right one anyway, and a suggestion,
  // which knows no protocols, would divert the others, too.
  const bool own_protocol = local.protocol != 0 && local.subnet == Subnet::host(policy.local_gateway);
  std::optional<IpAddress> source;
  for (const Subnet& subnet : local.subnets()) {
    if (!own_protocol && !source) source = source_within(subnet, policy.local_gateway, monitor->addresses());
  }
  std::vector<Route> wanted;
  for (const Subnet& remote : policy.selectors.remote.subnets()) {
    // Kernel plane, the peer itself: the ordinary route to it serves, and our own would cut ESP off.
    if (!software() && policy.remote_gateway && remote == Subnet::host(*policy.remote_gateway)) continue;
    auto suggested = is_wide(remote, monitor->addresses()) ? std::nullopt : source;
    for (const GuardTableKey& key : table_keys(policy)) {
      const auto added = pair_routes(remote, {table_for(key), device, std::exchange(suggested, {})});
      wanted.insert(wanted.end(), added.begin(), added.end());
    }
  }
  return wanted;
}

// New routes first, then those the pair no longer wants.
Result<void> Guard::State::set_routes(Reqid reqid, GuardPair& pair) {
  const std::vector<Route> wanted = routes_for(pair);
  FirstError errors;
  for (const Route& route : wanted) {
    auto added = want(reqid.value, route);
    // A device or an address may go in this very moment; then the event that says so brings us here again.
    const bool gone = !added && added.error().code == ErrorCode::not_found;
    if (gone && route.type == RouteType::unicast) {
      look_later();
      continue;
    }
    errors.note(std::move(added));
  }
  for (const Route& route : pair.routes) {
    const bool kept = std::any_of(wanted.begin(), wanted.end(),
                                  [&](const Route& other) { return key_of(other) == key_of(route); });
    if (!kept) errors.note(unwant(reqid.value, route));
  }
  pair.routes = wanted;
  return std::move(errors).result();
}

}  // namespace oakgate
