// What a reload does to the guards of selector pairs: no moment in which traffic of a pair that stays, or of
// one that takes its place, would leave in plain. RFC 4301 section 4.4.1.
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

}  // namespace
}  // namespace oakgate::sim
