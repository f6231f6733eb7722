// Renewals: make before break. No packet is lost, whatever the responder's order is and whichever message
// goes astray; the old pair goes at both ends.
#include <gtest/gtest.h>

#include <map>

#include "ike/wire/message.h"
#include "tests/sim/two_gateways.h"

namespace oakgate::sim {
namespace {

TEST(Rekey, NoPacketIsLostWhileSasAreRenewed) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    TunnelPlan short_lived = plan(StartMode::on_start, StartMode::on_start);
    short_lived.lifetime = Seconds(120);
    if (seed % 2 == 0) short_lived.pfs = DhGroup::modp2048;
    TwoGateways two(seed, {short_lived}, Seconds(200));
    two.start();
    ASSERT_TRUE(two.up_within(Seconds(10))) << "seed " << seed;
    two.net.run_for(Seconds(1));
    int lost = 0;
    for (int tick = 0; tick < 4000; ++tick) {
      two.net.run_for(Milliseconds(250));
      if (!carries(two.a, two.b, 1)) ++lost;
    }
    EXPECT_EQ(lost, 0) << "seed " << seed;
    EXPECT_GE(count_events(two.a, ike::EventId::phase2_established), 8U);
    EXPECT_GE(count_events(two.a, ike::EventId::phase1_established), 4U);
    EXPECT_LE(two.a.plane().size(), 8U) << "old SAs must end";
  }
}

// A responder that receives with a new SA only once message 3 is there, over a wire that loses it, and
// packets all the time.
TEST(Rekey, NoPacketIsLostToAResponderThatReceivesLate) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    TunnelPlan short_lived = plan(StartMode::on_start, StartMode::responder);
    short_lived.lifetime = Seconds(600);  // long enough that the responder never renews first
    TwoGateways two(seed, {short_lived});
    two.b.receives_late = true;
    two.start();
    ASSERT_TRUE(two.up_within(Seconds(10))) << "seed " << seed;
    two.net.run_for(Seconds(1));
    two.net.faults.loss = 0.1;
    two.net.faults.duplicate = 0.1;
    two.net.faults.jitter = Milliseconds(50);
    int lost = 0;
    for (int tick = 0; tick < 120000; ++tick) {
      two.net.run_for(Milliseconds(25));
      if (!two.a.send_traffic(Reqid{kFirst}, two.b)) ++lost;
    }
    EXPECT_EQ(lost, 0) << "seed " << seed;
    EXPECT_GE(count_events(two.a, ike::EventId::phase2_established), 4U);
  }
}

// The old pair may go before its time: the new one sends at once.
TEST(Rekey, TheNewPairSendsAtOnceWhenTheOldOneGoes) {
  TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)});
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  two.net.run_for(Seconds(300));
  const SaId first = two.a.engine().snapshot(two.net.now().wall)[0].tunnels[0].sas.at(0).out;
  two.a.command(ike::SoftLimitReached{first, Reqid{kFirst}});
  ASSERT_TRUE(two.net.run_for(
      Seconds(1), [&] { return two.a.engine().snapshot(two.net.now().wall)[0].tunnels[0].sas.size() == 2; }));
  EXPECT_EQ(two.a.plane().size(), 3U) << "what it sends with waits";
  two.a.command(ike::SaExpired{first, Reqid{kFirst}});
  two.net.run_for(Milliseconds(100));
  EXPECT_EQ(two.a.plane().size(), 2U);
  EXPECT_TRUE(carries(two.a, two.b, 1));
}

TEST(Rekey, ADataPlaneThatRefusesTheHeldSaLeavesTheOldPair) {
  TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)});
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  two.net.run_for(Seconds(300));
  const SaId first = two.a.engine().snapshot(two.net.now().wall)[0].tunnels[0].sas.at(0).out;
  two.a.command(ike::SoftLimitReached{first, Reqid{kFirst}});
  two.net.run_for(Seconds(1));
  two.a.refuse_installs = true;
  two.net.run_for(Seconds(8));
  const auto sas = two.a.engine().snapshot(two.net.now().wall)[0].tunnels[0].sas;
  ASSERT_EQ(sas.size(), 1U);
  EXPECT_EQ(sas[0].out, first);
  EXPECT_TRUE(carries(two.a, two.b, 1));
  EXPECT_NE(find_event(two.a, ike::EventId::data_plane_failed), nullptr);
}

