// Life times between simulated gateways: the smaller one holds at both ends, who renews and when, and what
// may lapse.
#include <gtest/gtest.h>

#include "tests/sim/two_gateways.h"

namespace oakgate::sim {
namespace {

using ike::EventId;

TunnelPlan on_traffic(RekeyMode rekey) {
  TunnelPlan one = plan(StartMode::on_traffic, StartMode::on_traffic);
  one.lifetime = Seconds(600);
  one.rekey = rekey;
  return one;
}

struct Rekeying : TwoGateways {
  explicit Rekeying(RekeyMode rekey, Seconds phase1_life = Seconds(86400))
      : TwoGateways(1, {on_traffic(rekey)}, phase1_life) {
    start();
    a.command(ike::Up{ike::CommandId{1}, "gw-b", {}});
    EXPECT_TRUE(up_within(Seconds(5)));
  }
  bool packet() { return a.send_traffic(Reqid{kFirst}, b); }
  std::size_t renewals() {
    return count_events(a, EventId::phase2_rekeying) + count_events(b, EventId::phase2_rekeying);
  }
  ike::TunnelSnapshot tunnel(Gateway& gateway) {
    return gateway.engine().snapshot(net.now().wall)[0].tunnels[0];
  }
  ike::SaPairSnapshot sas(Gateway& gateway) { return tunnel(gateway).sas.at(0); }
};

TEST(RekeyOnTraffic, AnIdleSaPairLapses) {
  Rekeying two(RekeyMode::on_traffic);
  two.net.run_for(Seconds(590));
  EXPECT_EQ(two.a.plane().size(), 2U);
  two.net.run_for(Seconds(20));
  EXPECT_TRUE(two.a.plane().empty());
  EXPECT_TRUE(two.b.plane().empty());
  EXPECT_EQ(two.renewals(), 0U);
  two.net.run_for(Seconds(3600));
  EXPECT_EQ(count_events(two.a, EventId::phase2_established), 1U) << "and does not come again by itself";
  EXPECT_FALSE(two.packet());
  EXPECT_TRUE(two.net.run_for(Seconds(5), [&] { return two.packet(); })) << "but for traffic it does";
}

TEST(RekeyOnTraffic, OneThatCarriedIsRenewed) {
  Rekeying two(RekeyMode::on_traffic);
  for (int minute = 0; minute < 60; ++minute) {
    EXPECT_TRUE(two.packet()) << "minute " << minute;
    two.net.run_for(Seconds(60));
  }
  EXPECT_GE(count_events(two.a, EventId::phase2_established), 6U);
  EXPECT_EQ(count_events(two.a, EventId::phase2_expired), 0U);
}

TEST(RekeyOnTraffic, TrafficThatBeginsLateIsEnough) {
  Rekeying two(RekeyMode::on_traffic);
  two.net.run_for(Seconds(575));
  EXPECT_EQ(two.renewals(), 0U);
  EXPECT_TRUE(two.packet());
  two.net.run_for(Seconds(40));
  EXPECT_TRUE(two.packet());
  EXPECT_EQ(count_events(two.a, EventId::phase2_expired), 0U);
}

// What was carried before the renewal says nothing about the new pair.
TEST(RekeyOnTraffic, TheNewPairIsJudgedByItsOwnTraffic) {
  Rekeying two(RekeyMode::on_traffic);
  EXPECT_TRUE(two.packet());
  two.net.run_for(Seconds(1800));
  EXPECT_TRUE(two.a.plane().empty());
  EXPECT_EQ(count_events(two.a, EventId::phase2_established), 2U);
}

TEST(RekeyAlways, AnIdleSaPairIsRenewed) {
  Rekeying two(RekeyMode::always);
  two.net.run_for(Seconds(3600));
  EXPECT_TRUE(two.packet());
  EXPECT_GE(count_events(two.a, EventId::phase2_established), 6U);
  EXPECT_EQ(count_events(two.a, EventId::phase2_expired), 0U);
}

TEST(RekeyNever, AnSaPairLivesItsLifeAndGoes) {
  Rekeying two(RekeyMode::never);
  EXPECT_FALSE(two.sas(two.a).rekey_at);
  two.a.command(ike::SoftLimitReached{two.sas(two.a).out, Reqid{kFirst}});
  for (int i = 0; i < 59; ++i) {
    EXPECT_TRUE(two.packet());
    two.net.run_for(Seconds(10));
  }
  EXPECT_EQ(two.renewals(), 0U);
  EXPECT_EQ(two.a.plane().begin()->second.spec.soft_kilobytes, Kilobytes{0});
  two.net.run_for(Seconds(20));
  EXPECT_TRUE(two.a.plane().empty());
}

TEST(RekeyOnTraffic, ATunnelThatStartsByItselfIsRenewedThoughIdle) {
  TunnelPlan one = on_traffic(RekeyMode::on_traffic);
  one.start_here = StartMode::on_start;
  TwoGateways two(1, {one});
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  two.net.run_for(Seconds(3600));
  EXPECT_TRUE(carries(two.a, two.b, 1));
  EXPECT_EQ(count_events(two.a, EventId::phase2_expired), 0U);
}

TEST(Kilobytes, TheSoftLimitRenewsAndTheHardOneEnds) {
  Rekeying two(RekeyMode::on_traffic);
  const auto first = two.sas(two.a);
  two.a.command(ike::SoftLimitReached{first.out, first.reqid});
  ASSERT_TRUE(two.net.run_for(Seconds(5), [&] { return two.tunnel(two.a).sas.size() == 2; }));
  two.a.command(ike::SaExpired{first.out, first.reqid});
  two.net.run_for(Seconds(1));
  EXPECT_EQ(two.tunnel(two.a).sas.size(), 1U);
  EXPECT_TRUE(two.packet()) << "the successor sends at once";
  EXPECT_EQ(count_events(two.b, EventId::delete_received), 1U);
}

// The two sides' soft limits differ, and no two SAs have the same.
TEST(Kilobytes, SoftLimitsAreJittered) {
  std::set<std::uint64_t> seen;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    TwoGateways two(seed, {plan(StartMode::on_start, StartMode::responder)});
    two.start();
    ASSERT_TRUE(two.up_within(Seconds(5)));
    const auto soft = [](Gateway& gateway) {
      return gateway.plane().begin()->second.spec.soft_kilobytes.value;
    };
    EXPECT_GE(soft(two.a), 4608000U * 85 / 100);
    EXPECT_LT(soft(two.a), soft(two.b)) << "who began renews first";
    EXPECT_LE(soft(two.b), 4608000U * 95 / 100);
    seen.insert(soft(two.a));
  }
  EXPECT_GE(seen.size(), 3U);
}

// A renewal's outbound SA waits, but not past the old one's last kilobytes.
TEST(Kilobytes, AFastTunnelSwitchesBeforeItsHardLimit) {
  Rekeying two(RekeyMode::on_traffic);
  two.net.run_for(Seconds(20));
  const auto first = two.sas(two.a);
  two.a.command(ike::SoftLimitReached{first.out, first.reqid});
  two.net.run_for(Seconds(1));
  EXPECT_EQ(two.a.plane().size(), 4U) << "of 20 s to the soft limit, half of a twentieth";
}

struct Lives {
  Seconds a;
  Seconds b;
};
class SmallerLife : public testing::TestWithParam<Lives> {};

// Whoever has the smaller life, initiator or responder: it holds at both ends, in both phases.
TEST_P(SmallerLife, HoldsAtBothEnds) {
  TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)});
  const auto configure = [](Gateway& gateway, Seconds life) {
    ike::PeerConfig& peer = gateway.config().peers[0];
    peer.tunnels[0].lifetime = {life, Kilobytes{static_cast<std::uint64_t>(life.count()) * 10}};
    for (IsakmpPolicy& policy : peer.policies) policy.lifetime = life * 24;
  };
  configure(two.a, GetParam().a);
  configure(two.b, GetParam().b);
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  two.net.run_for(Seconds(1));
  const Seconds smaller = std::min(GetParam().a, GetParam().b);
  for (Gateway* gateway : {&two.a, &two.b}) {
    const auto peer = gateway->engine().snapshot(two.net.now().wall)[0];
    const auto& sas = peer.tunnels[0].sas.at(0);
    // A responder's SA is in the data plane, and its life runs, before it counts as established.
    EXPECT_LE(sas.expires_at - sas.established_at, Milliseconds(smaller)) << gateway->name;
    EXPECT_GT(sas.expires_at - sas.established_at, Milliseconds(smaller) - Seconds(1)) << gateway->name;
    EXPECT_EQ(sas.kilobytes.value, static_cast<std::uint64_t>(smaller.count()) * 10) << gateway->name;
    EXPECT_EQ(gateway->plane().begin()->second.spec.hard_time, smaller) << gateway->name;
    EXPECT_EQ(gateway->plane().begin()->second.spec.hard_kilobytes, sas.kilobytes) << gateway->name;
    const auto& isakmp = peer.isakmp_sas.at(0);
    EXPECT_EQ(*isakmp.expires_at - *isakmp.established_at, Milliseconds(smaller * 24)) << gateway->name;
    EXPECT_LT(*isakmp.rekey_at, *isakmp.expires_at);
  }
}
INSTANTIATE_TEST_SUITE_P(Lives, SmallerLife,
                         testing::Values(Lives{Seconds(3600), Seconds(600)},
                                         Lives{Seconds(600), Seconds(3600)},
                                         Lives{Seconds(700), Seconds(700)},
                                         // More seconds than a basic attribute holds, in both phases.
                                         Lives{Seconds(200000), Seconds(100000)}));

