// Carries the core's events to the log and to who watches. What unauthenticated senders cause is rate-limited
// for both: nobody on the network can fill a disk or drown the lines that matter.
#pragma once

#include <functional>

#include "daemon/log.h"
#include "daemon/loop.h"
#include "daemon/rate_limit.h"
#include "ike/events.h"

namespace oakgate {

class EventLog {
 public:
  using Watcher = std::function<void(const ike::Event&, WallTime)>;
  using Counter = std::function<void(const ike::Event&, WallTime)>;
  // `counter`, if any, is told every event, those that the limit keeps from log and watcher too.
  EventLog(Loop& loop, const Log& log, Watcher watcher, Counter counter = {});

  void on_event(const ike::Event& event);
  // A line about what somebody at `source` caused, or may have.
  void limited(LogLevel level, const IpAddress& source, const std::string& text);

 private:
  [[nodiscard]] bool allow(const Now& now, const IpAddress& source);
  void report();

  const Log& log_;
  Watcher watcher_;
  Counter counter_;
  RateLimiter limiter_;
  Timer report_timer_;
};

}  // namespace oakgate
