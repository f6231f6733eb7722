#include "daemon/text.h"

#include <fmt/format.h>

#include <array>
#include <chrono>

namespace oakgate {

std::string iso_time(WallTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count());
}

std::string duration_text(Seconds duration) {
  struct Unit {
    const char* name;
    std::int64_t seconds;
  };
  static constexpr std::array<Unit, 4> units{{{"d", 86400}, {"h", 3600}, {"min", 60}, {"s", 1}}};
  const std::int64_t total = duration.count() < 0 ? 0 : duration.count();
  for (std::size_t i = 0; i < units.size(); ++i) {
    const std::int64_t whole = total / units[i].seconds;
    if (whole == 0) continue;
    // Minutes with seconds help nobody who reads a status screen.
    if (i + 2 >= units.size()) return fmt::format("{} {}", whole, units[i].name);
    const std::int64_t rest = total % units[i].seconds / units[i + 1].seconds;
    if (rest == 0) return fmt::format("{} {}", whole, units[i].name);
    return fmt::format("{} {} {} {}", whole, units[i].name, rest, units[i + 1].name);
  }
  return "0 s";
}

std::string bytes_text(std::uint64_t bytes) {
  static constexpr std::array<const char*, 5> units{"kB", "MB", "GB", "TB", "PB"};
  if (bytes < 1000) return fmt::format("{} B", bytes);
  auto value = static_cast<double>(bytes) / 1000;
  std::size_t unit = 0;
  while (value >= 999.95 && unit + 1 < units.size()) {
    value /= 1000;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, units[unit]);
}

std::string error_text(const Error& error) {
  std::string text = error.text;
  if (!error.expected.empty()) text += "; expected " + error.expected;
  if (!error.remedy.empty()) text += "; to mend it: " + error.remedy;
  return text;
}

}  // namespace oakgate