TEST(ResponderLifetime, IsToldOnlyWhereItIsShorter) {
  for (const Seconds theirs : {Seconds(600), Seconds(3600), Seconds(7200)}) {
    TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)});
    for (IsakmpPolicy& policy : two.b.config().peers[0].policies) policy.lifetime = theirs * 24;
    two.start();
    ASSERT_TRUE(two.up_within(Seconds(5)));
    two.net.run_for(Seconds(1));
    EXPECT_EQ(count_events(two.b, EventId::notify_sent), theirs == Seconds(600) ? 1U : 0U);
    EXPECT_EQ(two.net.datagrams, theirs == Seconds(600) ? 10U : 9U) << "phase 1's is a message of its own";
  }
}

// The message is not acknowledged: lost, the responder's SA ends first, and the tunnel stays.
TEST(ResponderLifetime, MayBeLost) {
  TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)});
  for (IsakmpPolicy& policy : two.b.config().peers[0].policies) policy.lifetime = Seconds(600);
  std::size_t from_b = 0;
  two.net.tap = [&](const Endpoint& from, const Endpoint&, Bytes&) {
    return from.address != two.b.address || ++from_b != 4;  // behind messages 2, 4 and 6
  };
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  two.net.run_for(Seconds(3600));
  EXPECT_EQ(two.a.engine().snapshot(two.net.now().wall)[0].tunnels[0].state, ike::TunnelState::up);
  EXPECT_TRUE(carries(two.a, two.b, 1));
}