// Some peers renew and never delete what they replaced: the responder does, later.
TEST(Rekey, AReplacedPairIsDeletedEvenIfTheInitiatorForgets) {
  TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)});
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  const SaId first = two.a.engine().snapshot(two.net.now().wall)[0].tunnels[0].sas.at(0).out;
  two.a.command(ike::SoftLimitReached{first, Reqid{kFirst}});
  two.net.run_for(Seconds(1));
  ASSERT_EQ(two.b.plane().size(), 4U);
  two.net.tap = [&](const Endpoint& from, const Endpoint&, Bytes&) { return from.address != two.a.address; };
  two.net.run_for(Seconds(25));
  EXPECT_EQ(two.b.plane().size(), 2U);
  EXPECT_TRUE(carries(two.a, two.b, 1)) << "what is left is the new pair on both sides";
}

TEST(Rekey, TheSoftLimitOfKilobytesRenews) {
  TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)});
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  const SaId first = two.a.engine().snapshot(two.net.now().wall)[0].tunnels[0].sas.at(0).out;
  two.a.command(ike::SoftLimitReached{first, Reqid{kFirst}});
  two.net.run_for(Seconds(30));
  const auto sas = two.a.engine().snapshot(two.net.now().wall)[0].tunnels[0].sas;
  ASSERT_EQ(sas.size(), 1U) << "the old pair is deleted after its grace";
  EXPECT_NE(sas[0].out, first);
  EXPECT_TRUE(carries(two.a, two.b, 1));
}

// gw-a sends message 3 and believes in its SAs; gw-b never gets it. It takes back what it has, and says so.
TEST(QuickMode, AMessage3ThatNeverComesLeavesNothingAtEitherEnd) {
  TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)});
  std::map<MessageId, Bytes> first;  // of each exchange, gw-a's
  two.net.tap = [&](const Endpoint& from, const Endpoint&, Bytes& data) {
    const auto header = wire::parse_header(data);
    if (header->exchange != wire::ExchangeType::quick || from.address != two.a.address) return true;
    const auto [offer, fresh] = first.emplace(header->message_id, data);
    return first.size() > 1 || fresh || offer->second == data;
  };
  two.start();
  two.net.run_for(Seconds(10));
  EXPECT_TRUE(two.a.tunnels_up());
  EXPECT_FALSE(two.b.tunnels_up());
  ASSERT_TRUE(two.up_within(Seconds(60))) << "gw-a has begun anew";
  EXPECT_EQ(two.a.plane().size(), 2U);
  EXPECT_EQ(two.b.plane().size(), 2U);
  EXPECT_TRUE(carries(two.a, two.b, 1));
  EXPECT_EQ(count_events(two.a, ike::EventId::phase1_established), 1U) << "under the same IKE SA";
}

// Each order in which the two deletes may come.
TEST(Rekey, WhatIsTakenDownWhileTwoSaPairsAreThereStaysDown) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    TunnelPlan one = plan(StartMode::responder, StartMode::responder);
    one.lifetime = Seconds(60);
    TwoGateways two(seed, {one});
    two.start();
    two.a.command(ike::Up{ike::CommandId{1}, "gw-b", "lan"});
    ASSERT_TRUE(two.up_within(Seconds(5))) << "seed " << seed;
    for (int tenth = 0; tenth < 700 && two.a.plane().size() < 4; ++tenth) {
      static_cast<void>(carries(two.a, two.b, 1));
      two.net.run_for(Milliseconds(100));
    }
    ASSERT_EQ(two.a.plane().size(), 4U) << "seed " << seed;
    two.net.faults.jitter = Milliseconds(seed % 2 == 0 ? 200 : 0);
    two.a.command(ike::Down{ike::CommandId{2}, "gw-b", "lan"});
    two.net.run_for(Seconds(30));
    EXPECT_TRUE(two.a.plane().empty()) << "seed " << seed;
    EXPECT_TRUE(two.b.plane().empty()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace oakgate::sim
