#include "daemon/rate_limit.h"

#include <algorithm>
#include <utility>

namespace oakgate {

bool RateLimiter::take(Bucket& bucket, Instant now, double per_second, double burst) {
  const auto passed = std::chrono::duration<double>(now - bucket.filled).count();
  bucket.tokens = std::min(burst, bucket.tokens + std::max(0.0, passed) * per_second);
  bucket.filled = now;
  if (bucket.tokens < 1) return false;
  bucket.tokens -= 1;
  return true;
}

RateLimiter::Bucket& RateLimiter::source_bucket(Instant now, const IpAddress& source) {
  const auto known = sources_.find(source);
  if (known != sources_.end()) return known->second;
  if (sources_.size() >= limits_.sources) {
    // Forged sources make this linear search an attacker's tool only as far as the total bucket lets lines
    // through: it is asked first.
    const auto oldest = std::min_element(sources_.begin(), sources_.end(), [](const auto& a, const auto& b) {
      return a.second.filled < b.second.filled;
    });
    sources_.erase(oldest);
  }
  return sources_.emplace(source, Bucket{limits_.source_burst, now}).first->second;
}

bool RateLimiter::allow(Instant now, const IpAddress& source) {
  // One loud source must not use up what is left for the others, so its own bucket decides first where it has
  // one.
  const auto known = sources_.find(source);
  const bool allowed =
      known != sources_.end()
          ? take(known->second, now, limits_.source_per_second, limits_.source_burst) &&
                take(total_, now, limits_.total_per_second, limits_.total_burst)
          : take(total_, now, limits_.total_per_second, limits_.total_burst) &&
                take(source_bucket(now, source), now, limits_.source_per_second, limits_.source_burst);
  if (allowed) return true;
  ++suppressed_;
  if (!report_at_) report_at_ = now + limits_.report_after;
  return false;
}

std::uint64_t RateLimiter::take_report(Instant now) {
  if (!report_at_ || now < *report_at_) return 0;
  report_at_.reset();
  return std::exchange(suppressed_, 0);
}

}  // namespace oakgate
