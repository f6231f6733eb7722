#include "daemon/debug_streams.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "daemon/event_text.h"
#include "daemon/text.h"

namespace oakgate {

namespace {

using ike::EventId;

constexpr unsigned bit(Facility facility) {
  return 1U << static_cast<unsigned>(facility);
}
constexpr unsigned kIsakmp = bit(Facility::isakmp);
constexpr unsigned kIpsec = bit(Facility::ipsec);
constexpr unsigned kEngine = bit(Facility::engine);
constexpr unsigned kPki = bit(Facility::pki);

// Whatever is not here is ISAKMP's.
struct EventFacilities {
  EventId id;
  unsigned facilities;
};
constexpr std::array kEvents{
    EventFacilities{EventId::phase2_started, kIsakmp | kIpsec},
    EventFacilities{EventId::phase2_established, kIpsec | kEngine},
    EventFacilities{EventId::phase2_failed, kIsakmp | kIpsec},
    EventFacilities{EventId::phase2_no_proposal, kIsakmp | kIpsec},
    EventFacilities{EventId::phase2_proxy_ids, kIpsec},
    EventFacilities{EventId::phase2_narrowed, kIpsec},
    EventFacilities{EventId::phase2_adopted, kIpsec | kEngine},
    EventFacilities{EventId::phase2_rekeying, kIpsec},
    EventFacilities{EventId::phase2_deleted, kIpsec | kEngine},
    EventFacilities{EventId::phase2_expired, kIpsec | kEngine},
    EventFacilities{EventId::own_identity_changed, kIsakmp | kPki},
    EventFacilities{EventId::own_identity_unproved, kIsakmp | kPki},
    EventFacilities{EventId::certificate_requested, kIsakmp | kPki},
    EventFacilities{EventId::certificate_verified, kIsakmp | kPki},
    EventFacilities{EventId::peer_revoked, kIsakmp | kPki},
    EventFacilities{EventId::commit_awaited, kIsakmp | kIpsec},
    EventFacilities{EventId::commit_unanswered, kIsakmp | kIpsec},
    EventFacilities{EventId::weak_used, kIsakmp | kIpsec},
    EventFacilities{EventId::data_plane_failed, kIpsec | kEngine},
    EventFacilities{EventId::hook_ran, kIpsec},
    EventFacilities{EventId::hook_failed, kIpsec},
};

unsigned facilities_of(EventId id) {
  const auto* const row =
      std::find_if(kEvents.begin(), kEvents.end(), [id](const EventFacilities& one) { return one.id == id; });
  return row == kEvents.end() ? kIsakmp : row->facilities;
}

bool concerns(const DebugStreams::Whose& whose, const ike::Event& event) {
  if (whose.peers.empty() && !whose.address) return true;
  if (!event.peer.empty() && whose.peers.contains(event.peer)) return true;
  return whose.address && event.remote && event.remote->address == *whose.address;
}

}  // namespace

bool is_about(EventId id, Facility facility) {
  return (facilities_of(id) & bit(facility)) != 0;
}

DebugStreams::DebugStreams(Loop& loop, ControlServer& server, const DebugLimits& limits)
    : server_(server), limits_(limits), timer_(loop, [this] { report(); }) {}

Result<void> DebugStreams::begin(ClientId client, std::uint64_t request, Facility facility, Whose whose) {
  if (streams_.size() >= limits_.streams) {
    return fail(ErrorCode::in_use, fmt::format("{} callers are debugging already", streams_.size()),
                fmt::format("at most {}", limits_.streams), "end some of them: `oakgate show debugging`");
  }
  Stream stream;
  stream.facility = facility;
  stream.whose = std::move(whose);
  stream.tokens = limits_.burst;
  stream.filled = read_clocks().instant;
  streams_.insert_or_assign({client, request}, std::move(stream));
  return {};
}

void DebugStreams::forget(ClientId client) {
  std::erase_if(streams_, [client](const auto& entry) { return entry.first.first == client; });
}

// A client for which there is room is far from being dropped as one that lags: streams_ does not change while
// lines go out.
bool DebugStreams::has_room(const Key& key, Stream& stream, Instant now) {
  const double seconds = std::chrono::duration<double>(now - stream.filled).count();
  stream.tokens = std::min(limits_.burst, stream.tokens + seconds * limits_.lines_per_second);
  stream.filled = now;
  return stream.tokens >= 1 && server_.unread(key.first) <= limits_.unread;
}

void DebugStreams::tell_left_out(const Key& key, Stream& stream) {
  const std::uint64_t count = std::exchange(stream.untold, 0);
  stream.tokens -= 1;
  server_.stream(
      key.first,
      event_line(key.second, {{"at", iso_time(read_clocks().wall)},
                              {"event", "left-out"},
                              {"level", "notice"},
                              {"lines", count},
                              {"line", fmt::format("{} line{} left out", count, count == 1 ? "" : "s")}}));
}

void DebugStreams::send(const Key& key, Stream& stream, const Json& json, Instant now) {
  bool room = has_room(key, stream, now);
  if (room && stream.untold > 0) {
    tell_left_out(key, stream);
    room = stream.tokens >= 1;
  }
  if (room) {
    stream.tokens -= 1;
    ++stream.lines;
    server_.stream(key.first, event_line(key.second, json));
    return;
  }
  ++stream.left_out;
  ++stream.untold;
  if (std::exchange(armed_, true)) return;
  timer_.arm(limits_.report_after);
}

void DebugStreams::report() {
  armed_ = false;
  const Instant now = read_clocks().instant;
  bool more = false;
  for (auto& [key, stream] : streams_) {
    if (stream.untold == 0) continue;
    if (has_room(key, stream, now)) {
      tell_left_out(key, stream);
    } else {
      more = true;
    }
  }
  if (!more) return;
  armed_ = true;
  timer_.arm(limits_.report_after);
}

void DebugStreams::on_event(const ike::Event& event, const Json& json, int connection) {
  if (streams_.empty()) return;
  Json line = json;
  line["connection"] = connection;
  line["line"] = event_words(event);
  const Instant now = read_clocks().instant;
  for (auto& [key, stream] : streams_) {
    if (is_about(event.id, stream.facility) && concerns(stream.whose, event)) send(key, stream, line, now);
  }
}

void DebugStreams::on_line(Facility facility, LogLevel level, std::string_view text) {
  if (streams_.empty()) return;
  const Now now = read_clocks();
  const Json line{{"at", iso_time(now.wall)},
                  {"event", "line"},
                  {"level", to_string(level)},
                  {"line", printable(std::string(text), 2048)}};
  for (auto& [key, stream] : streams_) {
    const bool everybody = stream.whose.peers.empty() && !stream.whose.address;
    if (stream.facility == facility && everybody) send(key, stream, line, now.instant);
  }
}

Json DebugStreams::list() const {
  Json streams = Json::array();
  for (const auto& [key, stream] : streams_) {
    streams.push_back({{"facility", to_string(stream.facility)},
                       {"peer", printable(stream.whose.text)},
                       {"lines", stream.lines},
                       {"left_out", stream.left_out}});
  }
  return {{"version", kControlVersion}, {"streams", std::move(streams)}};
}

}  // namespace oakgate
