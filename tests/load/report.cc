#include "tests/load/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

namespace oakgate::load {

namespace {

constexpr std::array<double, 4> kPercentiles{50, 90, 99, 100};

std::vector<std::uint32_t> sorted_times(const Report& report) {
  std::vector<std::uint32_t> times = report.times_us;
  std::sort(times.begin(), times.end());
  return times;
}

}  // namespace

std::uint32_t percentile(const std::vector<std::uint32_t>& sorted, double percent) {
  if (sorted.empty()) return 0;
  const double rank = std::ceil(percent / 100 * static_cast<double>(sorted.size()));
  const auto index =
      static_cast<std::size_t>(std::clamp(rank - 1, 0.0, static_cast<double>(sorted.size() - 1)));
  return sorted[index];
}

std::vector<Report::Part> parts_of(const std::vector<double>& ends, std::size_t count) {
  std::vector<Report::Part> parts;
  std::size_t from = 0;
  double since = 0;
  for (std::size_t i = 1; i <= count; ++i) {
    const std::size_t to = ends.size() * i / count;
    if (to == from) continue;
    const double took = ends[to - 1] - since;
    parts.push_back({to, took > 0 ? static_cast<double>(to - from) / took : 0});
    since = ends[to - 1];
    from = to;
  }
  return parts;
}

std::string to_text(const Report& report) {
  const auto times = sorted_times(report);
  std::string text = fmt::format(
      "{}: {} established in {:.2f} s: {:.0f} a second; {} failed, {} unanswered, {} retransmissions\n",
      report.mode, report.established, report.seconds, report.rate(), report.failed, report.unanswered,
      report.retransmissions);
  text += "set-up time:";
  for (const double percent : kPercentiles)
    text += fmt::format(" p{:.0f} {:.2f} ms", percent, percentile(times, percent) / 1000.0);
  text += fmt::format("; own CPU {:.2f} s\n", report.own_cpu_seconds);
  for (const Report::Part& part : report.parts)
    text += fmt::format("  until {:>7} held: {:.0f} a second\n", part.held, part.rate);
  for (const auto& [kind, count] : report.failures) text += fmt::format("  failed: {} {}\n", count, kind);
  return text;
}

std::string to_json(const Report& report) {
  const auto times = sorted_times(report);
  nlohmann::json json{{"mode", report.mode},
                      {"established", report.established},
                      {"failed", report.failed},
                      {"unanswered", report.unanswered},
                      {"retransmissions", report.retransmissions},
                      {"failures", report.failures},
                      {"seconds", report.seconds},
                      {"own_cpu_seconds", report.own_cpu_seconds},
                      {"rate", report.rate()}};
  for (const double percent : kPercentiles)
    json["setup_us"][fmt::format("p{:.0f}", percent)] = percentile(times, percent);
  json["parts"] = nlohmann::json::array();
  for (const Report::Part& part : report.parts)
    json["parts"].push_back({{"held", part.held}, {"rate", part.rate}});
  return json.dump();
}

}  // namespace oakgate::load
