#include "xfrm/netlink/guard.h"

#include <algorithm>
#include <utility>

#include "xfrm/netlink/guard_state.h"
#include "xfrm/netlink/xfrm_state.h"

namespace oakgate {

Result<void> Guard::State::take_stock() {
  auto old_routes = routing.routes(kRouteProtocol);
  if (!old_routes) return tl::unexpected(old_routes.error());
  for (const Route& route : *old_routes) leftover_routes.emplace(key_of(route), route);
  auto old_rules = routing.our_rules();
  if (!old_rules) return tl::unexpected(old_rules.error());
  leftover_rules.insert(old_rules->begin(), old_rules->end());
  after_a_kill = !leftover_rules.empty();
  if (!xfrm) return {};
  auto old_policies = our_policies(*xfrm);
  if (!old_policies) return tl::unexpected(old_policies.error());
  for (const XfrmPolicy& policy : *old_policies) leftover_policies.emplace(policy.key(), policy);
  return {};
}

Result<void> Guard::State::forget_states() {
  auto states = our_states(*xfrm);
  if (!states) return tl::unexpected(states.error());
  std::vector<NetlinkMessage> messages;
  for (const StateReport& state : *states) {
    if (!state.larval) messages.push_back(remove_state_message(state.id, state.mark));
  }
  auto answers = xfrm->transact(messages);
  return answers ? Result<void>{} : tl::unexpected(answers.error());
}

Guard::Guard(std::unique_ptr<State> state) : state_(std::move(state)) {}
Guard::~Guard() = default;

Result<std::unique_ptr<Guard>> Guard::open(std::optional<unsigned> tunnel_ifindex, InboundDrop best,
                                           LeftStates left) {
  auto routing = Routing::open();
  if (!routing) return tl::unexpected(routing.error());
  auto monitor = AddressMonitor::open();
  if (!monitor) return tl::unexpected(monitor.error());
  auto state =
      std::unique_ptr<State>(new State{std::move(*routing), std::move(*monitor), {}, tunnel_ifindex, {}});
  if (best == InboundDrop::xfrm) {
    if (auto xfrm = NetlinkSocket::open(NetlinkFamily::xfrm)) state->xfrm.emplace(std::move(*xfrm));
  }
  if (!state->xfrm && tunnel_ifindex) {
    if (auto rules = NftGuard::open(*tunnel_ifindex)) state->nftables.emplace(std::move(*rules));
  }
  if (!tunnel_ifindex) {
    auto interfaces = TunnelInterfaces::open();
    if (!interfaces) return tl::unexpected(interfaces.error());
    state->interfaces.emplace(std::move(*interfaces));
  }
  if (auto taken = state->take_stock(); !taken) return tl::unexpected(taken.error());
  if (state->xfrm && left == LeftStates::removed) {
    if (auto forgotten = state->forget_states(); !forgotten) return tl::unexpected(forgotten.error());
  }
  if (auto mended = state->mend_exemptions(); !mended) return tl::unexpected(mended.error());
  return std::unique_ptr<Guard>(new Guard(std::move(state)));
}

Result<void> Guard::protect(const ProtectPolicy& policy) {
  State& state = *state_;
  const GuardKey key = guard_key(policy);
  const auto same = state.selectors.find(key);
  if (same != state.selectors.end() && same->second != policy.reqid) {
    return fail(ErrorCode::in_use, "the selectors " + policy.selectors.to_string() + " are protected already",
                "each pair of local and remote subnets in one tunnel only", "remove one of the two tunnels");
  }
  if (auto framed = state.frame(policy.selectors.local.family()); !framed) return framed;
  GuardPair old;
  const auto known = state.pairs.find(policy.reqid);
  if (known != state.pairs.end()) old = known->second;
  const unsigned offload =
      policy.ties.offload == Offload::packet ? find_offload_device(policy.ties, policy.local_gateway) : 0;
  const std::vector<XfrmPolicy> policies = pair_policies(policy, state.software(), offload);
  if (auto claimed = state.claim(policy, policies); !claimed) return claimed;
  // From here on the pair is guarded. An error below leaves it so; protect() or unprotect() may follow.
  const bool replaces = known != state.pairs.end();
  if (replaces) {
    state.selectors.erase(guard_key(old.policy));
    state.count(old.policy, false);
  }
  GuardPair& pair = state.pairs[policy.reqid] = GuardPair{policy, table_keys(policy), old.routes, policies};
  state.selectors[key] = policy.reqid;
  state.count(policy, true);
  state.hash_policies();
  const std::vector<GuardTableKey> fresh = state.use_tables(policy);
  FirstError errors;
  errors.note(state.use_interface(pair, old));
  errors.note(state.set_routes(policy.reqid, pair));
  const bool mends = !fresh.empty() || state.concerns_exemptions(policy) ||
                     (replaces && state.concerns_exemptions(old.policy, policy));
  if (mends) errors.note(state.mend_exemptions());
  errors.note(state.add_rules(fresh));  // last: what the rules divert finds routes
  std::erase_if(old.policies, [&](const XfrmPolicy& before) {
    return std::any_of(policies.begin(), policies.end(),
                       [&](const auto& now) { return now.key() == before.key(); });
  });
  errors.note(state.give_up(policy.reqid, old.policies));
  errors.note(state.leave_tables(old.table_keys));
  return std::move(errors).result();
}

Result<void> Guard::unprotect(Reqid reqid) {
  State& state = *state_;
  const auto found = state.pairs.find(reqid);
  if (found == state.pairs.end()) return fail(ErrorCode::not_found, "nothing is protected under this reqid");
  const GuardPair pair = std::move(found->second);
  const bool mends = state.concerns_exemptions(pair.policy);
  state.pairs.erase(found);
  state.selectors.erase(guard_key(pair.policy));
  state.count(pair.policy, false);
  FirstError errors;
  errors.note(state.leave_tables(pair.table_keys));
  for (const Route& route : pair.routes) errors.note(state.unwant(reqid.value, route));
  errors.note(state.give_up(reqid, pair.policies));
  if (pair.interface) errors.note(state.interfaces->leave(pair.policy.ties.interface->name));
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
  if (state_->interfaces) errors.note(state_->interfaces->mend());
  for (auto& [reqid, pair] : state_->pairs) {
    if (pair.interface) pair.interface = state_->interfaces->index(pair.policy.ties.interface->name);
    errors.note(state_->set_routes(reqid, pair));
  }
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
  if (state_->interfaces) errors.note(state_->interfaces->release_leftovers());
  if (state_->nftables) errors.note(state_->nftables->release_leftovers());
  // A killed run had no XFRM, and now it is there: what is carried would stop at that run's rules.
  if (state_->xfrm && std::exchange(state_->after_a_kill, false)) remove_guard_tables();
  state_->leftover_policies.clear();
  state_->leftover_routes.clear();
  state_->leftover_rules.clear();
  return std::move(errors).result();
}

Result<void> Guard::State::leave_all() {
  FirstError errors;
  std::vector<Rule> rules_gone;
  for (const auto& [key, table] : tables) rules_gone.push_back(table_rule(key.local, key.protocol, table.id));
  std::vector<Route> routes_gone;
  for (const auto& [key, owners] : routes) {
    if (!owners.empty()) routes_gone.push_back(owners.begin()->second);
  }
  std::vector<XfrmPolicy> policies_gone;
  for (const auto& [key, list] : claims) policies_gone.push_back(list.front().policy);
  errors.note(routing.remove(rules_gone));
  errors.note(routing.remove(routes_gone));
  errors.note(drop_policies(policies_gone));
  for (const auto& [reqid, pair] : pairs) {
    if (pair.interface) errors.note(interfaces->leave(pair.policy.ties.interface->name));
    count(pair.policy, false);
  }
  pairs.clear();
  selectors.clear();
  claims.clear();
  tables.clear();
  routes.clear();
  throws.clear();
  wide.clear();
  return std::move(errors).result();
}

Result<void> Guard::shut_down() {
  FirstError errors;
  errors.note(state_->leave_all());
  errors.note(state_->set_standing({}));
  for (const Family family : state_->framed) {
    const auto rules = frame_rules(family);
    for (auto rule = rules.rbegin(); rule != rules.rend(); ++rule) errors.note(state_->routing.remove(*rule));
  }
  state_->framed.clear();
  state_->unhash_policies();
  errors.note(release_leftovers());
  return std::move(errors).result();
}

InboundDrop Guard::inbound_drop() const {
  if (state_->xfrm) return InboundDrop::xfrm;
  return state_->nftables ? InboundDrop::nftables : InboundDrop::nothing;
}

}  // namespace oakgate
