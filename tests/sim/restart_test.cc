// SA pairs that outlive the daemon (ike/kept_pairs.h): a gateway ends, or is killed, and carries on. And what
// a gateway says that has none of them: INITIAL-CONTACT.

#include <gtest/gtest.h>

#include "ike/kept_pairs.h"
#include "tests/sim/two_gateways.h"

namespace oakgate::sim {
namespace {

constexpr Milliseconds kBreak{3000};

// One side begins: there is one SA pair for each pair of selectors from the start.
TunnelPlan one_way() {
  return plan(StartMode::on_start, StartMode::responder);
}

struct KeepingGateways : TwoGateways {
  explicit KeepingGateways(std::uint64_t seed, const std::vector<TunnelPlan>& plans = {one_way()})
      : TwoGateways(seed, plans) {
    a.config().keep = true;
  }
  void restart() {
    a.crash();
    net.run_for(kBreak);
    a.start();
  }
  // Packets go both ways ten times a second for so long; how many did not arrive.
  int lost_during(Milliseconds time, std::uint32_t pairs = 1) {
    int lost = 0;
    for (Milliseconds past{0}; past < time; past += Milliseconds(100)) {
      net.run_for(Milliseconds(100));
      lost += carries(a, b, pairs) ? 0 : 1;
    }
    return lost;
  }
};

std::size_t sas_of(const Gateway& gateway) {
  return gateway.plane().size();
}

TEST(KeptOverRestart, NothingOfTheTrafficIsLost) {
  for (std::uint64_t seed = first_seed(); seed < first_seed() + runs(20); ++seed) {
    KeepingGateways two(seed);
    two.start();
    ASSERT_TRUE(two.up_within(Milliseconds(5000))) << "seed " << seed;
    ASSERT_EQ(1U, two.a.kept().size());
    two.a.crash();
    two.b.events.clear();
    EXPECT_EQ(0, two.lost_during(kBreak)) << "the data plane goes on, seed " << seed;
    two.a.events.clear();
    two.a.start();
    EXPECT_TRUE(two.a.tunnels_up()) << "from the first moment, seed " << seed;
    EXPECT_EQ(1U, count_events(two.a, ike::EventId::phase2_adopted));
    EXPECT_EQ(0, two.lost_during(Milliseconds(60000))) << "seed " << seed;
    EXPECT_EQ(1U, count_events(two.a, ike::EventId::phase2_established)) << "renewed, seed " << seed;
    EXPECT_EQ(nullptr, find_event(two.b, ike::EventId::initial_contact)) << "seed " << seed;
    EXPECT_EQ(2U, sas_of(two.a)) << "the old one went, seed " << seed;
    EXPECT_EQ(2U, sas_of(two.b)) << "seed " << seed;
    EXPECT_EQ(1U, two.a.kept().size());
  }
}

TEST(KeptOverRestart, AnOrderlyEndTellsNobodyAndLosesNothing) {
  for (std::uint64_t seed = first_seed(); seed < first_seed() + runs(20); ++seed) {
    KeepingGateways two(seed);
    two.start();
    ASSERT_TRUE(two.up_within(Milliseconds(5000)));
    const std::uint64_t before = two.net.datagrams;
    two.a.command(ike::Suspend{ike::CommandId{7}});
    EXPECT_EQ(before, two.net.datagrams) << "no DELETE";
    ASSERT_TRUE(two.a.command_results.contains(7));
    two.restart();
    EXPECT_EQ(0, two.lost_during(Milliseconds(60000))) << "seed " << seed;
    EXPECT_EQ(1U, count_events(two.a, ike::EventId::phase2_adopted));
  }
}

// The end comes in the midst of a renewal: what it had installed sends at once, or is not there.
TEST(KeptOverRestart, EndsAtAnyMomentOfARenewal) {
  for (std::uint64_t seed = first_seed(); seed < first_seed() + runs(15); ++seed) {
    for (const bool orderly : {true, false}) {
      TunnelPlan plan = one_way();
      plan.lifetime = Seconds(300);
      plan.rekey = RekeyMode::always;
      KeepingGateways two(seed, {plan});
      two.net.faults.jitter = Milliseconds(20);
      two.start();
      ASSERT_TRUE(two.up_within(Milliseconds(5000)));
      two.a.events.clear();
      ASSERT_TRUE(two.net.run_for(
          Seconds(300), [&] { return find_event(two.a, ike::EventId::phase2_started) != nullptr; }));
      two.net.run_for(Milliseconds(two.net.rng.between(0, orderly ? 12000 : 60)));
      if (orderly) two.a.command(ike::Suspend{});
      two.restart();
      two.lost_during(
          Milliseconds(20000));  // one whose message 3 was lost with the process is missed at most
      EXPECT_EQ(0, two.lost_during(Milliseconds(200000))) << "seed " << seed << " orderly " << orderly;
      two.net.run_for(Milliseconds(30000));
      EXPECT_EQ(sas_of(two.a), sas_of(two.b)) << "seed " << seed << " orderly " << orderly;
    }
  }
}

TEST(KeptOverRestart, WithLossAndAgainAndAgain) {
  for (std::uint64_t seed = first_seed(); seed < first_seed() + runs(20); ++seed) {
    TunnelPlan many = one_way();
    many.local = {"10.1.0.0/24", "10.1.1.0/24"};
    many.remote = {"10.2.0.0/24", "10.2.1.0/24"};
    KeepingGateways two(seed, {many});
    two.net.faults.loss = 0.1;
    two.start();
    ASSERT_TRUE(two.up_within(Milliseconds(60000)));
    for (int i = 0; i < 5; ++i) {
      two.restart();
      two.net.run_for(Milliseconds(two.net.rng.between(0, 30000)));
    }
    two.net.faults.loss = 0;
    two.net.run_for(Milliseconds(120000));
    EXPECT_TRUE(carries(two.a, two.b, 4)) << "seed " << seed;
    EXPECT_EQ(8U, sas_of(two.a)) << "seed " << seed;
    EXPECT_EQ(8U, sas_of(two.b)) << "seed " << seed;
    EXPECT_EQ(4U, two.a.kept().size()) << "seed " << seed;
  }
}

TEST(KeptOverRestart, WhatTheConfigurationHasNoMoreIsDeletedAtBothEnds) {
  TunnelPlan second = one_way();
  second.name = "second";
  second.local = {"10.1.1.0/24"};
  second.remote = {"10.2.1.0/24"};
  KeepingGateways two(1, {one_way(), second});
  two.start();
  ASSERT_TRUE(two.up_within(Milliseconds(5000)));
  two.a.crash();
  two.a.config().peers.front().tunnels.pop_back();
  two.a.start();
  EXPECT_EQ(2U, sas_of(two.a)) << "at once here";
  EXPECT_EQ(1U, two.a.kept().size());
  two.net.run_for(Milliseconds(15000));
  std::size_t of_the_second = 0;
  for (const auto& [id, held] : two.b.plane())
    of_the_second += held.spec.reqid == Reqid{kFirst + 1} ? 1U : 0U;
  EXPECT_EQ(0U, of_the_second) << "and there with the first IKE SA";
  EXPECT_EQ(0, two.lost_during(Milliseconds(60000)));
}

TEST(KeptOverRestart, OtherAlgorithmsOtherAddressesAndAnEndedWaiverStartAnew) {
  using Change = std::function<void(ike::PeerConfig&)>;
  const std::vector<Change> changes{
      [](ike::PeerConfig& peer) {
        peer.tunnels.front().transform_sets.erase(peer.tunnels.front().transform_sets.begin());
      },
      [](ike::PeerConfig& peer) { peer.called_from = {*Subnet::parse("198.51.100.0/24")}; },
      [](ike::PeerConfig& peer) { peer.tunnels.front().name = "other"; },
      [](ike::PeerConfig& peer) { peer.tunnels.front().esn = true; },
      [](ike::PeerConfig& peer) {
        peer.needs_waiver = {Weak::sha};
        peer.waiver.until = std::chrono::sys_days(std::chrono::year(2020) / 1 / 1);
      },
      [](ike::PeerConfig& peer) {
        peer.tunnels.front().pairs.front().selectors.local = {*Subnet::parse("10.9.0.0/24")};
      }};
  for (const Change& change : changes) {
    KeepingGateways two(1);
    two.start();
    ASSERT_TRUE(two.up_within(Milliseconds(5000)));
    two.a.crash();
    change(two.a.config().peers.front());
    two.a.start();
    EXPECT_EQ(0U, sas_of(two.a));
    EXPECT_TRUE(two.a.kept().empty());
  }
}

TEST(KeptOverRestart, ExtendedSequenceNumbersStay) {
  KeepingGateways two(1);
  for (Gateway* gateway : {&two.a, &two.b}) gateway->config().peers.front().tunnels.front().esn = true;
  two.start();
  ASSERT_TRUE(two.up_within(Milliseconds(5000)));
  ASSERT_TRUE(two.a.kept().begin()->second.esn);
  for (const SaSpec& sa : ike::kept_sas(two.a.kept().begin()->second)) EXPECT_TRUE(sa.esn);
  two.a.events.clear();
  two.restart();
  EXPECT_EQ(1U, count_events(two.a, ike::EventId::phase2_adopted));
  const auto there = two.a.engine().snapshot({}).at(0);
  EXPECT_TRUE(there.tunnels.at(0).sas.at(0).esn);
}

TEST(KeptOverRestart, SasThatAreGoneAreNegotiatedAnewWithInitialContact) {
  KeepingGateways two(1);
  two.start();
  ASSERT_TRUE(two.up_within(Milliseconds(5000)));
  two.a.crash();
  two.a.lose(two.a.kept().begin()->second.in);
  two.a.start();
  EXPECT_EQ(0U, sas_of(two.a)) << "an outbound SA alone is of no use";
  EXPECT_EQ(nullptr, find_event(two.a, ike::EventId::phase2_adopted));
  ASSERT_TRUE(two.up_within(Milliseconds(5000)));
  EXPECT_NE(nullptr, find_event(two.b, ike::EventId::initial_contact));
  EXPECT_TRUE(carries(two.a, two.b, 1));
}

TEST(KeptOverRestart, OneThatIsNeverRenewedHasAnIkeSaAgainAndItsEnd) {
  TunnelPlan plan = one_way();
  plan.rekey = RekeyMode::never;
  plan.lifetime = Seconds(600);
  KeepingGateways two(1, {plan});
  two.start();
  ASSERT_TRUE(two.up_within(Milliseconds(5000)));
  two.restart();
  EXPECT_TRUE(two.net.run_for(Milliseconds(15000), [&] {
    return two.a.engine().snapshot(two.net.now().wall).front().state == ike::PeerState::established;
  }));
  EXPECT_EQ(1U, count_events(two.a, ike::EventId::phase2_established)) << "no other";
  EXPECT_EQ(0, two.lost_during(Milliseconds(500000)));
  two.net.run_for(Milliseconds(120000));
  const auto expired = ike::EventId::phase2_expired;  // the other end is told
  EXPECT_EQ(1U, count_events(two.a, expired) + count_events(two.b, expired)) << "counted from its beginning";
}

// A peer that only calls: it is where it was, so this side can renew.
TEST(KeptOverRestart, OfAPeerThatMayBeAnywhere) {
  KeepingGateways two(3, {plan(StartMode::responder, StartMode::on_start)});
  two.a.config().peers.front().called_from = {*Subnet::parse("192.0.2.0/24")};
  two.start();
  ASSERT_TRUE(two.up_within(Milliseconds(5000)));
  two.a.crash();
  two.a.events.clear();
  two.a.start();
  EXPECT_EQ(0, two.lost_during(Milliseconds(60000)));
  EXPECT_EQ(1U, count_events(two.a, ike::EventId::phase2_established));
}

TEST(KeptOverRestart, ThePeerThatRenewsFirstIsAnswered) {
  TunnelPlan plan = one_way();
  plan.lifetime = Seconds(300);
  plan.rekey = RekeyMode::always;
  KeepingGateways two(5, {plan});
  two.start();
  ASSERT_TRUE(two.up_within(Milliseconds(5000)));
  two.a.crash();
  two.net.run_for(Seconds(200));
  two.a.start();
  EXPECT_EQ(0, two.lost_during(Milliseconds(400000)));
}

TEST(KeptOverRestart, OfPairsThatThePeerHasNarrowed) {
  KeepingGateways two(1, {plan(StartMode::responder, StartMode::on_start)});
  ike::TunnelConfig& wide = two.a.config().peers.front().tunnels.front();
  wide.accept = AcceptMode::subset;
  wide.pairs.front().selectors.local = {*Subnet::parse("10.1.0.0/16")};
  two.start();
  const auto carries_in = [&] { return two.b.send_traffic(Reqid{kFirst}, two.a); };
  ASSERT_TRUE(two.net.run_for(Milliseconds(5000), carries_in));
  two.net.run_for(Milliseconds(1000));
  ASSERT_EQ(1U, two.a.kept().size());
  ASSERT_TRUE(two.a.kept().begin()->second.narrows.has_value());
  two.a.crash();
  two.a.events.clear();
  two.a.start();
  EXPECT_EQ(1U, count_events(two.a, ike::EventId::phase2_adopted));
  EXPECT_TRUE(carries_in());
  EXPECT_EQ(2U, two.a.guarded().size()) << "the wide one and the part";
  for (int i = 0; i < 600; ++i) {
    two.net.run_for(Milliseconds(100));
    EXPECT_TRUE(carries_in()) << i;
  }
}

TEST(KeptOverRestart, KeepingBeginsAndEndsWithTheConfiguration) {
  TwoGateways two(1);
  two.start();
  ASSERT_TRUE(two.up_within(Milliseconds(5000)));
  EXPECT_TRUE(two.a.kept().empty()) << "nobody asked for it";
  two.a.config().keep = true;
  two.a.command(ike::Reconfigure{two.a.config()});
  EXPECT_EQ(1U, two.a.kept().size());
  two.a.command(ike::Down{{}, two.b.name, {}});
  EXPECT_TRUE(two.a.kept().empty());
}

TEST(Restart, InitialContactTakesTheOldSasAway) {
  TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)});
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  two.a.kill();
  two.a.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  two.net.run_for(Seconds(1));
  EXPECT_NE(find_event(two.b, ike::EventId::initial_contact), nullptr);
  EXPECT_EQ(two.b.plane().size(), 2U) << "only the new SA pair";
  EXPECT_TRUE(carries(two.a, two.b, 1));
}

