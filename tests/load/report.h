// What a run of oakgate-load found, as text and as JSON.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace oakgate::load {

struct Report {
  std::string mode;  // "main-mode", "main-and-quick-mode"
  std::size_t established = 0;
  std::size_t failed = 0;
  std::size_t unanswered = 0;  // still under way at the end
  std::uint64_t retransmissions = 0;
  std::map<std::string, std::size_t> failures;  // by error code
  double seconds = 0;                           // from the first negotiation's begin to the last one's end
  double own_cpu_seconds = 0;                   // the load generator's: near `seconds`, it is the bottleneck
  std::vector<std::uint32_t> times_us;          // of set-up, each
  // The same run in parts of equal numbers: whether the rate falls as SAs accumulate.
  struct Part {
    std::size_t held = 0;  // at its end
    double rate = 0;
  };
  std::vector<Part> parts;

  [[nodiscard]] double rate() const { return seconds > 0 ? static_cast<double>(established) / seconds : 0; }
};

// The set-up time that a share of all stayed below: the smallest of at least `percent` per cent of them.
// `sorted` ascends; 0 if it is empty.
[[nodiscard]] std::uint32_t percentile(const std::vector<std::uint32_t>& sorted, double percent);

// `ends`: when each call ended, in seconds since the first began, ascending.
[[nodiscard]] std::vector<Report::Part> parts_of(const std::vector<double>& ends, std::size_t count);

[[nodiscard]] std::string to_text(const Report& report);
[[nodiscard]] std::string to_json(const Report& report);

}  // namespace oakgate::load
