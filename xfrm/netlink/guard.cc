#include "xfrm/netlink/guard.h"

#include <algorithm>

#include "xfrm/netlink/guard_plan.h"
#include "xfrm/netlink/xfrm_state.h"

namespace oakgate {

namespace {

struct TableKey {
  Subnet local;
  std::uint8_t protocol = 0;
  friend auto operator<=>(const TableKey&, const TableKey&) = default;
};
struct Table {
  std::uint32_t id = 0;
  std::size_t users = 0;
};

// What the kernel tells routes of ours apart by.
struct RouteKey {
  std::uint32_t table = 0;
  Subnet destination;
  std::uint32_t metric = 0;
  friend auto operator<=>(const RouteKey&, const RouteKey&) = default;
};
RouteKey key_of(const Route& route) {
  return {route.table, route.destination, route.metric};
}

struct Pair {
  ProtectPolicy policy;
  TableKey table_key;
  std::vector<Route> routes;
  std::vector<XfrmPolicy> policies;
};

// Remembers the first error of a sequence that goes on regardless.
class FirstError {
 public:
  void note(Result<void> result) {
    if (!result && first_) first_ = std::move(result);
  }
  [[nodiscard]] Result<void> result() && { return std::move(first_); }

 private:
  Result<void> first_;
};

std::set<XfrmPolicy> as_set(const std::vector<XfrmPolicy>& policies) {
  return {policies.begin(), policies.end()};
}

constexpr std::uint32_t kReqidOfExemptions = 0;  // owns the routes that no single pair owns; no pair has it

}  // namespace

struct Guard::State {
  Routing routing;
  std::unique_ptr<AddressMonitor> monitor;
  std::optional<NetlinkSocket> xfrm;  // none: a kernel without XFRM
  std::optional<unsigned> tunnel_ifindex;

  std::map<Reqid, Pair> pairs;
  std::map<SelectorPair, Reqid> selectors;
  std::map<TableKey, Table> tables;
  // Several pairs may want one route: the owner with the lowest reqid decides what it looks like.
  std::map<RouteKey, std::map<std::uint32_t, Route>> routes;
  std::set<Family> framed;
  std::set<XfrmPolicy> standing;  // policies of no single pair: TUN, Neighbor Discovery, exemptions
  std::set<std::uint32_t> slots;  // indices in use by them
  std::vector<Route> throws;
  std::vector<Subnet> exempt;  // networks of ours and of the link: no wide remote subnet takes them
  std::set<Reqid> wide;        // pairs whose remote subnet holds one of them, or a peer
  std::multiset<IpAddress> peers;

  std::map<XfrmPolicy, XfrmPolicy> leftover_policies;  // by key
  std::map<RouteKey, Route> leftover_routes;
  std::set<Rule> leftover_rules;

  [[nodiscard]] bool software() const { return tunnel_ifindex.has_value(); }

  // --- routes and rules
  Result<void> want(std::uint32_t owner, const Route& route);
  Result<void> unwant(std::uint32_t owner, const Route& route);
  Result<void> frame(Family family);
  std::uint32_t table_for(const TableKey& key);
  Result<void> leave_table(const TableKey& key);
  std::optional<unsigned> device_for(const ProtectPolicy& policy);
  std::vector<Route> routes_for(const ProtectPolicy& policy, std::uint32_t table);
  Result<void> set_routes(Reqid reqid, Pair& pair);

  // --- policies
  Result<void> put_policies(const std::vector<XfrmPolicy>& wanted, const std::vector<XfrmPolicy>& previous);
  Result<void> drop_policies(std::span<const XfrmPolicy> policies);
  Result<void> set_standing(const std::set<XfrmPolicy>& wanted);

  // --- exemptions
  void count_peer(const ProtectPolicy& policy, bool add);
  [[nodiscard]] bool holds_peer(const Subnet& remote) const;
  [[nodiscard]] bool concerns_exemptions(const ProtectPolicy& policy) const;
  std::vector<Subnet> find_own_networks();
  Result<void> mend_exemptions();

