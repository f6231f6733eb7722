#include "tests/bench/welch.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace oakgate::bench {
namespace {

TEST(Welch, ComputesT) {
  // 1..5 against 2, 4, .. 10: means 3 and 6, variances 2.5 and 10, so t = -3 / sqrt(0.5 + 2).
  std::vector<Sample> samples;
  for (int i = 1; i <= 5; ++i) {
    samples.push_back({static_cast<double>(i), false});
    samples.push_back({static_cast<double>(2 * i), true});
  }
  const Outcome outcome = compare(samples);
  EXPECT_NEAR(outcome.t[0], -3 / std::sqrt(2.5), 1e-9);
  EXPECT_DOUBLE_EQ(outcome.means[0], 3);
  EXPECT_DOUBLE_EQ(outcome.means[1], 6);
  EXPECT_EQ(outcome.counts[0], 5U);
}

TEST(Welch, TellsClassesApartThroughInterruptions) {
  std::mt19937 random(1);  // the same numbers each time
  std::normal_distribution<double> noise(1000, 20);
  const auto measure = [&](double difference) {
    std::vector<Sample> samples;
    for (int i = 0; i < 20000; ++i) {
      const bool second = (random() & 1U) != 0;
      const double interrupted = random() % 100 == 0 ? 50000 : 0;
      samples.push_back({noise(random) + interrupted + (second ? difference : 0), second});
    }
    return compare(samples);
  };
  EXPECT_LT(measure(0).worst, kThreshold);
  const Outcome different = measure(5);
  EXPECT_LT(std::abs(different.t[0]), kThreshold);  // the interruptions hide it
  EXPECT_GT(different.worst, kThreshold);
}

TEST(Welch, HasNothingToSayAboutNothing) {
  EXPECT_EQ(compare({}).worst, 0);
  EXPECT_EQ(compare({{1, false}, {2, true}}).worst, 0);
}

}  // namespace
}  // namespace oakgate::bench
