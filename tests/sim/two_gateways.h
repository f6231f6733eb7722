// What the simulations' tests share: two gateways with tunnels between them, how many seeds to run, and what
// to look at.
#pragma once

#include <algorithm>
#include <cstdlib>

#include "tests/sim/simulator.h"

namespace oakgate::sim {

inline constexpr std::uint32_t kFirst = kReqidBase;

// How many seeds a property is tried with: the ordinary run's number, or OAKGATE_SIM_RUNS.
inline std::uint64_t runs(std::uint64_t ordinary) {
  const char* wanted = std::getenv("OAKGATE_SIM_RUNS");
  return wanted == nullptr ? ordinary : std::strtoull(wanted, nullptr, 10);
}
// Where seeds begin: OAKGATE_SIM_SEED replays a failing one.
inline std::uint64_t first_seed() {
  const char* wanted = std::getenv("OAKGATE_SIM_SEED");
  return wanted == nullptr ? 1 : std::strtoull(wanted, nullptr, 10);
}

inline bool carries(Gateway& a, Gateway& b, std::uint32_t pairs) {
  for (std::uint32_t i = 0; i < pairs; ++i) {
    const Reqid reqid{kFirst + i};
    if (!a.send_traffic(reqid, b) || !b.send_traffic(reqid, a)) return false;
  }
  return true;
}

inline const ike::Event* find_event(const Gateway& gateway, ike::EventId id) {
  for (const ike::Event& event : gateway.events) {
    if (event.id == id) return &event;
  }
  return nullptr;
}

inline std::size_t count_events(const Gateway& gateway, ike::EventId id) {
  return static_cast<std::size_t>(std::count_if(gateway.events.begin(), gateway.events.end(),
                                                [id](const ike::Event& event) { return event.id == id; }));
}

struct TwoGateways {
  explicit TwoGateways(std::uint64_t seed, const std::vector<TunnelPlan>& plans = {TunnelPlan{}},
                       Seconds phase1_life = Seconds(86400))
      : net(seed), a(net.add("gw-a", "192.0.2.1")), b(net.add("gw-b", "192.0.2.2")) {
    connect(a, b, plans, phase1_life);
  }
  void start() {
    a.start();
    b.start();
  }
  bool up_within(Milliseconds time) {
    return net.run_for(time, [&] { return a.tunnels_up() && b.tunnels_up(); });
  }
  Simulator net;
  Gateway& a;
  Gateway& b;
};

inline TunnelPlan plan(StartMode here, StartMode there) {
  TunnelPlan one;
  one.start_here = here;
  one.start_there = there;
  return one;
}

}  // namespace oakgate::sim