// The IKE SA may end before the SA pairs do. Who begins anew then has not forgotten them, and does not say
// so.
TEST(Restart, NoInitialContactWhileSaPairsLive) {
  TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)}, Seconds(120));
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  two.net.tap = [](const Endpoint&, const Endpoint&, Bytes&) { return false; };
  ASSERT_TRUE(two.net.run_for(Seconds(400), [&] {
    return two.a.engine().snapshot(two.net.now().wall)[0].isakmp_sas.empty() &&
           two.b.engine().snapshot(two.net.now().wall)[0].isakmp_sas.empty();
  }));
  ASSERT_TRUE(carries(two.a, two.b, 1)) << "the SA pair outlives the IKE SA";
  two.net.tap = {};
  two.a.events.clear();
  two.b.events.clear();
  const SaId out = two.a.engine().snapshot(two.net.now().wall)[0].tunnels[0].sas.at(0).out;
  two.a.command(ike::SoftLimitReached{out, Reqid{kFirst}});
  for (int tick = 0; tick < 200; ++tick) {
    two.net.run_for(Milliseconds(100));
    EXPECT_TRUE(carries(two.a, two.b, 1)) << tick;
  }
  EXPECT_NE(find_event(two.b, ike::EventId::phase1_established), nullptr);
  for (const Gateway* gateway : {&two.a, &two.b})
    EXPECT_EQ(find_event(*gateway, ike::EventId::initial_contact), nullptr) << gateway->name;
}

}  // namespace
}  // namespace oakgate::sim
