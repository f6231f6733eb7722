// Where lines go: standard error in plain text, or the system's journal (syslog where there is none) with
// structured fields. One line a call: a text that holds line breaks is the caller's mistake and is escaped.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "daemon/facility.h"

namespace oakgate {

enum class LogLevel { error, warning, notice, info, debug };
[[nodiscard]] std::string_view to_string(LogLevel level);
[[nodiscard]] std::optional<LogLevel> find_log_level(std::string_view name);

// A structured field of the journal: "OAKGATE_PEER", "branch-7". oakgated(8) lists them.
struct LogField {
  std::string name;
  std::string value;
};

class LogSink {
 public:
  virtual ~LogSink() = default;
  virtual void write(LogLevel level, std::string_view text, std::span<const LogField> fields) = 0;
};

class Log {
 public:
  // Drops what is less urgent than `threshold`.
  Log(std::unique_ptr<LogSink> sink, LogLevel threshold) : sink_(std::move(sink)), threshold_(threshold) {}
  [[nodiscard]] bool enabled(LogLevel level) const { return level <= threshold_; }
  void write(LogLevel level, std::string_view text, std::span<const LogField> fields = {}) const;
  // A line that `debug crypto` shows as well, whatever the threshold.
  void write(Facility facility, LogLevel level, std::string_view text) const;
  using Listener = std::function<void(Facility, LogLevel, std::string_view text)>;
  // Is told the lines of the facilities, on the thread that writes them. One at a time; empty: nobody.
  void listen(Listener listener) const { *listener_ = std::move(listener); }
  void error(std::string_view text) const { write(LogLevel::error, text); }
  void warning(std::string_view text) const { write(LogLevel::warning, text); }
  void notice(std::string_view text) const { write(LogLevel::notice, text); }

 private:
  std::unique_ptr<LogSink> sink_;
  std::unique_ptr<Listener> listener_ = std::make_unique<Listener>();
  LogLevel threshold_;
};

// "2026-11-20T20:11:04.123Z notice  text"
[[nodiscard]] std::unique_ptr<LogSink> make_stderr_sink();
// The journal if its socket is there, syslog (facility daemon) otherwise.
[[nodiscard]] std::unique_ptr<LogSink> make_system_sink();

}  // namespace oakgate
