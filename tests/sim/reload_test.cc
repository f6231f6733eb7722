// What a reload touches: changed peers alone. And what it does to the guards of selector pairs: no moment in
// which traffic of a pair that stays, or of one that takes its place, would leave in plain. RFC 4301 section
// 4.4.1.
#include <gtest/gtest.h>

#include "tests/sim/two_gateways.h"

namespace oakgate::sim {
namespace {

using Changes = std::vector<std::pair<Reqid, bool>>;

struct Reloaded : TwoGateways {
  Reloaded() : TwoGateways(1, {plan(StartMode::on_start, StartMode::responder)}) {
    start();
    EXPECT_TRUE(up_within(Seconds(5)));
  }
  ike::TunnelConfig& tunnel() { return changed.peers.front().tunnels.front(); }
  // The changes that it makes.
  Changes reload() {
    const std::size_t before = a.guard_changes().size();
    a.command(ike::Reconfigure{changed});
    const Changes& all = a.guard_changes();
    return {all.begin() + static_cast<std::ptrdiff_t>(before), all.end()};
  }
  ike::EngineConfig changed = a.config();
};

TEST(Reload, AChangedTunnelStaysGuarded) {
  Reloaded two;
  two.tunnel().lifetime.time = Seconds(1800);
  for (const auto& [reqid, there] : two.reload()) EXPECT_TRUE(there) << reqid.value;
  EXPECT_TRUE(two.a.guarded().contains(Reqid{kFirst}));
  EXPECT_TRUE(two.a.plane().empty());
}

TEST(Reload, AWiderTunnelIsGuardedBeforeTheNarrowerOneGoes) {
  Reloaded two;
  std::vector<ike::PairConfig>& pairs = two.tunnel().pairs;
  pairs.front().reqid = Reqid{kFirst + 7};
  pairs.front().selectors.remote = {*Subnet::parse("10.2.0.0/16")};
  EXPECT_EQ(two.reload(), (Changes{{Reqid{kFirst + 7}, true}, {Reqid{kFirst}, false}}));
}

// One table holds each pair of selectors once.
TEST(Reload, ARenamedTunnelOfTheSameTrafficReplacesTheOldOne) {
  Reloaded two;
  two.tunnel().pairs.front().reqid = Reqid{kFirst + 7};
  EXPECT_EQ(two.reload(), (Changes{{Reqid{kFirst}, false}, {Reqid{kFirst + 7}, true}}));
}

TEST(Reload, ATunnelThatIsTakenOutIsGuardedNoMore) {
  Reloaded two;
  two.changed.peers.clear();
  EXPECT_EQ(two.reload(), (Changes{{Reqid{kFirst}, false}}));
  EXPECT_TRUE(two.a.guarded().empty());
}

TEST(Reload, OnlyChangedPeersAreTouched) {
  Simulator net(1);
  Gateway& hub = net.add("hub", "192.0.2.1");
  Gateway& one = net.add("one", "192.0.2.2");
  Gateway& other = net.add("other", "192.0.2.3");
  TunnelPlan second = plan(StartMode::on_start, StartMode::responder);
  second.remote = {"10.3.0.0/24"};
  connect(hub, one, {plan(StartMode::on_start, StartMode::responder)}, Seconds(3600), kFirst);
  auto to_one =
      peer_config(hub, one, {plan(StartMode::on_start, StartMode::responder)}, Seconds(3600), kFirst, false);
  connect(hub, other, {second}, Seconds(3600), kFirst + 1);
  auto to_other = peer_config(hub, other, {second}, Seconds(3600), kFirst + 1, false);
  hub.configure({"hub", {to_one, to_other}, {}});
  hub.start();
  one.start();
  other.start();
  ASSERT_TRUE(net.run_for(Seconds(10), [&] { return hub.tunnels_up(); }));
  const SaId kept = hub.engine().snapshot({}, "one").at(0).tunnels.at(0).sas.at(0).in;
  to_other.tunnels[0].lifetime.time = Seconds(1800);
  hub.command(ike::Reconfigure{{"hub", {to_one, to_other}, {}}});
  hub.command(ike::SetPeerAddresses{"other", hub.address, other.address, {}});
  ASSERT_TRUE(net.run_for(Seconds(10), [&] { return hub.tunnels_up(); }));
  net.run_for(Seconds(1));
  EXPECT_EQ(hub.engine().snapshot({}, "one").at(0).tunnels.at(0).sas.at(0).in, kept);
  EXPECT_TRUE(other.send_traffic(Reqid{kFirst + 1}, hub));
  hub.command(ike::Reconfigure{{"hub", {to_one}, {}}});
  net.run_for(Seconds(2));
  EXPECT_TRUE(other.plane().empty()) << "a removed peer is told";
  EXPECT_EQ(hub.guarded().size(), 1U);
}

}  // namespace
}  // namespace oakgate::sim