  Result<void> take_stock();
  Result<void> forget_states();
};

// ---- Routes and rules ------------------------------------------------------------------------------------

Result<void> Guard::State::want(std::uint32_t owner, const Route& route) {
  auto& owners = routes[key_of(route)];
  const std::optional<Route> before = owners.empty() ? std::nullopt : std::optional(owners.begin()->second);
  owners[owner] = route;
  const Route& now = owners.begin()->second;
  if (before == now) return {};
  leftover_routes.erase(key_of(route));
  auto added = routing.add(now);
  if (!added) {
    owners.erase(owner);
    if (owners.empty()) routes.erase(key_of(route));
  }
  return added;
}

Result<void> Guard::State::unwant(std::uint32_t owner, const Route& route) {
  const auto found = routes.find(key_of(route));
  if (found == routes.end()) return {};
  const Route before = found->second.begin()->second;
  found->second.erase(owner);
  if (found->second.empty()) {
    routes.erase(found);
    return routing.remove(before);
  }
  const Route& now = found->second.begin()->second;
  return now == before ? Result<void>{} : routing.add(now);
}

Result<void> Guard::State::frame(Family family) {
  if (framed.contains(family)) return {};
  for (const Rule& rule : frame_rules(family)) {
    if (auto added = routing.add(rule); !added) return added;
    leftover_rules.erase(rule);
  }
  framed.insert(family);
  return {};
}

// A table of a killed run that had the same rule is taken over: its routes are then replaced one by one.
std::uint32_t Guard::State::table_for(const TableKey& key) {
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

Result<void> Guard::State::leave_table(const TableKey& key) {
  const auto found = tables.find(key);
  if (found == tables.end() || --found->second.users != 0) return {};
  const std::uint32_t id = found->second.id;
  tables.erase(found);
  return routing.remove(table_rule(key.local, key.protocol, id));
}

std::optional<unsigned> Guard::State::device_for(const ProtectPolicy& policy) {
  if (software()) return tunnel_ifindex;
  if (!policy.remote_gateway) return std::nullopt;
  const auto towards = routing.look_up(*policy.remote_gateway, kBypassMark);
  return towards ? std::optional(towards->ifindex) : std::nullopt;
}

std::vector<Route> Guard::State::routes_for(const ProtectPolicy& policy, std::uint32_t table) {
  const Subnet& remote = policy.selectors.remote.subnet;
  // Kernel plane, the peer itself: the ordinary route to it serves, and our own would cut ESP off.
  if (!software() && policy.remote_gateway && remote == Subnet::host(*policy.remote_gateway)) return {};
  PairRouting wanted{table, device_for(policy), {}};
  if (!is_wide(remote, monitor->addresses())) {
    wanted.source = source_within(policy.selectors.local.subnet, policy.local_gateway, monitor->addresses());
  }
  return pair_routes(remote, wanted);
}

// New routes first, then those the pair no longer wants.
Result<void> Guard::State::set_routes(Reqid reqid, Pair& pair) {
  const std::vector<Route> wanted = routes_for(pair.policy, table_for(pair.table_key));
  for (const Route& route : wanted) {
    // A device or an address may go in this very moment; then the event that says so brings us here again.
    if (auto added = want(reqid.value, route); !added && added.error().code != ErrorCode::not_found)
      return added;
  }
  FirstError errors;
  for (const Route& route : pair.routes) {
    const bool kept = std::any_of(wanted.begin(), wanted.end(),
                                  [&](const Route& other) { return key_of(other) == key_of(route); });
    if (!kept) errors.note(unwant(reqid.value, route));
  }
  pair.routes = wanted;
  return std::move(errors).result();
}

// ---- Policies --------------------------------------------------------------------------------------------

// `previous` are those of the same owner that stand now: they are replaced in place, as leftovers are.
Result<void> Guard::State::put_policies(const std::vector<XfrmPolicy>& wanted,
                                        const std::vector<XfrmPolicy>& previous) {
  if (!xfrm) return {};
  std::vector<NetlinkMessage> messages;
  std::vector<bool> replaces;
  for (const XfrmPolicy& policy : wanted) {
    const bool known = leftover_policies.contains(policy.key()) ||
                       std::any_of(previous.begin(), previous.end(),
                                   [&](const XfrmPolicy& old) { return old.key() == policy.key(); });
    replaces.push_back(known);
    messages.push_back(policy_message(policy, known ? PolicyUpdate::replace : PolicyUpdate::exclusive));
  }
  auto answers = xfrm->transact(messages);
  if (!answers) return tl::unexpected(answers.error());
  const auto failed = std::find_if(answers->begin(), answers->end(), [](const auto& a) { return !a.ok(); });
  if (failed == answers->end()) {
    for (const XfrmPolicy& policy : wanted) leftover_policies.erase(policy.key());
    return {};
  }
  std::vector<XfrmPolicy> added;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if ((*answers)[i].ok() && !replaces[i]) added.push_back(wanted[i]);
  }
  static_cast<void>(drop_policies(added));  // the error that is reported is the one that led here
  const XfrmPolicy& culprit = wanted[static_cast<std::size_t>(failed - answers->begin())];
  Error error = netlink_error(*failed, "add the XFRM policy " + culprit.to_string());
  if (error.code == ErrorCode::in_use) {
    error.expected = "no policy of another program for these selectors";
    error.remedy = "stop the other IPsec daemon, or remove its policy (`ip xfrm policy`)";
  }
  return fail(std::move(error));
}

Result<void> Guard::State::drop_policies(std::span<const XfrmPolicy> policies) {
  if (!xfrm || policies.empty()) return {};
  std::vector<NetlinkMessage> messages;
  for (const XfrmPolicy& policy : policies) messages.push_back(remove_policy_message(policy));
  auto answers = xfrm->transact(messages);
  if (!answers) return tl::unexpected(answers.error());
  FirstError errors;
  for (std::size_t i = 0; i < policies.size(); ++i) {
    const NetlinkAnswer& answer = (*answers)[i];
    if (answer.ok() || answer.error == ENOENT) continue;
    errors.note(fail(netlink_error(answer, "remove the XFRM policy " + policies[i].to_string())));
  }
  return std::move(errors).result();
}

// Makes exactly these the standing policies; they come without index and get one that says they are ours.
Result<void> Guard::State::set_standing(const std::set<XfrmPolicy>& wanted) {
  FirstError errors;
  std::set<XfrmPolicy> kept;
  std::vector<XfrmPolicy> gone;
  for (const XfrmPolicy& policy : standing) {
    XfrmPolicy unnumbered = policy;
    unnumbered.index = 0;
    if (wanted.contains(unnumbered)) {
      kept.insert(unnumbered);
    } else {
      gone.push_back(policy);
    }
  }
  for (const XfrmPolicy& policy : wanted) {
    if (kept.contains(policy)) continue;
    const auto leftover = leftover_policies.find(policy.key());
    XfrmPolicy numbered = policy;
    numbered.index = leftover != leftover_policies.end() ? leftover->second.index : kPolicyIndex;
    while (slots.contains(numbered.index) || numbered.index == 0) numbered.index += 8;
    if (numbered.index >= kPolicyIndexEnd) break;  // 8192 of them: more networks than a gateway has
    auto put = put_policies({numbered}, {});
    if (put) {
      standing.insert(numbered);
      slots.insert(numbered.index);
    }
    errors.note(std::move(put));
  }
  errors.note(drop_policies(gone));
  for (const XfrmPolicy& policy : gone) {
    standing.erase(policy);
    slots.erase(policy.index);
  }
  return std::move(errors).result();
}

// ---- Exemptions ------------------------------------------------------------------------------------------

std::vector<Subnet> Guard::State::find_own_networks() {
  std::set<Subnet> locals;
  std::set<IpAddress> gateways;
  std::set<unsigned> outer_devices;
  for (const auto& [reqid, pair] : pairs) {
    locals.insert(pair.policy.selectors.local.subnet);
    if (!gateways.insert(pair.policy.local_gateway).second || !pair.policy.remote_gateway) continue;
    if (const auto towards = routing.look_up(*pair.policy.remote_gateway, kBypassMark)) {
      outer_devices.insert(towards->ifindex);
    }
  }
  const std::vector<Subnet> local_list(locals.begin(), locals.end());
  const std::vector<IpAddress> gateway_list(gateways.begin(), gateways.end());
  std::vector<Subnet> found = own_lan_networks(local_list, gateway_list, monitor->addresses());
  // A local subnet behind an inner router: it has a route of its own that does not lead outside.
  for (const Subnet& local : locals) {
    if (local.prefix() == 0 || std::find(found.begin(), found.end(), local) != found.end()) continue;
    const auto route = routing.match(local.last(), kBypassMark);
    if (!route || route->type != RouteType::unicast || route->destination.prefix() == 0) continue;
    if (!outer_devices.contains(route->ifindex)) found.push_back(local);
  }
  return found;
}

void Guard::State::count_peer(const ProtectPolicy& policy, bool add) {
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
  const auto holds = [&](const Subnet& network) {
    return strictly_contains(policy.selectors.remote.subnet, network);
  };
  if (!wide.empty() || std::any_of(exempt.begin(), exempt.end(), holds)) return true;
  if (holds_peer(policy.selectors.remote.subnet)) return true;
  // A peer that is new may stand in another pair's remote subnet.
  return policy.remote_gateway && peers.count(*policy.remote_gateway) <= 1 &&
         std::any_of(pairs.begin(), pairs.end(), [&](const auto& entry) {
           return entry.second.policy.selectors.remote.subnet.contains(*policy.remote_gateway);
         });
}

Result<void> Guard::State::mend_exemptions() {
  exempt = find_own_networks();
  exempt.insert(exempt.end(), link_networks().begin(), link_networks().end());
  wide.clear();
  std::set<XfrmPolicy> policies;
  std::set<Route> wanted;
  bool ipv6 = false;
  for (const auto& [reqid, pair] : pairs) {
    const Subnet& remote = pair.policy.selectors.remote.subnet;
    const Subnet& local = pair.policy.selectors.local.subnet;
    const std::uint32_t table = tables.at(pair.table_key).id;
    ipv6 = ipv6 || remote.family() == Family::ipv6;
    for (const Subnet& network : exempt) {
      if (!strictly_contains(remote, network)) continue;
      wide.insert(reqid);
      wanted.insert(exemption_route(table, network));
      for (const XfrmPolicy& policy : exemption_policies(local, network, software())) policies.insert(policy);
    }
    if (!holds_peer(remote)) continue;
    wide.insert(reqid);
    if (software()) continue;  // the mark on the sockets is enough, and the peer's other traffic is protected
    for (auto peer = peers.lower_bound(remote.address()); peer != peers.end() && remote.contains(*peer);
         ++peer) {
      wanted.insert(exemption_route(table, Subnet::host(*peer)));
      wanted.insert(exemption_route(kRouteTable, Subnet::host(*peer)));
    }
  }
  if (ipv6) policies.merge(as_set(neighbor_discovery_policies()));
  if (software()) policies.merge(as_set(tunnel_policies(*tunnel_ifindex)));
  // A pair with the very selectors of an exemption protects them.
  std::erase_if(policies, [&](const XfrmPolicy& policy) {
    return selectors.contains({policy.source, policy.destination}) ||
           selectors.contains({policy.destination, policy.source});
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

// ---- Start and end ---------------------------------------------------------------------------------------

Result<void> Guard::State::take_stock() {
  auto old_routes = routing.routes(kRouteProtocol);
  if (!old_routes) return tl::unexpected(old_routes.error());
  for (const Route& route : *old_routes) leftover_routes.emplace(key_of(route), route);
  auto old_rules = routing.our_rules();
  if (!old_rules) return tl::unexpected(old_rules.error());
  leftover_rules.insert(old_rules->begin(), old_rules->end());
  if (!xfrm) return {};
  auto old_policies = our_policies(*xfrm);
  if (!old_policies) return tl::unexpected(old_policies.error());
  for (const XfrmPolicy& policy : *old_policies) leftover_policies.emplace(policy.key(), policy);
  return forget_states();
}

Result<void> Guard::State::forget_states() {
  auto states = our_states(*xfrm);
  if (!states) return tl::unexpected(states.error());
  std::vector<NetlinkMessage> messages;
  for (const StateReport& state : *states) messages.push_back(remove_state_message(state.id));
  auto answers = xfrm->transact(messages);
  return answers ? Result<void>{} : tl::unexpected(answers.error());
}

Guard::Guard(std::unique_ptr<State> state) : state_(std::move(state)) {}
Guard::~Guard() = default;

Result<std::unique_ptr<Guard>> Guard::open(std::optional<unsigned> tunnel_ifindex) {
  auto routing = Routing::open();
  if (!routing) return tl::unexpected(routing.error());
  auto monitor = AddressMonitor::open();
  if (!monitor) return tl::unexpected(monitor.error());
  auto state =
      std::unique_ptr<State>(new State{std::move(*routing), std::move(*monitor), {}, tunnel_ifindex});
  if (auto xfrm = NetlinkSocket::open(NetlinkFamily::xfrm)) state->xfrm.emplace(std::move(*xfrm));
  if (auto taken = state->take_stock(); !taken) return tl::unexpected(taken.error());
  if (auto mended = state->mend_exemptions(); !mended) return tl::unexpected(mended.error());
  return std::unique_ptr<Guard>(new Guard(std::move(state)));
}

Result<void> Guard::protect(const ProtectPolicy& policy) {
  State& state = *state_;
  const auto same = state.selectors.find(policy.selectors);
  if (same != state.selectors.end() && same->second != policy.reqid) {
    return fail(ErrorCode::in_use, "the selectors " + policy.selectors.to_string() + " are protected already",
                "each pair of local and remote subnets in one tunnel only", "remove one of the two tunnels");
  }
  const Selector& local = policy.selectors.local;
  if (auto framed = state.frame(local.subnet.family()); !framed) return framed;
  Pair old;
  const auto known = state.pairs.find(policy.reqid);
  if (known != state.pairs.end()) old = known->second;
  const std::vector<XfrmPolicy> policies = pair_policies(policy, state.software());
  if (auto put = state.put_policies(policies, old.policies); !put) return put;
  // From here on the pair is guarded. An error below leaves it so; protect() or unprotect() may follow.
  if (known != state.pairs.end()) {
    state.selectors.erase(old.policy.selectors);
    state.count_peer(old.policy, false);
  }
  Pair& pair = state.pairs[policy.reqid] = Pair{policy, {local.subnet, local.protocol}, old.routes, policies};
  state.selectors[policy.selectors] = policy.reqid;
  state.count_peer(policy, true);
  const Rule rule = table_rule(local.subnet, local.protocol, state.table_for(pair.table_key));
  const bool new_table = ++state.tables[pair.table_key].users == 1;
  FirstError errors;
  errors.note(state.set_routes(policy.reqid, pair));
  const bool mends = new_table || known != state.pairs.end() || state.concerns_exemptions(policy);
  if (mends) errors.note(state.mend_exemptions());
  if (new_table) {  // last: what the rule diverts finds routes
    errors.note(state.routing.add(rule));
    state.leftover_rules.erase(rule);
  }
  if (known == state.pairs.end()) return std::move(errors).result();
  std::erase_if(old.policies, [&](const XfrmPolicy& before) {
    return std::any_of(policies.begin(), policies.end(),
                       [&](const auto& now) { return now.key() == before.key(); });
  });
  errors.note(state.drop_policies(old.policies));
  errors.note(state.leave_table(old.table_key));
  return std::move(errors).result();
}

Result<void> Guard::unprotect(Reqid reqid) {
  State& state = *state_;
  const auto found = state.pairs.find(reqid);
  if (found == state.pairs.end()) return fail(ErrorCode::not_found, "nothing is protected under this reqid");
  const Pair pair = std::move(found->second);
  const bool mends = state.concerns_exemptions(pair.policy);
  state.pairs.erase(found);
  state.selectors.erase(pair.policy.selectors);
  state.count_peer(pair.policy, false);
  FirstError errors;
  errors.note(state.leave_table(pair.table_key));
  for (const Route& route : pair.routes) errors.note(state.unwant(reqid.value, route));
  errors.note(state.drop_policies(pair.policies));
  if (mends || state.pairs.empty()) errors.note(state.mend_exemptions());
  return std::move(errors).result();
}

int Guard::fd() const {
  return state_->monitor->fd();
}

Result<void> Guard::dispatch() {
  auto change = state_->monitor->dispatch();
  if (!change) return tl::unexpected(change.error());
  if (!change->any()) return {};
  // Devices may have taken routes of ours with them: what is still there decides, not what was once added.
  auto present = state_->routing.routes(kRouteProtocol);
  if (!present) return tl::unexpected(present.error());
  const std::set<Route> standing(present->begin(), present->end());
  std::erase_if(state_->routes,
                [&](auto& entry) { return !standing.contains(entry.second.begin()->second); });
  FirstError errors;
  for (auto& [reqid, pair] : state_->pairs) errors.note(state_->set_routes(reqid, pair));
  errors.note(state_->mend_exemptions());
  return std::move(errors).result();
}

Result<void> Guard::release_leftovers() {
  FirstError errors;
  std::vector<XfrmPolicy> policies;
  for (const auto& [key, policy] : state_->leftover_policies) policies.push_back(policy);
  for (const Rule& rule : state_->leftover_rules) errors.note(state_->routing.remove(rule));
  for (const auto& [key, route] : state_->leftover_routes) errors.note(state_->routing.remove(route));
  errors.note(state_->drop_policies(policies));
  state_->leftover_policies.clear();
  state_->leftover_routes.clear();
  state_->leftover_rules.clear();
  return std::move(errors).result();
}

Result<void> Guard::shut_down() {
  FirstError errors;
  while (!state_->pairs.empty()) errors.note(unprotect(state_->pairs.begin()->first));
  errors.note(state_->set_standing({}));
  for (const Family family : state_->framed) {
    const auto rules = frame_rules(family);
    for (auto rule = rules.rbegin(); rule != rules.rend(); ++rule) errors.note(state_->routing.remove(*rule));
  }
  state_->framed.clear();
  errors.note(release_leftovers());
  return std::move(errors).result();
}

bool Guard::has_inbound_protection() const {
  return state_->xfrm.has_value();
}

}  // namespace oakgate
