// Fleets: two to five gateways with random tunnels between them over a wire with every fault, watched all the
// time (watch.h). Whatever happens, once the faults end every tunnel that starts by itself is up within a
// bound, both ends agree, and nothing is left over. A failing seed replays by itself and prints its ladder.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "ike/wire/numbers.h"
#include "tests/sim/two_gateways.h"
#include "tests/sim/watch.h"

namespace oakgate::sim {
namespace {

constexpr Seconds kRough{240};
constexpr Seconds kBound{400};  // the longest life of an SA, the back-off's ceiling, and a negotiation

struct Edge {
  Gateway* here = nullptr;
  Gateway* there = nullptr;
  std::vector<Reqid> reqids;
};

struct Figures {
  std::uint64_t fleets = 0;
  std::uint64_t events = 0;
  std::uint64_t datagrams = 0;
  std::uint64_t looks = 0;
};

class Fleet {
 public:
  explicit Fleet(std::uint64_t seed) : net(seed), dice_(seed * 7919 + 1) {
    const auto size = dice_.between(2, 5);
    for (std::int64_t i = 0; i < size; ++i) {
      Gateway& gateway = net.add("gw-" + std::to_string(i), "192.0.2." + std::to_string(10 + i));
      gateway.configure({gateway.name, {}, {}});
      gateways_.push_back(&gateway);
    }
    for (std::size_t i = 1; i < gateways_.size(); ++i) {
      join(*gateways_[static_cast<std::size_t>(dice_.between(0, static_cast<std::int64_t>(i) - 1))],
           *gateways_[i]);
    }
    translate();
    roughen();
    watch_.emplace(net);
  }

  // The fault-ridden time; false if an invariant broke.
  bool live() {
    for (Gateway* gateway : gateways_) {
      net.after(Milliseconds(dice_.between(0, dice_.chance(0.5) ? 0 : 5000)), [gateway] { rise(*gateway); });
    }
    for (int second = 1; second < kRough.count(); ++second)
      net.after(Seconds(second), [this] { static_cast<void>(carry()); });
    storms();
    restarts();
    partitions();
    rebindings();
    revocations();
    return run(kRough);
  }

  // Quiet: everything comes back.
  bool recover(Figures& figures) {
    net.faults = {};
    blocked_.clear();
    for (Gateway* gateway : gateways_) rise(*gateway);
    bool carried = false;
    for (Seconds passed{0}; passed < kBound && !carried; passed += Seconds(1)) {
      carried = carry();
      if (!run(Seconds(1))) return false;
    }
    EXPECT_TRUE(carried) << "tunnels did not come back\n" << watch_->ladder();
    for (const Edge& edge : edges_) agree_eventually(edge);
    figures.events += net.steps;
    figures.datagrams += net.datagrams;
    figures.looks += looks_;
    ++figures.fleets;
    return carried && !testing::Test::HasFailure();
  }

  bool end() {
    for (Gateway* gateway : gateways_) {
      gateway->command(ike::Shutdown{ike::CommandId{1}});
      if (!run(Seconds(2))) return false;
    }
    bool clean = true;
    for (const Gateway* gateway : gateways_) clean = clean && gateway->plane().empty();
    EXPECT_TRUE(clean) << "SAs were left behind\n" << watch_->ladder();
    return clean;
  }

 private:
  static void rise(Gateway& gateway) {
    if (!gateway.running()) gateway.start();
  }

  void join(Gateway& here, Gateway& there) {
    Edge edge{&here, &there, {}};
    TunnelPlan one =
        plan(dice_.chance(0.7) ? StartMode::on_start : StartMode::responder, StartMode::on_start);
    one.local = {"10.1.0.0/16"};
    one.remote = {"10." + std::to_string(20 + next_ % 200) + ".0.0/16"};
    if (dice_.chance(0.3)) one.local.push_back("10.3.0.0/16");
    one.lifetime = Seconds(dice_.between(90, 240));
    if (dice_.chance(0.3)) one.pfs = DhGroup::ecp256;
    const Seconds phase1(dice_.between(120, 600));
    const std::uint32_t first = kFirst + next_;
    for (std::size_t i = 0; i < one.local.size(); ++i) edge.reqids.push_back(Reqid{kFirst + next_++});
    here.config().peers.push_back(peer_config(here, there, {one}, phase1, first, false));
    there.config().peers.push_back(peer_config(there, here, {one}, phase1, first, true));
    const bool aggressive = dice_.chance(0.15);
    here.config().peers.back().aggressive = aggressive;
    there.config().peers.back().aggressive = aggressive;
    here.pre_shared_keys[there.name] = "a key between " + there.name + " and " + here.name;
    there.pre_shared_keys[here.name] = here.pre_shared_keys[there.name];
    if (const auto method = dice_.between(0, 9); method < 3) {
      use_certificates(here, there);
    } else if (method < 5 && !aggressive) {
      use_rsa_encryption(here, there, method == 3 ? AuthMethod::rsa_encr : AuthMethod::rsa_encr_rev);
    }
    edges_.push_back(std::move(edge));
  }

