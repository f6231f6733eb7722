#include "xfrm/netlink/guard.h"

#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
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

Result<void> Guard::State::watch() {
  auto look = SecondLook::open();
  if (!look) return tl::unexpected(look.error());
  second_look.emplace(std::move(*look));
  poll = UniqueFd(epoll_create1(EPOLL_CLOEXEC));
  for (const int fd : {monitor->fd(), second_look->fd()}) {
    epoll_event event{};
    event.events = EPOLLIN;
    if (epoll_ctl(poll.get(), EPOLL_CTL_ADD, fd, &event) != 0)
      return fail(netlink_error({errno, {}}, "watch the kernel's events"));
  }
  return {};
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
  if (auto watched = state->watch(); !watched) return tl::unexpected(watched.error());
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

// Adds or replaces; the selectors are free, or its own.
Result<void> Guard::State::protect(const ProtectPolicy& policy) {
  if (auto framed_now = frame(policy.selectors.local.family()); !framed_now) {
    pending.insert_or_assign(policy.reqid, policy);
    return framed_now;
  }
  GuardPair old;
  const auto known = pairs.find(policy.reqid);
  if (known != pairs.end()) old = known->second;
  const unsigned offload =
      policy.ties.offload == Offload::packet ? find_offload_device(policy.ties, policy.local_gateway) : 0;
  const std::vector<XfrmPolicy> policies = pair_policies(policy, software(), offload);
  if (auto claimed = claim(policy, policies); !claimed) {
    pending.insert_or_assign(policy.reqid, policy);
    return claimed;
  }
  // From here on the pair is guarded. An error below leaves it so, and is mended by another look.
  const bool replaces = known != pairs.end();
  if (replaces) {
    selectors.erase(guard_key(old.policy));
    count(old.policy, false);
  }
  GuardPair& pair = pairs[policy.reqid] = GuardPair{policy, table_keys(policy), old.routes, policies};
  selectors[guard_key(policy)] = policy.reqid;
  count(policy, true);
  hash_policies();
  const std::vector<GuardTableKey> fresh = use_tables(policy);
  FirstError errors;
  errors.note(use_interface(pair, old));
  errors.note(set_routes(policy.reqid, pair));
  const bool mends =
      !fresh.empty() || concerns_exemptions(policy) || (replaces && concerns_exemptions(old.policy, policy));
  if (mends) errors.note(mend_exemptions());
  errors.note(add_rules(fresh));  // last: what the rules divert finds routes
  std::erase_if(old.policies, [&](const XfrmPolicy& before) {
    return std::any_of(policies.begin(), policies.end(),
                       [&](const auto& now) { return now.key() == before.key(); });
  });
  errors.note(give_up(policy.reqid, old.policies));
  errors.note(leave_tables(old.table_keys));
  return std::move(errors).result();
}

Result<void> Guard::protect(const ProtectPolicy& policy) {
  State& state = *state_;
  const GuardKey key = guard_key(policy);
  const auto same = state.selectors.find(key);
  if (same != state.selectors.end() && same->second != policy.reqid) {
    return fail(ErrorCode::in_use, "the selectors " + policy.selectors.to_string() + " are protected already",
                "each pair of local and remote subnets in one tunnel only", "remove one of the two tunnels");
  }
  state.pending.erase(policy.reqid);
  return state.or_look_again(state.protect(policy));
}

Result<void> Guard::unprotect(Reqid reqid) {
  State& state = *state_;
  const auto found = state.pairs.find(reqid);
  const bool waited = state.pending.erase(reqid) != 0;
  if (found == state.pairs.end() && waited) return {};
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
  return state.or_look_again(std::move(errors).result());
}

bool Guard::promised(const ProtectPolicy& policy) const {
  const auto waits = state_->pending.find(policy.reqid);
  if (waits != state_->pending.end()) return waits->second == policy;
  const auto pair = state_->pairs.find(policy.reqid);
  return pair != state_->pairs.end() && pair->second.policy == policy;
}

int Guard::fd() const {
  return state_->poll.get();
}

Result<void> Guard::State::leave_all() {
  FirstError errors;
  std::vector<Rule> rules_gone;
  for (const auto& [key, table] : tables) rules_gone.push_back(table_rule(key.local, key.protocol, table.id));
  std::vector<Route> routes_gone;
  for (const auto& [key, route] : routes) routes_gone.push_back(route.wanted());
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
  pending.clear();
  return std::move(errors).result();
}

Result<void> Guard::shut_down() {
  FirstError errors;
  errors.note(state_->leave_all());
  errors.note(state_->set_standing({}));
  for (const Family family : std::exchange(state_->framed, {})) {
    const auto rules = frame_rules(family);
    for (auto rule = rules.rbegin(); rule != rules.rend(); ++rule) errors.note(state_->routing.remove(*rule));
  }
  state_->frames_standing.clear();
  state_->unhash_policies();
  errors.note(release_leftovers());
  auto result = std::move(errors).result();
  if (result) return result;
  // There is no later any more: what is left is asked for, and removed, at once.
  state_->in_doubt = true;
  return state_->mend() ? Result<void>{} : result;
}

InboundDrop Guard::inbound_drop() const {
  if (state_->xfrm) return InboundDrop::xfrm;
  return state_->nftables ? InboundDrop::nftables : InboundDrop::nothing;
}

}  // namespace oakgate
