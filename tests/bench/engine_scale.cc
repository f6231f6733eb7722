// What one SA pair costs the software plane's engine when there are few and when there are very many: set-up,
// renewal, status, expiry and removal in nanoseconds of processor time a pair, and resident bytes a pair.
//
//   engine_scale [--pairs N]... [--rounds N]
//
// Each a batch of 1,000 pairs on an engine that holds --pairs of them (1,000 and 100,000 by default), in
// turns. Prints one line of JSON: {"cases": [{"pairs", "bytes_a_pair", "setup": [a round each], "renewal",
// "status", "expiry", "removal"}]}
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cstdint>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "ike/base/algorithms.h"
#include "tests/bench/bench_thread.h"
#include "xfrm/soft/esp_engine.h"

namespace oakgate::bench {
namespace {

using soft::EngineOutput;
using soft::EspEngine;

constexpr std::uint32_t kBatch = 1000;
constexpr std::uint32_t kGateway = 0xc000'0201;  // 192.0.2.1
constexpr std::uint32_t kPeers = 0x0a00'0000;    // 10.0.0.0/8, outer
constexpr std::uint32_t kLan = 0xac10'0001;      // 172.16.0.1
constexpr std::uint32_t kLans = 0x6440'0000;     // 100.64.0.0/10
constexpr Seconds kLife{3600};
constexpr Instant kThen{Milliseconds(3'600'000)};

IpAddress v4(std::uint32_t value) {
  const std::array<std::uint8_t, 4> raw{
      static_cast<std::uint8_t>(value >> 24), static_cast<std::uint8_t>(value >> 16),
      static_cast<std::uint8_t>(value >> 8), static_cast<std::uint8_t>(value)};
  return IpAddress::from_bytes(raw).value_or(IpAddress());
}

double resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t size = 0;
  std::size_t resident = 0;
  if (!(file >> size >> resident)) give_up("/proc/self/statm");
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

class Gateway {
 public:
  explicit Gateway(std::uint32_t pairs) {
    const double before = resident_bytes();
    for (std::uint32_t i = 0; i < pairs; ++i) set_up(i, 0, {});
    bytes_a_pair_ = (resident_bytes() - before) / pairs;
    held_ = pairs;
  }
  [[nodiscard]] double bytes_a_pair() const { return bytes_a_pair_; }

  // A batch more, its renewal, the old ones' going, what all that is left counts, and the end of the new.
  std::map<std::string, double> round() {
    std::map<std::string, double> cost;
    const auto timed = [&cost](const char* name, auto work) {
      const double start = thread_seconds();
      for (std::uint32_t i = 0; i < kBatch; ++i) work(i);
      cost[name] = (thread_seconds() - start) * 1e9 / kBatch;
    };
    timed("setup", [this](std::uint32_t i) { set_up(held_ + i, 0, {}); });
    timed("renewal", [this](std::uint32_t i) { set_up(held_ + i, 1, kLife); });
    timed("status", [this](std::uint32_t i) { (void)engine_.counters(ids(held_ + i, 0)); });
    timed("removal", [this](std::uint32_t i) { engine_.remove(ids(held_ + i, 0)); });
    EngineOutput out;
    const double start = thread_seconds();
    engine_.expire(kThen, out);
    cost["expiry"] = (thread_seconds() - start) * 1e9 / kBatch;
    if (out.expired.size() != 2 * kBatch) give_up("not every SA expired");
    for (std::uint32_t i = 0; i < kBatch; ++i) engine_.unprotect(reqid(held_ + i));
    return cost;
  }

 private:
  static Reqid reqid(std::uint32_t index) { return Reqid{kReqidBase + index}; }
  // `generation`: 0, or 1 for what comes instead.
  static std::array<SaId, 2> ids(std::uint32_t index, std::uint32_t generation) {
    const Spi spi{0x1000 + index * 2 + generation};
    return {SaId{v4(kGateway), IpsecProtocol::esp, spi}, SaId{v4(kPeers + index), IpsecProtocol::esp, spi}};
  }
  void set_up(std::uint32_t index, std::uint32_t generation, Seconds life) {
    const SelectorPair selectors{{Subnet::host(v4(kLan))}, {Subnet::host(v4(kLans + index))}};
    if (generation == 0) {
      ProtectPolicy policy;
      policy.reqid = reqid(index);
      policy.selectors = selectors;
      policy.local_gateway = v4(kGateway);
      policy.remote_gateway = v4(kPeers + index);
      if (!engine_.protect(policy)) give_up("the engine took no policy");
    }
    std::array<SaSpec, 2> pair;
    const auto names = ids(index, generation);
    for (std::size_t i = 0; i < pair.size(); ++i) {
      SaSpec& sa = pair.at(i);
      sa.direction = i == 0 ? Direction::in : Direction::out;
      sa.id = names.at(i);
      sa.source = v4(i == 0 ? kPeers + index : kGateway);
      sa.reqid = reqid(index);
      sa.selectors = selectors;
      sa.cipher = EspCipher::gcm_128;
      sa.encryption_key = SecretBytes(Bytes(info(sa.cipher).key_bytes + info(sa.cipher).salt_bytes, 0x5a));
      sa.hard_time = life;
    }
    if (!engine_.install(pair, Instant{})) give_up("the engine took no SA");
  }

  EspEngine engine_{
      {[](const soft::OuterPath&) { return std::size_t{0}; }, [](std::span<std::uint8_t>) { return true; }}};
  std::uint32_t held_ = 0;
  double bytes_a_pair_ = 0;
};

int measure(const std::vector<std::uint32_t>& counts, int rounds) {
  std::vector<std::unique_ptr<Gateway>> gateways;
  std::vector<nlohmann::json> cases;
  for (const std::uint32_t count : counts) {
    gateways.push_back(std::make_unique<Gateway>(count));
    cases.push_back({{"pairs", count}, {"bytes_a_pair", gateways.back()->bytes_a_pair()}});
  }
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < gateways.size(); ++i) {
      const std::size_t turn = round % 2 == 0 ? i : gateways.size() - 1 - i;
      for (const auto& [name, cost] : gateways[turn]->round()) cases[turn][name].push_back(cost);
    }
  }
  std::printf("%s\n", nlohmann::json{{"cases", cases}}.dump().c_str());
  return 0;
}

}  // namespace
}  // namespace oakgate::bench

int main(int argc, char** argv) {
  std::vector<std::uint32_t> pairs{1'000, 50'000, 100'000};
  int rounds = 5;
  CLI::App app("what an SA pair costs the software plane's engine, with few and with many held");
  app.add_option("--pairs", pairs, "held meanwhile")->check(CLI::Range(1, 1'000'000));
  app.add_option("--rounds", rounds, "of each")->check(CLI::Range(1, 1000));
  CLI11_PARSE(app, argc, argv);
  return oakgate::bench::measure(pairs, rounds);
}
