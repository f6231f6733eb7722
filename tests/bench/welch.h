// Welch's t-test of two classes of timings, as dudect does it: interruptions make long tails, so that the
// test is made several times, each over the timings below another percentile, and the largest |t| counts.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

namespace oakgate::bench {

// Above it two classes differ; chance alone exceeds it once in 150,000 times.
inline constexpr double kThreshold = 4.5;
// Which part of all timings is kept; the first keeps all.
inline constexpr std::array<double, 7> kKept{1.0, 0.999, 0.99, 0.95, 0.9, 0.75, 0.5};

struct Sample {
  double time = 0;
  bool second_class = false;
};

struct Outcome {
  std::array<double, kKept.size()> t{};  // one for each of kKept
  double worst = 0;                      // the largest |t|
  double means[2] = {};                  // of all timings, by class
  std::size_t counts[2] = {};
};

// Needs two samples of each class at least; otherwise t is 0.
[[nodiscard]] Outcome compare(const std::vector<Sample>& samples);

}  // namespace oakgate::bench