TEST(Phase1, IsRenewedWithoutTouchingPhase2) {
  TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)}, Seconds(600));
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  const auto before = two.a.engine().snapshot(two.net.now().wall)[0].tunnels[0].sas.at(0).in;
  two.net.run_for(Seconds(3000));
  const auto peer = two.a.engine().snapshot(two.net.now().wall)[0];
  EXPECT_EQ(peer.tunnels[0].sas.at(0).in, before);
  EXPECT_EQ(peer.tunnels[0].sas.size(), 1U);
  EXPECT_EQ(peer.isakmp_sas.size(), 1U);
  EXPECT_GE(count_events(two.a, EventId::phase1_authenticated), 5U)
      << "each time the peer proves itself anew";
  EXPECT_EQ(count_events(two.b, EventId::phase2_established), 1U);
}

TEST(Phase1, LapsesWhenNoTunnelNeedsIt) {
  Rekeying two(RekeyMode::on_traffic, Seconds(3600));
  two.net.run_for(Seconds(7200));
  EXPECT_EQ(count_events(two.a, EventId::phase1_established), 1U);
  EXPECT_TRUE(two.a.engine().snapshot(two.net.now().wall)[0].isakmp_sas.empty());
  EXPECT_TRUE(two.b.engine().snapshot(two.net.now().wall)[0].isakmp_sas.empty());
  EXPECT_TRUE(two.net.run_for(Seconds(10), [&] { return two.packet(); }));
}

}  // namespace
}  // namespace oakgate::sim
