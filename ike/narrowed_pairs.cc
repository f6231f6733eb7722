#include "ike/narrowed_pairs.h"

#include <algorithm>

#include "ike/tunnels.h"

namespace oakgate::ike {

namespace {

bool takes_subsets(const Peer& peer, const Pair& pair) {
  return !pair.narrows && peer.config.tunnels[pair.tunnel].accept == AcceptMode::subset;
}

std::string describe_pairs(const Peer& peer) {
  std::string text;
  for (const auto& [reqid, pair] : peer.pairs) {
    if (pair.narrows) continue;
    text += (text.empty() ? "" : ", ") + pair.config.selectors.to_string();
    if (takes_subsets(peer, pair)) text += " or a part of it";
    if (text.size() > 400) return text + ", ...";
  }
  return text.empty() ? "no tunnel with this peer" : text;
}

tl::unexpected<Error> refuse(ErrorCode code, const SelectorPair& offered, const std::string& why,
                             std::string expected, std::string remedy) {
  return tl::unexpected(
      Error{code, "proxy identities not supported: " + offered.to_string() + " (local === remote)" + why,
            std::move(expected), std::move(remedy), NotifyType::invalid_id_information});
}

// The narrowest that holds it.
const Pair* wider_pair(const Peer& peer, const SelectorPair& offered) {
  const Pair* found = nullptr;
  for (const auto& [reqid, pair] : peer.pairs) {
    if (!takes_subsets(peer, pair) || !pair.config.selectors.contains(offered)) continue;
    if (found == nullptr || pair.config.selectors.narrower_than(found->config.selectors)) found = &pair;
  }
  return found;
}

// A configured pair that decides about some of this traffic before `wider` does. Linear in the number of
// pairs, once for each that an authenticated peer makes.
const Pair* other_owner(Core& core, const Pair& wider, const SelectorPair& offered) {
  for (const auto& [name, peer] : core.state().peers) {
    for (const auto& [reqid, pair] : peer->pairs) {
      const SelectorPair& selectors = pair.config.selectors;
      if (pair.narrows || reqid == wider.config.reqid || !selectors.overlaps(offered)) continue;
      if (!selectors.contains(wider.config.selectors)) return &pair;
    }
  }
  return nullptr;
}

// What RFC 2407 section 4.6.2 can say, but no SA pair can carry: it has one protocol.
std::string why_no_pair(const SelectorPair& offered) {
  const auto& [local, remote] = offered;
  if (local.protocol != remote.protocol) return "the protocol of the two sides differs";
  if ((local.port != 0 || remote.port != 0) && !has_ports(local.protocol)) return "a port without TCP or UDP";
  if (local.subnets().size() * remote.subnets().size() > kMaxSubnetPairs)
    return "the ranges come to more than " + std::to_string(kMaxSubnetPairs) + " pairs of subnets";
  return {};
}

std::size_t narrowed_of(const Peer& peer, std::size_t tunnel) {
  return static_cast<std::size_t>(std::count_if(peer.pairs.begin(), peer.pairs.end(), [&](const auto& entry) {
    return entry.second.narrows && entry.second.tunnel == tunnel;
  }));
}

std::optional<Reqid> free_reqid(EngineState& state) {
  for (std::uint32_t tried = 0; tried < kNarrowedReqids; ++tried) {
    state.last_narrowed = (state.last_narrowed + 1) % kNarrowedReqids;
    const Reqid candidate{kReqidBase + kConfiguredReqids + state.last_narrowed};
    if (!state.by_reqid.contains(candidate)) return candidate;
  }
  return std::nullopt;
}

Reqid make_pair(Core& core, Peer& peer, const Pair& wider, Reqid reqid, const SelectorPair& offered) {
  Pair& pair = peer.pairs[reqid];
  pair.config = {reqid, offered};
  pair.tunnel = wider.tunnel;
  pair.narrows = wider.config.reqid;
  core.state().by_reqid[reqid] = &peer;
  narrowed_may_go(core, reqid);  // unless an exchange comes of it
  Event event = core.event(EventId::phase2_narrowed, peer, tunnel_name(peer, pair));
  event.fields = {{"selectors", offered.to_string()}, {"of", wider.config.selectors.to_string()}};
  core.raise(std::move(event));
  return reqid;
}

// A Quick Mode about it that is not over; as responder too.
bool in_negotiation(Core& core, const Peer& peer, Reqid reqid) {
  return std::any_of(peer.ike_sas.begin(), peer.ike_sas.end(), [&](IkeSaId id) {
    const IkeSa* sa = core.find_sa(id);
    return sa != nullptr && std::any_of(sa->quick_modes.begin(), sa->quick_modes.end(), [&](const auto& one) {
             return one.second->reqid == reqid && one.second->state != State::done;
           });
  });
}

void forget_if_unused(Core& core, Reqid reqid) {
  Pair* pair = core.find_pair(reqid);
  if (pair == nullptr || !pair->narrows || !pair->sas.empty()) return;
  Peer& peer = *core.state().by_reqid.at(reqid);
  if (in_negotiation(core, peer, reqid)) return;
  core.cancel(pair->retry_timer);
  if (pair->guarded) core.effect(Unprotect{reqid});
  core.state().by_reqid.erase(reqid);
  peer.pairs.erase(reqid);
}

}  // namespace

Result<Reqid> pair_for_offer(Core& core, Peer& peer, const SelectorPair& offered,
                             std::optional<Reqid> wanted) {
  for (const auto& [reqid, pair] : peer.pairs) {
    if (pair.config.selectors.same_traffic(offered)) return reqid;
  }
  const Pair* wider = wider_pair(peer, offered);
  if (wider == nullptr) {
    return refuse(ErrorCode::proxy_id_mismatch, offered, "", describe_pairs(peer),
                  "make `local` and `remote` the exact mirror of the peer's access list");
  }
  if (const std::string why = why_no_pair(offered); !why.empty()) {
    return refuse(ErrorCode::proxy_id_mismatch, offered, ": " + why,
                  "selectors that one SA pair can carry, within " + wider->config.selectors.to_string(),
                  "change the peer's access list");
  }
  if (const Pair* other = other_owner(core, *wider, offered)) {
    const Peer& owner = *core.state().by_reqid.at(other->config.reqid);
    return refuse(ErrorCode::proxy_id_mismatch, offered,
                  ": that is traffic of " + owner.config.name + "/" + tunnel_name(owner, *other),
                  "a part of " + wider->config.selectors.to_string() + " that no other tunnel has",
                  "keep the peer's access list clear of " + other->config.selectors.to_string());
  }
  const std::size_t limit = core.limits().narrowed_per_tunnel;
  if (wanted && core.state().by_reqid.contains(*wanted)) wanted.reset();
  const auto free = wanted ? wanted : free_reqid(core.state());
  const auto reqid = narrowed_of(peer, wider->tunnel) < limit ? free : std::nullopt;
  if (!reqid) {
    return refuse(ErrorCode::in_use, offered, ": too many parts of the tunnel are in use",
                  "at most " + std::to_string(limit) + " pairs that the peer has narrowed",
                  "configure the peer's pairs in `local` and `remote` instead");
  }
  return make_pair(core, peer, *wider, *reqid, offered);
}

void narrowed_may_go(Core& core, Reqid reqid) {
  const Pair* pair = core.find_pair(reqid);
  if (pair != nullptr && pair->narrows) core.state().narrowed_left.push_back(reqid);
}

void forget_unused_narrowed(Core& core) {
  std::vector<Reqid> candidates;
  candidates.swap(core.state().narrowed_left);
  for (const Reqid reqid : candidates) forget_if_unused(core, reqid);
}

std::vector<Reqid> narrowed_out_of_place(Core& core, const Peer& peer) {
  std::vector<Reqid> found;
  for (const auto& [reqid, pair] : peer.pairs) {
    if (pair.narrows && other_owner(core, peer.pairs.at(*pair.narrows), pair.config.selectors) != nullptr)
      found.push_back(reqid);
  }
  return found;
}

bool is_served(const Peer& peer, const Pair& pair) {
  return !pair.sas.empty() || std::any_of(peer.pairs.begin(), peer.pairs.end(), [&](const auto& entry) {
    return entry.second.narrows == pair.config.reqid && !entry.second.sas.empty();
  });
}

}  // namespace oakgate::ike
