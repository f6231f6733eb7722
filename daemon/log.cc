#include "daemon/log.h"

#include <fmt/format.h>
#include <sys/uio.h>
#include <syslog.h>
#define SD_JOURNAL_SUPPRESS_LOCATION  // the place in our source tells an operator nothing
#include <systemd/sd-journal.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <vector>

#include "daemon/text.h"

namespace oakgate {

namespace {

struct LevelRow {
  std::string_view name;
  int syslog;
};
constexpr std::array<LevelRow, 5> kLevels{{{"error", LOG_ERR},
                                           {"warning", LOG_WARNING},
                                           {"notice", LOG_NOTICE},
                                           {"info", LOG_INFO},
                                           {"debug", LOG_DEBUG}}};
constexpr std::size_t kMaxLine = 4096;
constexpr const char* kJournalSocket = "/run/systemd/journal/socket";

int syslog_level(LogLevel level) {
  return kLevels[static_cast<std::size_t>(level)].syslog;
}

class StderrSink final : public LogSink {
 public:
  void write(LogLevel level, std::string_view text, std::span<const LogField> /*fields*/) override {
    const auto now = std::chrono::system_clock::now();
    const auto second = std::chrono::floor<std::chrono::seconds>(now);
    const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(now - second).count();
    std::string stamp = iso_time(second);
    stamp.pop_back();
    fmt::print(stderr, "{}.{:03}Z {:<7} {}\n", stamp, millis, to_string(level), text);
  }
};

class JournalSink final : public LogSink {
 public:
  void write(LogLevel level, std::string_view text, std::span<const LogField> fields) override {
    std::vector<std::string> entries{fmt::format("MESSAGE={}", text),
                                     fmt::format("PRIORITY={}", syslog_level(level)),
                                     "SYSLOG_IDENTIFIER=oakgated"};
    for (const LogField& field : fields) entries.push_back(fmt::format("{}={}", field.name, field.value));
    std::vector<iovec> vectors;
    vectors.reserve(entries.size());
    for (std::string& entry : entries) vectors.push_back({entry.data(), entry.size()});
    sd_journal_sendv(vectors.data(), static_cast<int>(vectors.size()));
  }
};

class SyslogSink final : public LogSink {
 public:
  SyslogSink() { openlog("oakgated", LOG_PID, LOG_DAEMON); }
  void write(LogLevel level, std::string_view text, std::span<const LogField> /*fields*/) override {
    syslog(syslog_level(level), "%s", std::string(text).c_str());
  }
};

}  // namespace

std::string_view to_string(LogLevel level) {
  return kLevels[static_cast<std::size_t>(level)].name;
}

std::optional<LogLevel> find_log_level(std::string_view name) {
  for (std::size_t i = 0; i < kLevels.size(); ++i) {
    if (kLevels[i].name == name) return static_cast<LogLevel>(i);
  }
  return std::nullopt;
}

void Log::write(LogLevel level, std::string_view text, std::span<const LogField> fields) const {
  if (!enabled(level)) return;
  const bool clean = text.size() <= kMaxLine && text.find_first_of("\r\n") == std::string_view::npos;
  sink_->write(level, clean ? text : printable(text, kMaxLine), fields);
}

void Log::write(Facility facility, LogLevel level, std::string_view text) const {
  write(level, text);
  if (*listener_) (*listener_)(facility, level, text);
}

std::unique_ptr<LogSink> make_stderr_sink() {
  return std::make_unique<StderrSink>();
}

std::unique_ptr<LogSink> make_system_sink() {
  if (::access(kJournalSocket, W_OK) == 0) return std::make_unique<JournalSink>();
  return std::make_unique<SyslogSink>();
}

}  // namespace oakgate