  // The last gateway has but one peer, and calls it: it may sit behind a NAT.
  void translate() {
    if (!dice_.chance(0.3)) return;
    Gateway& inside = *gateways_.back();
    const IpAddress outside = *IpAddress::parse("198.51.100.1");
    net.nats = {{inside.address, outside, 10000}};
    for (ike::TunnelConfig& tunnel : inside.config().peers.back().tunnels) tunnel.start = StartMode::on_start;
    ike::PeerConfig& called = edges_.back().here->config().peers.back();
    called.called_from = {Subnet(outside, 24)};
    // In Aggressive Mode it says who it is before anybody knows of the NAT.
    if (called.aggressive) called.remote_identity.address = inside.address;
    for (ike::TunnelConfig& tunnel : called.tunnels) tunnel.start = StartMode::responder;
  }

  void roughen() {
    net.faults.loss = 0.01 * static_cast<double>(dice_.between(0, 30));
    net.faults.duplicate = 0.01 * static_cast<double>(dice_.between(0, 15));
    net.faults.latency = Milliseconds(dice_.between(1, 150));
    net.faults.jitter = Milliseconds(dice_.between(0, 600));
    net.faults.job_delay = Milliseconds(dice_.between(0, 400));
    for (Gateway* gateway : gateways_)
      gateway->verification_jitter = Milliseconds(dice_.between(0, dice_.chance(0.5) ? 0 : 5000));
    // A peer that sets the commit bit and never says CONNECTED, or somebody on the way who sets it.
    const Gateway* committer = dice_.chance(0.2) ? any() : nullptr;
    net.tap = [this, committer](const Endpoint& from, const Endpoint& to, Bytes& data) {
      constexpr std::size_t kExchange = 18;
      constexpr std::size_t kFlags = 19;
      const bool quick = data[kExchange] == static_cast<std::uint8_t>(wire::ExchangeType::quick);
      if (committer != nullptr && quick && from.address == committer->address)
        data[kFlags] |= wire::kFlagCommit;
      return !blocked_.contains({std::min(from.address, to.address), std::max(from.address, to.address)});
    };
  }

  // Every SA of a gateway reaches its soft limit at once; somebody sets the clock.
  void storms() {
    for (std::int64_t storm = dice_.between(0, 2); storm > 0; --storm) {
      Gateway* gateway = any();
      net.after(Seconds(dice_.between(20, 230)), [gateway] {
        std::vector<std::pair<SaId, Reqid>> sas;
        for (const auto& [id, held] : gateway->plane()) sas.emplace_back(id, held.spec.reqid);
        for (const auto& [id, reqid] : sas) gateway->command(ike::SoftLimitReached{id, reqid});
      });
    }
    if (dice_.chance(0.2)) {
      const Seconds by(dice_.between(-100000, 100000));
      net.after(Seconds(dice_.between(1, 200)), [this, by] { net.step_clock(by); });
    }
  }

  void restarts() {
    for (std::int64_t restart = dice_.between(0, 2); restart > 0; --restart) {
      Gateway* gateway = any();
      const Milliseconds when(dice_.chance(0.3) ? dice_.between(0, 3000) : dice_.between(0, 200000));
      net.after(when, [gateway] { gateway->kill(); });
      net.after(when + Milliseconds(dice_.between(1, 30000)), [gateway] { rise(*gateway); });
    }
  }

