#include "ike/failure_book.h"

#include <algorithm>
#include <set>

namespace oakgate::ike {

namespace {

// Whose error is about a negotiation, or why there can be none.
bool tells_a_failure(const Event& event) {
  if (!event.error) return false;
  switch (event.id) {
    case EventId::phase1_no_policy:
    case EventId::phase1_failed:
    case EventId::phase2_failed:
    case EventId::phase2_no_proposal:
    case EventId::phase2_proxy_ids:
    case EventId::peer_revoked:
    case EventId::peer_dead:
    case EventId::xauth_refused:
    case EventId::message_rejected:
    case EventId::unknown_peer:
    case EventId::limit_reached:
    case EventId::weak_waiver_expired:
    case EventId::data_plane_failed:
      return true;
    default:
      return false;
  }
}

void cut(std::string& text) {
  if (text.size() > FailureBook::kText) text.resize(FailureBook::kText);
}

ProposalReport cut(const ProposalReport& report) {
  ProposalReport kept(report.begin(), report.begin() + static_cast<std::ptrdiff_t>(std::min(
                                                           report.size(), FailureBook::kComparisons)));
  for (ProposalComparison& one : kept) {
    cut(one.offered);
    cut(one.wanted);
    for (AttributeDifference& difference : one.differences) {
      cut(difference.theirs);
      cut(difference.ours);
    }
  }
  return kept;
}

Failure failure_of(const Event& event, WallTime at) {
  Failure failure;
  failure.event = event.id;
  failure.first = at;
  failure.last = at;
  failure.tunnel = event.tunnel;
  failure.local = event.local;
  failure.remote = event.remote;
  failure.cookies = event.cookies;
  failure.fields = event.fields;
  for (Field& field : failure.fields) cut(field.second);
  failure.error = *event.error;
  cut(failure.error.text);
  cut(failure.error.expected);
  cut(failure.error.remedy);
  failure.proposals = cut(event.proposals);
  failure.authenticated = event.authenticated;
  return failure;
}

void add_fields(Failure& failure, const Event& event) {
  for (const Field& fresh : event.fields) {
    const bool there = std::any_of(failure.fields.begin(), failure.fields.end(),
                                   [&](const Field& one) { return one.first == fresh.first; });
    if (there) continue;
    failure.fields.push_back(fresh);
    cut(failure.fields.back().second);
  }
}

bool same_text(const std::string& kept, const std::string& fresh) {
  return std::string_view(fresh).substr(0, FailureBook::kText) == kept;
}

}  // namespace

void FailureBook::configure(const std::vector<std::string>& peers) {
  const std::set<std::string> wanted(peers.begin(), peers.end());
  std::erase_if(peers_, [&](const auto& entry) {
    if (wanted.contains(entry.first)) return false;
    size_ -= entry.second.failures.size();
    return true;
  });
  for (const std::string& name : peers) peers_.try_emplace(name);
}

bool FailureBook::merge(Ring& ring, const Event& event, WallTime at) {
  for (auto one = ring.rbegin(); one != ring.rend(); ++one) {
    if (one->error.code != event.error->code || !same_text(one->error.text, event.error->text)) continue;
    // A refusal is told by an event of its own, and the end of its negotiation by a second one.
    const bool same_negotiation = event.cookies && one->cookies == event.cookies && one->event != event.id;
    if (!same_negotiation && (one->tunnel != event.tunnel || one->authenticated != event.authenticated))
      continue;
    Failure moved = std::move(*one);
    ring.erase(std::next(one).base());
    if (!same_negotiation) ++moved.times;
    moved.last = at;
    moved.cookies = event.cookies;
    if (event.remote) moved.remote = event.remote;
    if (!event.proposals.empty()) moved.proposals = cut(event.proposals);
    if (moved.tunnel.empty()) moved.tunnel = event.tunnel;
    moved.authenticated = moved.authenticated || event.authenticated;
    add_fields(moved, event);
    ring.push_back(std::move(moved));
    return true;
  }
  return false;
}

void FailureBook::make_room(Ring& ring, std::size_t bound, bool authenticated) {
  const auto unproved = [](const Failure& one) { return !one.authenticated; };
  while (ring.size() >= bound) {
    const auto many = static_cast<std::size_t>(std::count_if(ring.begin(), ring.end(), unproved));
    auto victim = ring.begin();
    if (!authenticated && many >= (bound + 1) / 2) victim = std::find_if(ring.begin(), ring.end(), unproved);
    ring.erase(victim);
    --size_;
  }
  if (authenticated || bound < 2) return;
  // Half of the places at most, whether or not the others are taken.
  while (static_cast<std::size_t>(std::count_if(ring.begin(), ring.end(), unproved)) >= bound / 2) {
    ring.erase(std::find_if(ring.begin(), ring.end(), unproved));
    --size_;
  }
}

void FailureBook::note(const Event& event, WallTime at) {
  const auto peer = peers_.find(event.peer);
  if (peer != peers_.end() &&
      (event.id == EventId::phase1_established || event.id == EventId::phase2_established))
    peer->second.last_up = at;
  if (!tells_a_failure(event)) return;
  const bool stranger = peer == peers_.end();
  Ring& ring = stranger ? strangers_ : peer->second.failures;
  if (merge(ring, event, at)) return;
  const std::size_t bound = stranger ? kOfStrangers : size_ < kInAll ? kOfAPeer : 1;
  make_room(ring, bound, stranger || event.authenticated);
  ring.push_back(failure_of(event, at));
  ++size_;
}

std::vector<Failure> FailureBook::of(const std::string& peer) const {
  const auto found = peers_.find(peer);
  if (found == peers_.end()) return {};
  return {found->second.failures.rbegin(), found->second.failures.rend()};
}

std::vector<Failure> FailureBook::of_strangers() const {
  return {strangers_.rbegin(), strangers_.rend()};
}

std::optional<WallTime> FailureBook::last_up(const std::string& peer) const {
  const auto found = peers_.find(peer);
  return found == peers_.end() ? std::nullopt : found->second.last_up;
}

}  // namespace oakgate::ike
