#include "daemon/event_log.h"

#include <fmt/format.h>

#include "daemon/event_text.h"
#include "daemon/messages.h"

namespace oakgate {

EventLog::EventLog(Loop& loop, const Log& log, Watcher watcher, Counter counter)
    : log_(log),
      watcher_(std::move(watcher)),
      counter_(std::move(counter)),
      report_timer_(loop, [this] { report(); }) {}

bool EventLog::allow(const Now& now, const IpAddress& source) {
  const bool silent = !limiter_.report_at();
  const bool allowed = limiter_.allow(now.instant, source);
  if (silent && limiter_.report_at()) report_timer_.arm(*limiter_.report_at() - now.instant);
  return allowed;
}

void EventLog::report() {
  const Now now = read_clocks();
  const std::uint64_t count = limiter_.take_report(now.instant);
  if (count > 0) {
    tell(
        log_, LogLevel::warning, DaemonMessage::suppressed,
        fmt::format("[-] {} line{} about unauthenticated messages suppressed", count, count == 1 ? "" : "s"));
  } else if (limiter_.report_at()) {
    report_timer_.arm(*limiter_.report_at() - now.instant);
  }
}

void EventLog::on_event(const ike::Event& event) {
  const Now now = read_clocks();
  if (counter_) counter_(event, now.wall);
  if (!event.authenticated && !allow(now, event.remote ? event.remote->address : IpAddress())) return;
  const LogLevel level = event_row(event.id).level;
  if (log_.enabled(level)) log_.write(level, event_text(event), event_log_fields(event));
  watcher_(event, now.wall);
}

void EventLog::limited(LogLevel level, const IpAddress& source, const std::string& text) {
  if (allow(read_clocks(), source)) log_.write(level, text);
}

}  // namespace oakgate
