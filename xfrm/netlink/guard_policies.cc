// The guard's XFRM policies, or the nftables rules instead of them (nft_guard.h).

#include <algorithm>
#include <cerrno>
#include <utility>

#include "xfrm/netlink/guard_state.h"

namespace oakgate {

namespace {

// Below it the kernel's own way does as well, and its setting, which all of this namespace share, is left
// alone.
constexpr std::size_t kManyPairs = 256;

constexpr std::size_t kAtOnce = 256;  // messages under way: each has its buffer

}  // namespace

// A setting that somebody has made is theirs. Ours is taken for ours, though it may be a killed run's. It
// makes things faster, no more: an error is none.
void Guard::State::hash_policies() {
  if (!xfrm || policies_hashed || pairs.size() != kManyPairs) return;
  const auto now = policy_hash(*xfrm);
  if (!now || (*now != kKernelsPolicyHash && *now != kManyPairsPolicyHash)) return;
  policies_hashed = *now == kManyPairsPolicyHash || set_policy_hash(*xfrm, kManyPairsPolicyHash).has_value();
}

void Guard::State::unhash_policies() {
  if (!std::exchange(policies_hashed, false)) return;
  static_cast<void>(set_policy_hash(*xfrm, kKernelsPolicyHash));
}

// `previous` are those of the same owner that stand now: they are replaced in place, as leftovers are.
Result<void> Guard::State::put_policies(const std::vector<XfrmPolicy>& wanted,
                                        const std::vector<XfrmPolicy>& previous) {
  if (nftables) return nftables->change(wanted, {});
  if (!xfrm || wanted.empty()) return {};
  if (policies_in_doubt) {
    if (auto settled = settle_policies(); !settled) return settled;
  }
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
  if (!answers) {
    policies_in_doubt = true;
    return tl::unexpected(answers.error());
  }
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
  if (nftables) return nftables->change({}, {policies.begin(), policies.end()});
  if (!xfrm) return {};
  FirstError errors;
  const auto stays = [&](const XfrmPolicy& policy) {
    leftover_policies.insert_or_assign(policy.key(), policy);
  };
  for (std::size_t at = 0; at < policies.size(); at += kAtOnce) {
    const auto some = policies.subspan(at, std::min(kAtOnce, policies.size() - at));
    std::vector<NetlinkMessage> messages;
    for (const XfrmPolicy& policy : some) messages.push_back(remove_policy_message(policy));
    auto answers = xfrm->transact(messages);
    if (!answers) {
      std::for_each(some.begin(), some.end(), stays);
      policies_in_doubt = true;
      errors.note(tl::unexpected(answers.error()));
      continue;
    }
    for (std::size_t i = 0; i < some.size(); ++i) {
      const NetlinkAnswer& answer = (*answers)[i];
      if (answer.ok() || answer.error == ENOENT) continue;
      stays(some[i]);
      errors.note(fail(netlink_error(answer, "remove the XFRM policy " + some[i].to_string())));
    }
  }
  return std::move(errors).result();
}

namespace {

// Whether the kernel holds it as it is wanted; it numbers by itself, and offloads none that forwards.
bool stands(const XfrmPolicy& there, const XfrmPolicy& wanted) {
  XfrmPolicy a = there;
  XfrmPolicy b = wanted;
  a.index = b.index = 0;
  if (a.direction == PolicyDirection::forward) a.offload_ifindex = b.offload_ifindex = 0;
  return a == b;
}

}  // namespace

// What the kernel holds of ours and nobody wants is left over; what it should hold and does not, it gets.
Result<void> Guard::State::settle_policies() {
  if (!xfrm) return {};
  const auto there = our_policies(*xfrm);
  if (!there) return tl::unexpected(there.error());
  policies_in_doubt = false;
  std::map<XfrmPolicy, const XfrmPolicy*> wanted;
  for (const auto& [key, list] : claims) wanted.emplace(key, &list.front().policy);
  for (const XfrmPolicy& policy : standing) wanted.emplace(policy.key(), &policy);
  leftover_policies.clear();
  for (const XfrmPolicy& policy : *there) {
    const auto found = wanted.find(policy.key());
    if (found != wanted.end() && stands(policy, *found->second)) {
      wanted.erase(found);
    } else {
      leftover_policies.emplace(policy.key(), policy);  // for one of another look: to be replaced
    }
  }
  std::vector<XfrmPolicy> missing;
  for (const auto& [key, policy] : wanted) missing.push_back(*policy);
  return put_policies(missing, {});
}

// The wanted ones that the pair is the narrowest for go to the kernel, in place of what others have there.
Result<void> Guard::State::claim(const ProtectPolicy& policy, std::span<const XfrmPolicy> wanted) {
  std::vector<XfrmPolicy> decided;       // by this pair
  std::vector<XfrmPolicy> standing_now;  // by whomever until now
  for (const XfrmPolicy& one : wanted) {
    const GuardClaim mine{policy.reqid, policy.selectors, one};
    const auto found = claims.find(one.key());
    if (found != claims.end() && found->second.front().reqid != policy.reqid &&
        found->second.front().before(mine)) {
      continue;
    }
    decided.push_back(one);
    if (found != claims.end()) standing_now.push_back(found->second.front().policy);
  }
  if (auto put = put_policies(decided, standing_now); !put) {
    static_cast<void>(put_policies(standing_now, standing_now));  // what was replaced before the error
    return put;
  }
  for (const XfrmPolicy& one : wanted) {
    std::vector<GuardClaim>& list = claims[one.key()];
    std::erase_if(list, [&](const GuardClaim& claim) { return claim.reqid == policy.reqid; });
    list.push_back({policy.reqid, policy.selectors, one});
    std::sort(list.begin(), list.end(), [](const GuardClaim& a, const GuardClaim& b) { return a.before(b); });
  }
  return {};
}

// The next narrowest pair's takes its place, without an unguarded moment.
Result<void> Guard::State::give_up(Reqid reqid, std::span<const XfrmPolicy> policies) {
  std::vector<XfrmPolicy> heirs;
  std::vector<XfrmPolicy> gone;
  for (const XfrmPolicy& policy : policies) {
    const auto found = claims.find(policy.key());
    if (found == claims.end()) continue;
    const bool decided = found->second.front().reqid == reqid;
    std::erase_if(found->second, [&](const GuardClaim& claim) { return claim.reqid == reqid; });
    if (found->second.empty()) {
      claims.erase(found);
      gone.push_back(policy);
    } else if (decided) {
      heirs.push_back(found->second.front().policy);
    }
  }
  FirstError errors;
  errors.note(put_policies(heirs, heirs));
  errors.note(drop_policies(gone));
  return std::move(errors).result();
}

// Makes exactly these the standing policies; they come without index and get one that says they are ours.
Result<void> Guard::State::set_standing(const std::set<XfrmPolicy>& wanted) {
  if (nftables) {
    auto changed = nftables->change({wanted.begin(), wanted.end()}, {standing.begin(), standing.end()});
    if (changed) standing = wanted;
    return changed;
  }
  FirstError errors;
  if (policies_in_doubt) {
    if (auto settled = settle_policies(); !settled) return settled;
  }
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
  // Two of one index cannot be: the kernel would give the second one of its own, and it was nobody's then.
  std::set<std::uint32_t> old_slots;
  if (kept.size() != wanted.size()) {
    for (const auto& [key, policy] : leftover_policies) old_slots.insert(policy.index);
  }
  for (const XfrmPolicy& policy : wanted) {
    if (kept.contains(policy)) continue;
    const auto leftover = leftover_policies.find(policy.key());
    XfrmPolicy numbered = policy;
    const bool takes_over = leftover != leftover_policies.end() && leftover->second.index != 0 &&
                            !slots.contains(leftover->second.index);
    numbered.index = takes_over ? leftover->second.index : kPolicyIndex;
    while (!takes_over && (slots.contains(numbered.index) || old_slots.contains(numbered.index)))
      numbered.index += 8;
    if (numbered.index >= kPolicyIndexEnd) break;  // 8192 of them: more networks than a gateway has
    auto put = put_policies({numbered}, {});
    if (put) {
      standing.insert(numbered);
      slots.insert(numbered.index);
    } else {
      old_slots.insert(numbered.index);  // it may be there
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

}  // namespace oakgate
