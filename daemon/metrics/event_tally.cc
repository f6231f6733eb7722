#include "daemon/metrics/event_tally.h"

#include <optional>
#include <set>

namespace oakgate::metrics {

namespace {

std::optional<Stage> stage_of(ike::EventId id) {
  switch (id) {
    case ike::EventId::phase1_failed:
      return Stage::phase1;
    case ike::EventId::phase2_failed:
      return Stage::phase2;
    case ike::EventId::message_rejected:
    case ike::EventId::unknown_peer:
    case ike::EventId::limit_reached:
      return Stage::message;
    default:
      return std::nullopt;
  }
}

template <typename Names, typename Key>
void keep_only(std::map<Key, Negotiations>& counts, const Names& names) {
  std::erase_if(counts, [&](const auto& entry) { return !names.contains(entry.first); });
  for (const Key& name : names) counts.try_emplace(name);
}

void add(Negotiations& counts, bool established) {
  ++(established ? counts.established : counts.failed);
}

}  // namespace

void EventTally::configure(const std::vector<TunnelName>& tunnels) {
  std::set<std::string> peers;
  for (const TunnelName& one : tunnels) peers.insert(one.peer);
  keep_only(peers_, peers);
  keep_only(tunnels_, std::set<TunnelName>(tunnels.begin(), tunnels.end()));
}

void EventCounts::count(const ike::Event& event) {
  ++events_[static_cast<std::size_t>(event.id)];
  if (const auto stage = stage_of(event.id); stage && event.error)
    ++failures_[static_cast<std::size_t>(*stage)][static_cast<std::size_t>(event.error->code)];
}

void EventTally::count(const ike::Event& event) {
  whole_.count(event);
  const bool phase1_up = event.id == ike::EventId::phase1_established;
  if (phase1_up || event.id == ike::EventId::phase1_failed) {
    if (const auto peer = peers_.find(event.peer); peer != peers_.end()) add(peer->second, phase1_up);
  }
  const bool phase2_up = event.id == ike::EventId::phase2_established;
  if (phase2_up || event.id == ike::EventId::phase2_failed) {
    const auto tunnel = tunnels_.find({event.peer, event.tunnel});
    if (tunnel != tunnels_.end()) add(tunnel->second, phase2_up);
  }
}

Negotiations EventTally::phase1_of(const std::string& peer) const {
  const auto found = peers_.find(peer);
  return found == peers_.end() ? Negotiations{} : found->second;
}

Negotiations EventTally::phase2_of(const TunnelName& tunnel) const {
  const auto found = tunnels_.find(tunnel);
  return found == tunnels_.end() ? Negotiations{} : found->second;
}

}  // namespace oakgate::metrics
