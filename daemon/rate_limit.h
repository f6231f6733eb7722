// Token buckets for log lines that anybody on the network can cause: a bound for each source address and one
// for all of them together. Reads no clock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>

#include "ike/base/net.h"
#include "ike/base/types.h"

namespace oakgate {

struct RateLimits {
  double source_per_second = 0.2;
  double source_burst = 5;
  double total_per_second = 5;
  double total_burst = 50;
  std::size_t sources = 1024;        // remembered; the longest unheard makes room
  Milliseconds report_after{10000};  // the first suppressed line is told about so much later
};

class RateLimiter {
 public:
  explicit RateLimiter(const RateLimits& limits = {}) : limits_(limits), total_{limits.total_burst, {}} {}

  // Whether a line about `source` may be written now. A refusal is counted for the report.
  [[nodiscard]] bool allow(Instant now, const IpAddress& source);

  // When the next report is due; none while nothing has been suppressed.
  [[nodiscard]] std::optional<Instant> report_at() const { return report_at_; }
  // How many lines were suppressed since the last report, once report_at() has come; 0 before.
  [[nodiscard]] std::uint64_t take_report(Instant now);

 private:
  struct Bucket {
    double tokens = 0;
    Instant filled{};
  };
  static bool take(Bucket& bucket, Instant now, double per_second, double burst);
  Bucket& source_bucket(Instant now, const IpAddress& source);

  RateLimits limits_;
  Bucket total_;
  std::unordered_map<IpAddress, Bucket> sources_;
  std::uint64_t suppressed_ = 0;
  std::optional<Instant> report_at_;
};

}  // namespace oakgate
