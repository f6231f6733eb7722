// g^xy of MODP groups, eight at once (crypto/modp_batch.h) and one by one by OpenSSL, by turns, on the
// processor time of this thread.
//
//   dh_rate [--rounds N] [--seconds S]
//
// Prints one line of JSON: {"cases": [{"bits", "together": [a second, ...], "single": [...]}]}; no cases
// where the processor has nothing for batches.
#include <CLI/CLI.hpp>
#include <array>
#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>

#include "ike/crypto/modp.h"
#include "tests/bench/bench_thread.h"

namespace oakgate::bench {
namespace {

struct Group {
  int bits;
  BIGNUM* (*prime)(BIGNUM*);
  int exponent_bits;
};
constexpr Group kGroups[] = {{1024, BN_get_rfc2409_prime_1024, 200},
                             {2048, BN_get_rfc3526_prime_2048, 225},
                             {3072, BN_get_rfc3526_prime_3072, 275},
                             {4096, BN_get_rfc3526_prime_4096, 325}};
constexpr std::size_t kLanes = crypto::ModpBatch::kLanes;

// How many of the `each` that one call does are done in a second.
double rate(const std::function<void()>& call, std::size_t each, double seconds) {
  const double begun = thread_seconds();
  double now = begun;
  std::size_t done = 0;
  for (; now - begun < seconds; now = thread_seconds(), done += each) call();
  return static_cast<double>(done) / (now - begun);
}

nlohmann::json measure(const Group& row, int rounds, double seconds) {
  const crypto::BigNumber p(row.prime(nullptr));
  const crypto::BigNumber g(BN_new());
  if (!p || !g || BN_set_word(g.get(), 2) != 1) give_up("OpenSSL failed");
  const auto group = crypto::ModpGroup::create(p.get(), g.get(), row.exponent_bits);
  if (!group || group->batch() == nullptr) give_up("no batch of this group");
  std::vector<Bytes> values;
  std::vector<SecretBytes> exponents;
  std::array<SecretBytes, kLanes> results;
  std::vector<crypto::ModpBatch::Power> powers;
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    values.push_back(group->generator_power(group->random_exponent()));
    exponents.push_back(group->random_exponent());
    results.at(lane) = SecretBytes(values.back().size());
  }
  for (std::size_t lane = 0; lane < kLanes; ++lane)
    powers.push_back({values[lane], exponents[lane].view(), results.at(lane).mutable_view()});
  nlohmann::json found{
      {"bits", row.bits}, {"together", nlohmann::json::array()}, {"single", nlohmann::json::array()}};
  std::size_t next = 0;
  const auto together = [&] { group->batch()->power(powers); };
  const auto single = [&] {
    const SecretBytes secret = group->power(values[next % kLanes], exponents[next % kLanes]);
    if (!(secret == results.at(next % kLanes))) give_up("they do not agree");
    ++next;
  };
  together();
  for (int round = 0; round < rounds; ++round) {
    found["together"].push_back(rate(together, kLanes, seconds));
    found["single"].push_back(rate(single, 1, seconds));
  }
  return found;
}

}  // namespace
}  // namespace oakgate::bench

int main(int argc, char** argv) {
  int rounds = 5;
  double seconds = 0.2;
  CLI::App app("g^xy, eight at once and one by one", "dh_rate");
  app.add_option("--rounds", rounds, "of each")->check(CLI::Range(1, 1000));
  app.add_option("--seconds", seconds, "of processor time, each")->check(CLI::Range(0.001, 60.0));
  CLI11_PARSE(app, argc, argv);
  nlohmann::json cases = nlohmann::json::array();
  if (oakgate::crypto::ModpBatch::supported()) {
    for (const auto& group : oakgate::bench::kGroups)
      cases.push_back(oakgate::bench::measure(group, rounds, seconds));
  }
  std::printf("%s\n", nlohmann::json{{"cases", cases}}.dump().c_str());
  return 0;
}
