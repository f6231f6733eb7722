// `debug crypto`: who listens to what. Lines go to the client that asked, to nobody else and to no file.
// Every bound is here: how many streams, how many lines a second, how much a reader that is slow may leave
// unread. What finds no room is left out and counted, and the count is told once there is room: debugging
// never holds up the daemon, nor ends because much happens.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "daemon/control_server.h"
#include "daemon/facility.h"
#include "daemon/log.h"
#include "daemon/loop.h"
#include "ike/events.h"

namespace oakgate {

struct DebugLimits {
  std::size_t streams = 16;  // of all clients
  double lines_per_second = 100;
  double burst = 1000;              // lines
  std::size_t unread = 256U << 10;  // bytes of a client's; below ControlLimits::backlog
  Milliseconds report_after{1000};  // a count of lines left out is told so much later, if no line comes
};

// Whether `debug crypto FACILITY` shows an event. Each has at least one.
[[nodiscard]] bool is_about(ike::EventId id, Facility facility);

class DebugStreams {
 public:
  // Whose lines are wanted: these peers', and what has to do with this address. Both empty: all.
  struct Whose {
    std::set<std::string> peers;
    std::optional<IpAddress> address;
    std::string text;  // as the client wrote it
  };
  DebugStreams(Loop& loop, ControlServer& server, const DebugLimits& limits = {});

  // ErrorCode::in_use: there are too many.
  [[nodiscard]] Result<void> begin(ClientId client, std::uint64_t request, Facility facility, Whose whose);
  void forget(ClientId client);
  [[nodiscard]] bool none() const { return streams_.empty(); }

  // `json`: of the event, as `monitor` has it. `connection`: the ISAKMP SA's number, 0 if it has none yet.
  void on_event(const ike::Event& event, const Json& json, int connection);
  // What is no event of the core's.
  void on_line(Facility facility, LogLevel level, std::string_view text);

  // {"version", "streams": [{"facility", "peer", "lines", "left_out"}]}
  [[nodiscard]] Json list() const;

 private:
  struct Stream {
    Facility facility{};
    Whose whose;
    double tokens = 0;
    Instant filled{};
    std::uint64_t lines = 0;     // sent
    std::uint64_t left_out = 0;  // ever
    std::uint64_t untold = 0;    // of these
  };
  using Key = std::pair<ClientId, std::uint64_t>;
  [[nodiscard]] bool has_room(const Key& key, Stream& stream, Instant now);
  void send(const Key& key, Stream& stream, const Json& json, Instant now);
  void tell_left_out(const Key& key, Stream& stream);
  void report();

  ControlServer& server_;
  DebugLimits limits_;
  std::map<Key, Stream> streams_;
  Timer timer_;
  bool armed_ = false;
};

}  // namespace oakgate
