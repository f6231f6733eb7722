// The engine's tables: policies and SAs come and go. The way of packets is in esp_outbound.cc
// and esp_inbound.cc.
#include "xfrm/soft/esp_engine.h"

#include <algorithm>
#include <variant>

namespace oakgate::soft {

EspEngine::EspEngine(EngineEnvironment environment) : environment_(std::move(environment)) {
  constexpr std::size_t kRoom = PacketBatch::kCapacity;
  leaving_.reserve(kRoom);
  found_.reserve(kRoom);
  arriving_.reserve(kRoom);
  sealing_.reserve(kRoom);
  opening_.reserve(kRoom);
  authenticating_.reserve(kRoom);
  // Of a bundle both SAs.
  buried_outbound_.reserve(2 * kRoom);
  buried_inbound_.reserve(2 * kRoom);
}

EspEngine::Tunnel& EspEngine::tunnel(Reqid reqid) {
  std::unique_ptr<Tunnel>& found = tunnels_[reqid];
  if (!found) {
    found = std::make_unique<Tunnel>();
    found->reqid = reqid;
  }
  return *found;
}

EspEngine::Tunnel* EspEngine::find(Reqid reqid) const {
  const auto* const found = tunnels_.find(reqid);
  return found != nullptr ? found->get() : nullptr;
}

void EspEngine::forget_if_empty(Reqid reqid) {
  const Tunnel* const found = find(reqid);
  if (found == nullptr || found->policy || !found->outbound.empty()) return;
  waiting_ -= found->waiting.size();
  tunnels_.erase(reqid);
}

Result<void> EspEngine::protect(const ProtectPolicy& policy) {
  const SelectorPair& pair = policy.selectors;
  if (pair.local.subnet.family() != pair.remote.subnet.family()) {
    return fail(ErrorCode::unsupported, "the selectors " + pair.to_string() + " are of two families",
                "IPv4 or IPv6 for both");
  }
  std::optional<ProtectPolicy> fresh = policy;
  Tunnel& entry = tunnel(policy.reqid);
  if (entry.policy) selectors_.erase(entry.policy->selectors, &entry);
  entry.policy.reset();
  try {
    selectors_.insert(pair, &entry);
  } catch (const std::bad_alloc&) {
    forget_if_empty(policy.reqid);
    throw;
  }
  entry.policy = std::move(fresh);
  return {};
}

void EspEngine::unprotect(Reqid reqid) {
  Tunnel* const found = find(reqid);
  if (found == nullptr || !found->policy) return;
  selectors_.erase(found->policy->selectors, found);
  found->policy.reset();
  waiting_ -= found->waiting.size();
  found->waiting.clear();
  forget_if_empty(reqid);
}

std::optional<ProtectPolicy> EspEngine::policy(Reqid reqid) const {
  const Tunnel* const found = find(reqid);
  if (found == nullptr) return std::nullopt;
  return found->policy;
}

// All that a look-up of each may read, at once instead of one after the other: of many SAs it is not in the
// cache.
void EspEngine::prefetch_tables(const SaId& id) const {
  inbound_.prefetch(id);
  outbound_.prefetch(id);
}

Result<void> EspEngine::install(std::span<const SaSpec> sas, Instant now) {
  for (const SaSpec& spec : sas) {
    prefetch_tables(spec.id);
    tunnels_.prefetch(spec.reqid);
  }
  // Everything that can fail comes first: all or none.
  std::vector<std::variant<std::unique_ptr<OutboundSa>, std::unique_ptr<InboundSa>>> made;
  std::set<SaId> ids;
  for (const SaSpec& spec : sas) {
    if (find(spec.id) != nullptr || !ids.insert(spec.id).second) {
      return fail(ErrorCode::in_use,
                  "an SA to " + spec.id.destination.to_string() + " with the same SPI is installed",
                  "an SPI that no SA to this address has");
    }
    if (spec.direction == Direction::out) {
      auto sa = make_outbound_sa(spec, now);
      if (!sa) return fail(std::move(sa.error()));
      made.emplace_back(std::move(*sa));
    } else {
      auto sa = make_inbound_sa(spec, now);
      if (!sa) return fail(std::move(sa.error()));
      made.emplace_back(std::move(*sa));
    }
  }
  try {
    for (auto& sa : made) {
      if (auto* inbound = std::get_if<std::unique_ptr<InboundSa>>(&sa)) {
        enter(std::move(*inbound));
      } else {
        enter(std::move(std::get<std::unique_ptr<OutboundSa>>(sa)));
      }
    }
  } catch (const std::bad_alloc&) {
    for (const SaId& id : ids) {
      erase(id);
      bury();
    }
    throw;
  }
  return {};
}

// First what erase() finds it by, then the rest.
void EspEngine::enter(std::unique_ptr<InboundSa> sa) {
  const SaId id = sa->state.id;
  const SaState& state = (inbound_[id] = std::move(sa))->state;
  if (state.expires) expiries_.emplace(*state.expires, id);
}

void EspEngine::enter(std::unique_ptr<OutboundSa> fresh) {
  const SaId id = fresh->state.id;
  OutboundSa& sa = *(outbound_[id] = std::move(fresh));
  const SaState& state = sa.state;
  if (state.expires) expiries_.emplace(*state.expires, id);
  const bool over_esp = state.id.protocol == IpsecProtocol::ah && sa.bundle;
  if (over_esp) return;
  Tunnel& entry = tunnel(state.reqid);
  entry.outbound.push_back(&sa);
  entry.newest = &sa;
  if (!entry.waiting.empty()) ready_.push_back(state.reqid);
}

SaState* EspEngine::find(const SaId& id) const {
  if (const auto* const inbound = inbound_.find(id)) return &(*inbound)->state;
  if (const auto* const outbound = outbound_.find(id)) return &(*outbound)->state;
  return nullptr;
}

std::uint64_t EspEngine::last_sequence(const SaId& id) const {
  if (const auto* const inbound = inbound_.find(id)) return (*inbound)->window.top();
  const auto* const outbound = outbound_.find(id);
  return outbound != nullptr ? (*outbound)->sequence.last() : 0;
}

void EspEngine::erase(const SaId& id) {
  SaState* const state = find(id);
  if (state == nullptr) return;
  if (state->expires) expiries_.erase({*state->expires, id});
  state->gone = true;
  if (auto* const inbound = inbound_.find(id)) {
    buried_inbound_.push_back(std::move(*inbound));
    inbound_.erase(id);
    return;
  }
  auto* const outbound = outbound_.find(id);
  const Reqid reqid = state->reqid;
  if (Tunnel* const entry = find(reqid)) {
    std::erase(entry->outbound, outbound->get());
    entry->newest = entry->outbound.empty() ? nullptr : entry->outbound.back();
  }
  buried_outbound_.push_back(std::move(*outbound));
  outbound_.erase(id);
  forget_if_empty(reqid);
}

void EspEngine::bury() {
  buried_outbound_.clear();
  buried_inbound_.clear();
}

void EspEngine::remove(std::span<const SaId> sas) {
  for (const SaId& id : sas) prefetch_tables(id);
  for (const SaId& id : sas) {
    erase(id);
    bury();
  }
}

void EspEngine::rename(const SaId& id, const SaId& to) {
  std::unique_ptr<OutboundSa>& place = outbound_[to];
  place = std::move(*outbound_.find(id));
  outbound_.erase(id);
  SaState& state = (*outbound_.find(to))->state;
  state.id = to;
  if (!state.expires) return;
  auto expiry = expiries_.extract({*state.expires, id});
  expiry.value().second = to;
  expiries_.insert(std::move(expiry));
}

Result<std::vector<SaId>> EspEngine::move(std::span<const SaMove> sas) {
  std::vector<SaId> names;
  for (const SaMove& move : sas) {
    if (find(move.id) == nullptr) {
      return fail(ErrorCode::not_found, "the SA to " + move.id.destination.to_string() + " is gone");
    }
    SaId name = move.id;
    if (outbound_.find(move.id) != nullptr) name.destination = move.remote.address;
    const bool taken = (name != move.id && find(name) != nullptr) ||
                       std::find(names.begin(), names.end(), name) != names.end();
    if (taken || name.destination.family() != move.id.destination.family()) {
      return fail(
          ErrorCode::in_use,
          "the SA to " + move.id.destination.to_string() + " cannot go on to " + move.remote.to_string(),
          "an address of the same family, to which no SA has its SPI");
    }
    names.push_back(name);
  }
  for (const SaMove& move : sas) {
    if (auto* const inbound = inbound_.find(move.id)) {
      (*inbound)->remote = move.remote;
    } else if (auto* const outbound = outbound_.find(move.id)) {
      OuterPath& path = (*outbound)->path;
      path.destination = move.remote.address;
      if (path.encapsulation) path.encapsulation->remote_port = move.remote.port;
      (*outbound)->path_mtu = 0;  // of another path
      SaId name = move.id;
      name.destination = move.remote.address;
      if (name != move.id) rename(move.id, name);
    }
  }
  return names;
}

std::vector<SaCounters> EspEngine::counters(std::span<const SaId> sas) const {
  std::vector<SaCounters> out;
  out.reserve(sas.size());
  for (const SaId& id : sas) prefetch_tables(id);
  for (const SaId& id : sas) {
    const SaState* const state = find(id);
    SaCounters& one = out.emplace_back(state != nullptr ? state->report() : SaCounters{.id = id});
    one.sequence = last_sequence(id);
  }
  return out;
}

void EspEngine::expired(const SaState& state, EngineOutput& out) {
  const SaId id = state.id;  // a copy: the state goes with the SA
  out.expired.push_back({id, state.reqid, state.report()});
  erase(id);
}

// Some at once: of each first its place in the tables is on its way into the cache, then what lies there.
void EspEngine::expire(Instant now, EngineOutput& out) {
  std::array<SaId, kExpiredAtOnce> ids;
  while (true) {
    std::size_t count = 0;
    for (auto at = expiries_.begin(); at != expiries_.end() && at->first <= now && count < ids.size(); ++at) {
      prefetch_tables(at->second);
      ids[count++] = at->second;
    }
    if (count == 0) return;
    const std::span<const SaId> some = std::span(ids).first(count);
    for (const SaId& id : some) {
      if (const SaState* const state = find(id)) {
        prefetch_line(state);
        tunnels_.prefetch(state->reqid);
      }
    }
    for (const SaId& id : some) {
      if (const SaState* const state = find(id)) expired(*state, out);
      bury();
    }
  }
}

std::optional<Instant> EspEngine::next_expiry() const {
  if (expiries_.empty()) return std::nullopt;
  return expiries_.begin()->first;
}

bool EspEngine::take_waiting(PacketBatch& batch, Instant now) {
  static_assert(kWaitingPackets <= PacketBatch::kCapacity);
  batch.clear();
  while (!ready_.empty()) {
    if (Tunnel* const found = find(ready_.back())) {
      std::vector<Waiting>& waiting = found->waiting;
      if (batch.size() + waiting.size() > PacketBatch::kCapacity) break;
      for (const Waiting& entry : waiting) {
        if (now - entry.since > kWaitingTime) continue;
        std::copy(entry.packet.begin(), entry.packet.end(), batch.next_room().begin());
        batch.add(batch.next_room().first(entry.packet.size()));
      }
      waiting_ -= waiting.size();
      waiting.clear();
    }
    ready_.pop_back();
  }
  return batch.size() != 0;
}

}  // namespace oakgate::soft
