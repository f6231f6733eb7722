// Both sides want the same at once: start, renew, delete. Whatever the order in which the messages meet, one
// SA pair a selector is left, the same at both ends, and no packet is lost on the way.
#include <gtest/gtest.h>

#include "ike/wire/message.h"
#include "tests/sim/two_gateways.h"

namespace oakgate::sim {
namespace {

using Spis = std::vector<std::pair<std::uint32_t, std::uint32_t>>;  // of SA pairs: from a to b, from b to a

Spis spis_of(TwoGateways& two, Gateway& gateway) {
  Spis spis;
  for (const ike::PeerSnapshot& peer : gateway.engine().snapshot(two.net.now().wall)) {
    for (const ike::TunnelSnapshot& tunnel : peer.tunnels) {
      for (const ike::SaPairSnapshot& sas : tunnel.sas) {
        const bool ours = &gateway == &two.a;
        spis.emplace_back((ours ? sas.out : sas.in).spi.value, (ours ? sas.in : sas.out).spi.value);
      }
    }
  }
  return spis;
}

void expect_one_pair(TwoGateways& two, std::uint64_t seed) {
  const Spis at_a = spis_of(two, two.a);
  EXPECT_EQ(at_a.size(), 1U) << "seed " << seed;
  EXPECT_EQ(at_a, spis_of(two, two.b)) << "seed " << seed;
  EXPECT_EQ(two.a.plane().size(), 2U) << "seed " << seed;
  EXPECT_EQ(two.b.plane().size(), 2U) << "seed " << seed;
}

void roughen(TwoGateways& two) {
  two.net.faults.latency = Milliseconds(two.net.rng.between(1, 60));
  two.net.faults.jitter = Milliseconds(two.net.rng.between(0, 80));
  two.net.faults.job_delay = Milliseconds(two.net.rng.between(0, 80));
}

// Runs for `time` with packets both ways; how many did not arrive.
int lost_within(TwoGateways& two, Seconds time) {
  int lost = 0;
  for (Milliseconds passed{0}; passed < time; passed += Milliseconds(20)) {
    two.net.run_for(Milliseconds(20));
    if (!carries(two.a, two.b, 1)) ++lost;
  }
  return lost;
}

TEST(Collision, BothStartAtOnceAndOnePairStays) {
  int met = 0;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    TunnelPlan both = plan(StartMode::on_start, StartMode::on_start);
    if (seed % 2 == 0) both.pfs = DhGroup::ecp256;
    TwoGateways two(seed, {both});
    roughen(two);
    two.start();
    ASSERT_TRUE(two.up_within(Seconds(10))) << "seed " << seed;
    two.net.run_for(Seconds(1));
    if (spis_of(two, two.a).size() == 2) ++met;
    EXPECT_EQ(lost_within(two, Seconds(24)), 0) << "seed " << seed;
    two.net.run_for(Seconds(20));  // an exchange that was given up on one side lasts so long on the other
    expect_one_pair(two, seed);
  }
  EXPECT_GT(met, 20) << "they hardly ever met: the test tests little";
}

TEST(Collision, BothRenewAtOnceAndOnePairStays) {
  int met = 0;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    TwoGateways two(seed, {plan(StartMode::on_start, StartMode::responder)});
    two.start();
    ASSERT_TRUE(two.up_within(Seconds(5)));
    two.net.run_for(Seconds(1));
    roughen(two);
    const ike::SaPairSnapshot old = two.a.engine().snapshot(two.net.now().wall)[0].tunnels[0].sas.at(0);
    two.a.command(ike::SoftLimitReached{old.out, Reqid{kFirst}});
    two.net.after(Milliseconds(two.net.rng.between(0, 100)), [&] {
      two.b.command(ike::SoftLimitReached{{old.in}, Reqid{kFirst}});
    });
    int lost = lost_within(two, Seconds(1));
    if (spis_of(two, two.a).size() == 3) ++met;
    lost += lost_within(two, Seconds(29));
    EXPECT_EQ(lost, 0) << "seed " << seed;
    expect_one_pair(two, seed);
    for (const auto& spis : spis_of(two, two.a)) EXPECT_NE(spis.first, old.out.spi.value) << "seed " << seed;
  }
  EXPECT_GT(met, 20) << "they hardly ever met: the test tests little";
}