  void partitions() {
    if (!dice_.chance(0.4)) return;
    const Edge& edge =
        edges_[static_cast<std::size_t>(dice_.between(0, static_cast<std::int64_t>(edges_.size()) - 1))];
    const std::pair link(std::min(edge.here->address, edge.there->address),
                         std::max(edge.here->address, edge.there->address));
    const Seconds when(dice_.between(0, 150));
    net.after(when, [this, link] { blocked_.insert(link); });
    net.after(when + Seconds(dice_.between(5, 180)), [this, link] { blocked_.erase(link); });
  }

  // The NAT forgets, and translates to another port, or to another address as well.
  void rebindings() {
    if (net.nats.empty()) return;
    for (std::int64_t change = dice_.between(0, 3); change > 0; --change) {
      net.after(Seconds(dice_.between(1, 239)), [this] {
        Simulator::Nat& nat = net.nats.front();
        nat.port_offset = static_cast<std::uint16_t>(dice_.between(10000, 60000));
        if (dice_.chance(0.3))
          nat.outside = *IpAddress::parse("198.51.100." + std::to_string(dice_.between(1, 254)));
      });
    }
  }

  // A certificate is revoked by mistake, and is good again before the quiet time.
  void revocations() {
    if (!dice_.chance(0.15)) return;
    Gateway* gateway = any();
    const Gateway* other = any();
    const Seconds when(dice_.between(1, 150));
    const std::string serial = other->name + "-key";
    net.after(when, [gateway, serial] { gateway->revoked.insert(serial); });
    net.after(when + Seconds(dice_.between(1, 80)), [gateway, serial] { gateway->revoked.erase(serial); });
  }

  Gateway* any() {
    return gateways_[static_cast<std::size_t>(
        dice_.between(0, static_cast<std::int64_t>(gateways_.size()) - 1))];
  }

  bool carry() {
    bool all = true;
    for (const Edge& edge : edges_) {
      for (const Reqid reqid : edge.reqids) {
        if (!edge.here->running() || !edge.there->running()) return false;
        all = edge.here->send_traffic(reqid, *edge.there) && all;
        all = edge.there->send_traffic(reqid, *edge.here) && all;
      }
    }
    return all;
  }

  // A renewal may be under way at any one moment; it is over soon.
  void agree_eventually(const Edge& edge) {
    std::string differs;
    for (int tries = 0; tries < 90; ++tries) {
      differs = watch_->disagreement(*edge.here, *edge.there);
      if (differs.empty()) return;
      static_cast<void>(carry());
      if (!run(Seconds(1))) return;
    }
    ADD_FAILURE() << differs << "\n" << watch_->ladder();
  }

  bool run(Milliseconds time) {
    net.run_for(time, [this] {
      ++looks_;
      return !watch_->holds();
    });
    if (!watch_->broken().empty()) ADD_FAILURE() << watch_->broken() << "\n" << watch_->ladder();
    return watch_->broken().empty();
  }

  Simulator net;
  SeededRng dice_;
  std::vector<Gateway*> gateways_;
  std::vector<Edge> edges_;
  std::uint32_t next_ = 0;
  std::set<std::pair<IpAddress, IpAddress>> blocked_;
  std::optional<Watch> watch_;
  std::uint64_t looks_ = 0;
};

// As many more as fit into OAKGATE_SIM_SECONDS.
Seconds longer() {
  const char* wanted = std::getenv("OAKGATE_SIM_SECONDS");
  return Seconds(wanted == nullptr ? 0 : std::strtol(wanted, nullptr, 10));
}

TEST(Fleets, AlwaysComeBackAgreeAndLeaveNothing) {
  Figures figures;
  const std::uint64_t first = first_seed();
  const auto end = std::chrono::steady_clock::now() + longer();
  for (std::uint64_t seed = first; seed < first + runs(10000) || std::chrono::steady_clock::now() < end;
       ++seed) {
    SCOPED_TRACE("OAKGATE_SIM_SEED=" + std::to_string(seed) + " OAKGATE_SIM_RUNS=1 replays this run");
    Fleet fleet(seed);
    if (!fleet.live() || !fleet.recover(figures) || !fleet.end()) break;
  }
  std::printf("fleets: %llu, events: %llu, datagrams: %llu, looks at the invariants: %llu, failures: %d\n",
              static_cast<unsigned long long>(figures.fleets),
              static_cast<unsigned long long>(figures.events),
              static_cast<unsigned long long>(figures.datagrams),
              static_cast<unsigned long long>(figures.looks), HasFailure() ? 1 : 0);
}

}  // namespace
}  // namespace oakgate::sim
