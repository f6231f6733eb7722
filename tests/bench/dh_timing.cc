// Whether the time of a batch of Diffie-Hellman computations (crypto/modp_batch.h) tells something of their
// exponents. Two classes, in random order: exponents of random bits, and such as have a single one. Welch's t
// over many timings has to stay below 4.5.
//
// The control measures the same with OpenSSL's exponentiation as it is without BN_FLG_CONSTTIME: it has to
// exceed 4.5, or the measurement could not see a leak either.
//
//   dh_timing [--samples N] [--no-verdict]
//
// Exit status 0: both as they should be, or no batches on this processor. 1: not so. 2: usage.
#include <CLI/CLI.hpp>
#include <array>
#include <chrono>
#include <cstdio>
#include <functional>
#include <random>

#include "ike/crypto/modp_batch.h"
#include "tests/bench/welch.h"

namespace oakgate::bench {
namespace {

using Random = std::mt19937_64;  // of test data only

constexpr int kExponentBits = 200;  // of modp1024, which is the quickest to measure
constexpr std::size_t kLanes = crypto::ModpBatch::kLanes;
constexpr std::size_t kWarmUp = 200;  // timings that do not count

Bytes random_bytes(Random& random, std::size_t size) {
  Bytes out(size);
  for (std::uint8_t& byte : out) byte = static_cast<std::uint8_t>(random());
  return out;
}

// With its most significant bit, so that all are of one length; `sparse`: with no other.
Bytes exponent(Random& random, bool sparse) {
  Bytes out = sparse ? Bytes(kExponentBits / 8) : random_bytes(random, kExponentBits / 8);
  out.front() |= 0x80;
  return out;
}

using Computation = std::function<void(const std::array<Bytes, kLanes>& exponents)>;

std::vector<Sample> measure(const Computation& compute, std::size_t count) {
  Random random(std::random_device{}());
  std::vector<Sample> samples;
  samples.reserve(count);
  std::array<Bytes, kLanes> exponents;
  for (std::size_t i = 0; i < kWarmUp + count; ++i) {
    const bool sparse = (random() & 1U) != 0;
    for (Bytes& one : exponents) one = exponent(random, sparse);
    const auto before = std::chrono::steady_clock::now();
    compute(exponents);
    const std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - before;
    if (i >= kWarmUp) samples.push_back({taken.count(), sparse});
  }
  return samples;
}

void print(const char* name, const Outcome& outcome) {
  std::printf("%s: %zu of random exponents, mean %.1f ns; %zu of sparse ones, mean %.1f ns\n", name,
              outcome.counts[0], outcome.means[0], outcome.counts[1], outcome.means[1]);
  for (std::size_t i = 0; i < kKept.size(); ++i)
    std::printf("  of the fastest %5.1f %%: t = %8.2f\n", kKept[i] * 100, outcome.t[i]);
}

int run(std::size_t samples, bool verdict) {
  const crypto::BigNumber p(BN_get_rfc2409_prime_1024(nullptr));
  const crypto::BigNumber g(BN_new());
  const crypto::NumberContext context(BN_CTX_new());
  if (!p || !g || !context || BN_set_word(g.get(), 2) != 1) return 1;
  const auto batch = crypto::ModpBatch::create(p.get(), g.get(), kExponentBits);
  if (!batch) {
    std::puts("no batches on this processor");
    return crypto::ModpBatch::supported() ? 1 : 0;
  }
  Random random(1);
  Bytes base = random_bytes(random, static_cast<std::size_t>(BN_num_bytes(p.get())));
  base.front() = 0;
  std::array<Bytes, kLanes> results;
  for (Bytes& result : results) result.resize(base.size());
  const auto ours = [&](const std::array<Bytes, kLanes>& exponents) {
    std::array<crypto::ModpBatch::Power, kLanes> powers;
    for (std::size_t i = 0; i < kLanes; ++i) powers.at(i) = {base, exponents.at(i), results.at(i)};
    batch->power(powers);
  };
  const crypto::BigNumber number(BN_bin2bn(base.data(), static_cast<int>(base.size()), nullptr));
  const crypto::BigNumber to(BN_new());
  const crypto::BigNumber result(BN_new());
  const auto control = [&](const std::array<Bytes, kLanes>& exponents) {
    BN_bin2bn(exponents[0].data(), static_cast<int>(exponents[0].size()), to.get());
    BN_mod_exp(result.get(), number.get(), to.get(), p.get(), context.get());
  };
  const Outcome of_ours = compare(measure(ours, samples));
  const Outcome of_control = compare(measure(control, samples));
  print("ours", of_ours);
  print("control", of_control);
  const bool good = of_ours.worst < kThreshold && of_control.worst > kThreshold;
  std::printf("ours: |t| = %.2f, has to be below %.1f; control: |t| = %.2f, has to be above %.1f: %s\n",
              of_ours.worst, kThreshold, of_control.worst, kThreshold,
              !verdict ? "no verdict asked for"
              : good   ? "as it should be"
                       : "WRONG");
  return good || !verdict ? 0 : 1;
}

}  // namespace
}  // namespace oakgate::bench

int main(int argc, char** argv) {
  std::size_t samples = 100'000;
  bool no_verdict = false;
  CLI::App app("Whether the time of a batch tells something of its exponents", "dh_timing");
  app.add_option("--samples", samples, "timings of each")->check(CLI::Range(100, 100'000'000));
  app.add_flag("--no-verdict", no_verdict, "measure only");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return oakgate::bench::run(samples, !no_verdict);
}
