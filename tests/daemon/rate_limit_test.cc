#include "daemon/rate_limit.h"

#include <gtest/gtest.h>

namespace oakgate {
namespace {

IpAddress address(std::uint32_t number) {
  const std::uint8_t raw[4] = {10, static_cast<std::uint8_t>(number >> 16),
                               static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)};
  return *IpAddress::from_bytes(raw);
}

Instant at(std::int64_t milliseconds) {
  return Instant(Milliseconds(1000000 + milliseconds));
}

int allowed(RateLimiter& limiter, Instant now, const IpAddress& source, int times) {
  int count = 0;
  for (int i = 0; i < times; ++i) count += limiter.allow(now, source) ? 1 : 0;
  return count;
}

TEST(RateLimiter, OneSourceGetsItsBurstThenItsRate) {
  RateLimiter limiter;
  EXPECT_EQ(allowed(limiter, at(0), address(1), 100), 5);
  EXPECT_EQ(allowed(limiter, at(4900), address(1), 100), 0);
  EXPECT_EQ(allowed(limiter, at(5000), address(1), 100), 1);
  EXPECT_EQ(allowed(limiter, at(3600000), address(1), 100), 5);
}

TEST(RateLimiter, OneSourceLeavesTheOthersTheirLines) {
  RateLimiter limiter;
  allowed(limiter, at(0), address(1), 10000);
  EXPECT_EQ(allowed(limiter, at(0), address(2), 3), 3);
}

TEST(RateLimiter, AllSourcesTogetherAreBounded) {
  RateLimiter limiter;
  int count = 0;
  for (std::uint32_t i = 0; i < 100000; ++i) count += limiter.allow(at(0), address(i)) ? 1 : 0;
  EXPECT_EQ(count, 50);
  count = 0;
  for (std::uint32_t i = 0; i < 100000; ++i) count += limiter.allow(at(1000), address(200000 + i)) ? 1 : 0;
  EXPECT_EQ(count, 5);
}

TEST(RateLimiter, ForgetsTheLongestUnheardSource) {
  RateLimits limits;
  limits.sources = 2;
  limits.source_burst = 1;
  limits.source_per_second = 0;
  RateLimiter limiter(limits);
  EXPECT_TRUE(limiter.allow(at(0), address(1)));
  EXPECT_TRUE(limiter.allow(at(1), address(2)));
  EXPECT_FALSE(limiter.allow(at(2), address(1)));
  EXPECT_TRUE(limiter.allow(at(3), address(3)));   // takes the place of 2
  EXPECT_FALSE(limiter.allow(at(4), address(1)));  // still known
  EXPECT_TRUE(limiter.allow(at(5), address(2)));
}

TEST(RateLimiter, ReportsWhatItSuppressed) {
  RateLimiter limiter;
  EXPECT_FALSE(limiter.report_at());
  allowed(limiter, at(0), address(1), 5);
  EXPECT_FALSE(limiter.report_at());
  allowed(limiter, at(0), address(1), 7);
  ASSERT_TRUE(limiter.report_at());
  EXPECT_EQ(*limiter.report_at(), at(10000));
  EXPECT_EQ(limiter.take_report(at(9999)), 0U);
  EXPECT_EQ(limiter.take_report(at(10000)), 7U);
  EXPECT_FALSE(limiter.report_at());
  EXPECT_EQ(limiter.take_report(at(20000)), 0U);
}

TEST(RateLimiter, AClockThatGoesBackGivesNothingAway) {
  RateLimiter limiter;
  allowed(limiter, at(5000), address(1), 5);
  EXPECT_EQ(allowed(limiter, at(0), address(1), 10), 0);
}

}  // namespace
}  // namespace oakgate
