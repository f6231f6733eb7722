// What the kernel holds of ours becomes what is wanted: when the network has changed, and after an error,
// when nobody knows what was done of a request and what not.

#include <algorithm>
#include <string>
#include <utility>

#include "xfrm/netlink/guard_state.h"

namespace oakgate {

namespace {

constexpr long kMostPatience = 64;  // seconds

}  // namespace

Result<void> Guard::State::or_look_again(Result<void> result) {
  if (result) return result;
  in_doubt = true;
  second_look->soon();
  std::string& remedy = result.error().remedy;
  remedy +=
      std::string(remedy.empty() ? "" : "; ") + "oakgated tries again by itself, for as long as it is needed";
  return result;
}

void Guard::State::look_later() {
  unfinished = true;
  second_look->later(patience);
}

std::optional<unsigned> Guard::State::device_towards(const IpAddress& peer) {
  const auto towards = routing.look_up(peer, kBypassMark);
  if (towards) return towards->ifindex;
  if (towards.error().code != ErrorCode::not_found) look_later();
  return std::nullopt;
}

// Devices may have taken routes of ours with them: what is still there decides, not what was once added.
Result<void> Guard::State::compare_routes() {
  auto present = routing.routes(kRouteProtocol);
  if (!present) return tl::unexpected(present.error());
  const std::set<Route> there(present->begin(), present->end());
  for (auto& [key, route] : routes) route.placed = there.contains(route.wanted());
  if (!in_doubt) return {};
  leftover_routes.clear();
  for (const Route& route : there) {
    const auto known = routes.find(key_of(route));
    if (known == routes.end() || known->second.wanted() != route)
      leftover_routes.emplace(key_of(route), route);
  }
  return {};
}

Result<void> Guard::State::compare_rules() {
  auto present = routing.our_rules();
  if (!present) return tl::unexpected(present.error());
  std::set<Rule> there(present->begin(), present->end());
  std::vector<GuardTableKey> missing;
  for (auto& [key, table] : tables) {
    table.ruled = there.erase(table_rule(key.local, key.protocol, table.id)) != 0;
    if (!table.ruled) missing.push_back(key);
  }
  FirstError errors;
  for (const Family family : framed) {
    for (const Rule& rule : frame_rules(family)) {
      if (there.erase(rule) == 0) frames_standing.erase(family);
    }
    errors.note(frame(family));
  }
  if (in_doubt) leftover_rules = std::move(there);
  errors.note(add_rules(missing));
  return std::move(errors).result();
}

Result<void> Guard::State::mend() {
  FirstError errors;
  errors.note(compare_routes());
  if (in_doubt && nftables) {
    std::vector<XfrmPolicy> all(standing.begin(), standing.end());
    for (const auto& [key, list] : claims) all.push_back(list.front().policy);
    errors.note(nftables->write_anew(all));
  } else if (in_doubt) {
    errors.note(settle_policies());
  }
  if (interfaces) errors.note(interfaces->mend());
  for (auto& [reqid, pair] : pairs) {
    const auto& interface = pair.policy.ties.interface;
    if (pair.interface) {
      pair.interface = interfaces->index(interface->name);
    } else if (interface && interfaces) {
      errors.note(use_interface(pair, {}));
    }
    errors.note(set_routes(reqid, pair));
  }
  errors.note(mend_exemptions());
  errors.note(compare_rules());  // last: what the rules divert finds routes
  for (const auto& [reqid, policy] : std::exchange(pending, {})) {
    const auto holder = selectors.find(guard_key(policy));  // since then, perhaps another pair
    if (holder == selectors.end() || holder->second == reqid) errors.note(protect(policy));
  }
  if (in_doubt && released) errors.note(drop_leftovers());
  return std::move(errors).result();
}

Result<void> Guard::dispatch() {
  State& state = *state_;
  const bool due = state.second_look->take();
  auto change = state.monitor->dispatch();
  if (change && !change->any() && !due) return {};
  state.in_doubt = state.in_doubt || !change;
  state.unfinished = false;
  FirstError errors;
  if (!change) errors.note(tl::unexpected(change.error()));
  errors.note(state.mend());
  Result<void> result = std::move(errors).result();
  state.in_doubt = !result;
  state.told = state.told && !result;
  if (result && !state.unfinished) {
    state.patience = 1;
    return result;
  }
  state.second_look->later(state.patience);
  state.patience = std::min(2 * state.patience, kMostPatience);
  if (result || std::exchange(state.told, true)) return {};
  return result;
}

// But for what guards a pair whose own could not be put in its place yet.
Result<void> Guard::State::drop_leftovers() {
  FirstError errors;
  std::set<XfrmPolicy> spared;
  std::set<Subnet> spared_remotes;
  for (const auto& [reqid, policy] : pending) {
    for (const XfrmPolicy& one : pair_policies(policy, software())) spared.insert(one.key());
    for (const Subnet& remote : policy.selectors.remote.subnets()) spared_remotes.insert(remote);
  }
  for (const Rule& rule : std::exchange(leftover_rules, {})) {
    auto removed = pending.empty() ? routing.remove(rule) : Result<void>{};
    if (!removed || !pending.empty()) leftover_rules.insert(rule);
    errors.note(std::move(removed));
  }
  for (const auto& [key, route] : std::exchange(leftover_routes, {})) {
    const auto wanted = routes.find(key);
    if (spared_remotes.contains(key.destination) || (wanted != routes.end() && !wanted->second.placed)) {
      leftover_routes.emplace(key, route);
    } else if (wanted == routes.end()) {
      errors.note(take_away(route));
    }
  }
  std::vector<XfrmPolicy> policies;
  for (const auto& [key, policy] : std::exchange(leftover_policies, {})) {
    if (spared.contains(key) || claims.contains(key)) {
      leftover_policies.emplace(key, policy);
    } else {
      policies.push_back(policy);
    }
  }
  errors.note(drop_policies(policies));
  if (interfaces) errors.note(interfaces->release_leftovers());
  if (nftables && pending.empty()) errors.note(nftables->release_leftovers());
  // A killed run had no XFRM, and now it is there: what is carried would stop at that run's rules.
  if (xfrm && pending.empty() && std::exchange(after_a_kill, false)) remove_guard_tables();
  return std::move(errors).result();
}

Result<void> Guard::release_leftovers() {
  state_->released = true;
  return state_->or_look_again(state_->drop_leftovers());
}

}  // namespace oakgate