// The kept pair is renewed in its time, though the loser was the newer one.
TEST(Collision, WhatStaysIsRenewed) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    TunnelPlan both = plan(StartMode::on_start, StartMode::on_start);
    both.lifetime = Seconds(120);
    TwoGateways two(seed, {both});
    two.start();
    ASSERT_TRUE(two.up_within(Seconds(10)));
    two.net.run_for(Seconds(1));
    EXPECT_EQ(lost_within(two, Seconds(240)), 0) << "seed " << seed;
  }
}

TEST(Collision, OneDeletesWhileTheOtherRenews) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    TwoGateways two(seed, {plan(StartMode::on_start, StartMode::responder)});
    two.start();
    ASSERT_TRUE(two.up_within(Seconds(5)));
    two.net.run_for(Seconds(1));
    roughen(two);
    const SaId old = two.a.engine().snapshot(two.net.now().wall)[0].tunnels[0].sas.at(0).out;
    two.a.command(ike::SoftLimitReached{old, Reqid{kFirst}});
    two.net.after(Milliseconds(two.net.rng.between(0, 500)), [&] {
      two.b.command(ike::Down{ike::CommandId{1}, "gw-a", "lan"});
    });
    two.net.run_for(Seconds(60));
    // a starts by itself, so the tunnel is there again, and once.
    expect_one_pair(two, seed);
    EXPECT_TRUE(carries(two.a, two.b, 1)) << "seed " << seed;
  }
}

// Of what `gateway` begins, no Quick Mode message passes that `lost` says so of.
void lose_own_offers(TwoGateways& two, const Gateway& gateway, std::function<bool(MessageId)> lost) {
  const auto owners = std::make_shared<std::map<MessageId, IpAddress>>();
  two.net.tap = [owners, lost = std::move(lost), own = gateway.address](const Endpoint& from, const Endpoint&,
                                                                        Bytes& data) {
    const auto header = wire::parse_header(data);
    if (!header || header->exchange != wire::ExchangeType::quick) return true;
    const auto owner = owners->emplace(header->message_id, from.address).first;
    return owner->second != own || !lost(header->message_id);
  };
}

TEST(Collision, AnOfferIsRepeatedNoMoreOnceThePeersIsComplete) {
  TwoGateways two(21, {plan(StartMode::on_start, StartMode::on_start)});
  int sent = 0;
  lose_own_offers(two, two.a, [&sent](MessageId) { return ++sent > 0; });
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(10)));
  const int before = sent;
  EXPECT_GT(before, 0);
  two.net.run_for(Seconds(60));
  EXPECT_EQ(sent, before);
  expect_one_pair(two, 21);
  EXPECT_EQ(count_events(two.a, ike::EventId::phase2_failed), 0U);
  EXPECT_EQ(count_events(two.a, ike::EventId::phase1_deleted), 0U);
}

// One Quick Mode without an answer says nothing of an IKE SA under which the peer answers others.
TEST(Collision, AnUnansweredOfferLeavesAnIkeSaThatLives) {
  TunnelPlan many = plan(StartMode::on_start, StartMode::responder);
  many.local.emplace_back("10.3.0.0/24");
  TwoGateways two(22, {many});
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  two.net.run_for(Seconds(120));
  std::optional<MessageId> first;
  lose_own_offers(two, two.a,
                  [&first](MessageId id) { return id == first.value_or(id) && (first = id, true); });
  const auto before = two.a.engine().snapshot(two.net.now().wall);
  for (const auto& sas : before[0].tunnels[0].sas) two.a.command(ike::SoftLimitReached{sas.out, sas.reqid});
  two.net.run_for(Seconds(60));
  EXPECT_EQ(count_events(two.a, ike::EventId::phase2_failed), 1U);
  EXPECT_EQ(count_events(two.a, ike::EventId::phase1_deleted), 0U);
  EXPECT_TRUE(carries(two.a, two.b, 2));
  two.net.run_for(Seconds(120));
  EXPECT_EQ(count_events(two.a, ike::EventId::phase2_established), 4U) << "both were renewed in the end";
}

}  // namespace
}  // namespace oakgate::sim
