#include "tests/bench/welch.h"

#include <algorithm>
#include <cmath>

namespace oakgate::bench {

namespace {

// Mean and variance in one pass (Welford), which does not lose digits to large sums.
struct Moments {
  double count = 0;
  double mean = 0;
  double squares = 0;
  void add(double value) {
    count += 1;
    const double delta = value - mean;
    mean += delta / count;
    squares += delta * (value - mean);
  }
  [[nodiscard]] double variance() const { return squares / (count - 1); }
};

double t_of(const Moments& a, const Moments& b) {
  if (a.count < 2 || b.count < 2) return 0;
  const double error = std::sqrt(a.variance() / a.count + b.variance() / b.count);
  return error == 0 ? 0 : (a.mean - b.mean) / error;
}

}  // namespace

Outcome compare(const std::vector<Sample>& samples) {
  std::vector<double> sorted;
  sorted.reserve(samples.size());
  for (const Sample& sample : samples) sorted.push_back(sample.time);
  std::sort(sorted.begin(), sorted.end());
  Outcome outcome;
  for (std::size_t i = 0; i < kKept.size(); ++i) {
    const auto last = static_cast<std::size_t>(kKept[i] * static_cast<double>(sorted.size()));
    const double limit = last < sorted.size() ? sorted[last] : HUGE_VAL;
    std::array<Moments, 2> moments;
    for (const Sample& sample : samples) {
      if (sample.time < limit) moments[sample.second_class ? 1 : 0].add(sample.time);
    }
    outcome.t[i] = t_of(moments[0], moments[1]);
    outcome.worst = std::max(outcome.worst, std::abs(outcome.t[i]));
    if (i != 0) continue;
    for (std::size_t c = 0; c < 2; ++c) {
      outcome.means[c] = moments[c].mean;
      outcome.counts[c] = static_cast<std::size_t>(moments[c].count);
    }
  }
  return outcome;
}

}  // namespace oakgate::bench
