// Peers whose NAT changes its mind: RFC 3948 section 4.
#include <gtest/gtest.h>

#include "tests/sim/two_gateways.h"

namespace oakgate::sim {
namespace {

using ike::EventId;

constexpr Reqid kLan{kFirst};

void put_behind_nat(TwoGateways& two, const IpAddress& outside) {
  two.net.nats = {{two.a.address, outside, 10000}};
  two.b.config().peers.front().called_from = {Subnet(outside, 24)};
}

struct BehindNat : TwoGateways {
  explicit BehindNat(std::uint64_t seed, Seconds phase1_life = Seconds(86400))
      : TwoGateways(seed, {plan(StartMode::on_start, StartMode::responder)}, phase1_life) {
    put_behind_nat(*this, *IpAddress::parse("198.51.100.1"));
  }
  bool up() {
    start();
    return up_within(Seconds(5)) && carries(a, b, 1);
  }
  Endpoint seen_at() { return b.engine().snapshot({}).at(0).isakmp_sas.at(0).remote; }
  // The SA pair that gateway b has, its only one.
  ike::SaPairSnapshot pair() { return b.engine().snapshot({}).at(0).tunnels.at(0).sas.at(0); }
  Endpoint pair_at() { return {pair().remote_gateway, pair().encapsulation->remote_port}; }
  void rebind(const char* address, std::uint16_t offset) {
    net.nats.front() = {a.address, *IpAddress::parse(address), offset};
  }
};

TEST(NatRebinding, TrafficFromTheNewPortMovesThePeer) {
  BehindNat two(15);
  ASSERT_TRUE(two.up());
  two.net.nats.front().port_offset = 11000;
  EXPECT_FALSE(two.b.send_traffic(kLan, two.a)) << "the old translation is gone";
  EXPECT_TRUE(two.a.send_traffic(kLan, two.b)) << "an authentic packet from the new one";
  two.net.run_for(Seconds(2));
  EXPECT_EQ(two.seen_at().port, 15500);
  EXPECT_TRUE(carries(two.a, two.b, 1));
  EXPECT_EQ(two.b.engine().snapshot({}).at(0).tunnels.at(0).sas.at(0).encapsulation,
            (UdpEncapsulation{4500, 15500}));
  EXPECT_EQ(count_events(two.b, EventId::endpoint_changed), 1U);
}

TEST(NatRebinding, TheAddressMayChangeToo) {
  BehindNat two(16);
  ASSERT_TRUE(two.up());
  two.net.nats.front() = {two.a.address, *IpAddress::parse("198.51.100.77"), 12000};
  EXPECT_TRUE(two.a.send_traffic(kLan, two.b));
  two.net.run_for(Seconds(2));
  EXPECT_EQ(two.seen_at().to_string(), "198.51.100.77:16500");
  EXPECT_TRUE(carries(two.a, two.b, 1));
  two.net.run_for(Seconds(60));
  EXPECT_TRUE(carries(two.a, two.b, 1));
  EXPECT_EQ(two.b.plane().size(), 2U) << "nothing of the old place is left";
}

TEST(NatRebinding, AnAuthenticIkeMessageMovesThePeer) {
  BehindNat two(17);
  ASSERT_TRUE(two.up());
  two.net.nats.front().port_offset = 11000;
  const SaId out = two.a.engine().snapshot({}).at(0).tunnels.at(0).sas.at(0).out;
  two.a.command(ike::SoftLimitReached{out, kLan});
  two.net.run_for(Seconds(20));
  EXPECT_EQ(two.seen_at().port, 15500);
  EXPECT_TRUE(carries(two.a, two.b, 1));
}

TEST(NatRebinding, AnUnauthenticMessageMovesNobody) {
  BehindNat two(18);
  std::vector<Bytes> recorded;
  two.net.tap = [&](const Endpoint& from, const Endpoint&, Bytes& data) {
    if (from.address == two.a.address) recorded.push_back(data);
    return true;
  };
  ASSERT_TRUE(two.up());
  const Endpoint before = two.seen_at();
  const Endpoint forged{*IpAddress::parse("198.51.100.1"), 6666};
  for (const Bytes& data : recorded) {
    two.b.receive({two.b.address, 4500}, forged, data);  // replayed
    Bytes flipped = data;
    flipped.back() ^= 1;
    two.b.receive({two.b.address, 4500}, forged, flipped);
  }
  EXPECT_EQ(two.seen_at(), before);
  EXPECT_EQ(find_event(two.b, EventId::endpoint_changed), nullptr);
}

TEST(NatRebinding, NobodyMovesToWhereThePeerDoesNotCallFrom) {
  BehindNat two(19);
  ASSERT_TRUE(two.up());
  const Endpoint before = two.seen_at();
  two.net.nats.front() = {two.a.address, *IpAddress::parse("203.0.113.9"), 10000};
  static_cast<void>(two.a.send_traffic(kLan, two.b));
  two.net.run_for(Seconds(2));
  EXPECT_EQ(two.seen_at(), before);
}

// ---- its SA pairs

TEST(NatRebinding, SaPairsGoOnWithoutAnyNegotiation) {
  for (const char* const address : {"198.51.100.1", "198.51.100.77"}) {
    BehindNat two(20);
    ASSERT_TRUE(two.up());
    const ike::SaPairSnapshot before = two.pair();
    const std::uint64_t datagrams = two.net.datagrams;
    two.b.events.clear();
    two.rebind(address, 12000);
    EXPECT_TRUE(two.a.send_traffic(kLan, two.b));
    EXPECT_TRUE(carries(two.a, two.b, 1)) << "at once";
    EXPECT_EQ(two.pair_at(), (Endpoint{*IpAddress::parse(address), 16500}));
    EXPECT_EQ(two.pair().in, before.in);
    EXPECT_EQ(two.pair().out.spi, before.out.spi);
    EXPECT_EQ(two.pair().out.destination, *IpAddress::parse(address));
    EXPECT_EQ(two.pair().rekey_at, before.rekey_at);
    EXPECT_EQ(two.b.plane().at(two.pair().out).packets, 2U) << "it counts on";
    EXPECT_EQ(two.b.guarded().at(kLan).remote_gateway, *IpAddress::parse(address));
    two.net.run_for(Seconds(60));
    EXPECT_EQ(two.net.datagrams, datagrams);
    EXPECT_EQ(count_events(two.b, EventId::phase2_moved), 1U);
    EXPECT_EQ(two.b.plane().size(), 2U);
    // It ends as any other does, at both ends.
    two.b.command(ike::Down{{}, "gw-a", "lan"});
    two.net.run_for(Seconds(1));
    EXPECT_TRUE(two.b.plane().empty());
    EXPECT_EQ(find_event(two.b, EventId::data_plane_failed), nullptr);
  }
}

TEST(NatRebinding, AMovedPairIsRenewedInTime) {
  BehindNat two(21);
  ASSERT_TRUE(two.up());
  const Spi before = two.pair().in.spi;
  two.rebind("198.51.100.77", 12000);
  static_cast<void>(two.a.send_traffic(kLan, two.b));
  ASSERT_TRUE(carries(two.a, two.b, 1));
  two.net.run_for(Seconds(3600));
  EXPECT_TRUE(carries(two.a, two.b, 1));
  EXPECT_NE(two.pair().in.spi, before);
  EXPECT_EQ(two.pair_at(), (Endpoint{*IpAddress::parse("198.51.100.77"), 16500}));
  EXPECT_EQ(two.b.plane().size(), 2U) << "nothing of the moved one is left";
}

TEST(NatRebinding, AllPairsOfARenewalGo) {
  for (int milliseconds = 0; milliseconds < 60; milliseconds += 3) {
    SCOPED_TRACE(milliseconds);
    BehindNat two(22);
    ASSERT_TRUE(two.up());
    two.b.command(ike::SoftLimitReached{two.pair().out, kLan});
    two.net.run_for(Milliseconds(milliseconds));
    two.rebind("198.51.100.77", 12000);
    static_cast<void>(two.a.send_traffic(kLan, two.b));
    two.net.run_for(Seconds(1));
    EXPECT_TRUE(carries(two.a, two.b, 1));
    two.net.run_for(Seconds(60));
    EXPECT_TRUE(carries(two.a, two.b, 1));
    EXPECT_EQ(two.b.plane().size(), 2U);
    EXPECT_EQ(two.a.plane().size(), 2U);
  }
}

// The next IKE SA comes from the new place, and no traffic has told before.
TEST(NatRebinding, PairsGoWithANewPhase1) {
  BehindNat two(23, Seconds(600));
  ASSERT_TRUE(two.up());
  const Spi before = two.pair().in.spi;
  two.rebind("198.51.100.77", 12000);
  two.b.events.clear();
  two.net.run_for(Seconds(600));
  ASSERT_GE(count_events(two.b, EventId::phase1_established), 1U);
  EXPECT_EQ(two.pair_at(), (Endpoint{*IpAddress::parse("198.51.100.77"), 16500}));
  EXPECT_EQ(two.pair().in.spi, before);
  EXPECT_TRUE(carries(two.b, two.a, 1));
}

TEST(NatRebinding, PairsGoWithoutAnIkeSaToo) {
  BehindNat two(24, Seconds(600));
  ASSERT_TRUE(two.up());
  two.net.tap = [](const Endpoint&, const Endpoint&, Bytes&) { return false; };
  two.net.run_for(Seconds(700));
  ASSERT_TRUE(two.b.engine().snapshot({}).at(0).isakmp_sas.empty());
  two.rebind("198.51.100.77", 12000);
  EXPECT_TRUE(two.a.send_traffic(kLan, two.b));
  EXPECT_TRUE(carries(two.a, two.b, 1));
  // Back, and not more often than Limits::move_pause.
  two.rebind("198.51.100.1", 10000);
  EXPECT_TRUE(two.a.send_traffic(kLan, two.b));
  EXPECT_FALSE(two.b.send_traffic(kLan, two.a));
  two.net.run_for(Seconds(6));
  EXPECT_TRUE(two.a.send_traffic(kLan, two.b));
  EXPECT_TRUE(carries(two.a, two.b, 1));
  two.rebind("203.0.113.9", 10000);
  two.net.run_for(Seconds(6));
  static_cast<void>(two.a.send_traffic(kLan, two.b));
  EXPECT_EQ(two.pair_at().address, *IpAddress::parse("198.51.100.1")) << "nobody calls from there";
}

TEST(NatRebinding, WhatThePlaneCannotMoveIsNegotiatedAnew) {
  for (const ErrorCode refusal : {ErrorCode::unsupported, ErrorCode::data_plane}) {
    BehindNat two(25);
    ASSERT_TRUE(two.up());
    const Spi before = two.pair().in.spi;
    two.b.refuse_moves = refusal;
    two.rebind("198.51.100.77", 12000);
    EXPECT_TRUE(two.a.send_traffic(kLan, two.b));
    two.net.run_for(Seconds(3));
    EXPECT_NE(find_event(two.b, EventId::data_plane_failed), nullptr);
    EXPECT_TRUE(carries(two.a, two.b, 1));
    two.net.run_for(Seconds(60));
    EXPECT_TRUE(carries(two.a, two.b, 1));
    EXPECT_NE(two.pair().in.spi, before);
    EXPECT_EQ(two.b.plane().size(), 2U) << "neither old name nor new one is left";
    EXPECT_EQ(two.b.guarded().at(kLan).remote_gateway, *IpAddress::parse("198.51.100.77"));
  }
}

TEST(NatRebinding, AMovedPairIsAdoptedWhereItIs) {
  BehindNat two(26);
  two.b.config().keep = true;
  ASSERT_TRUE(two.up());
  two.rebind("198.51.100.77", 12000);
  EXPECT_TRUE(two.a.send_traffic(kLan, two.b));
  two.net.run_for(Seconds(1));
  const Spi before = two.pair().in.spi;
  two.b.crash();
  two.b.start();
  EXPECT_EQ(count_events(two.b, EventId::phase2_adopted), 1U);
  EXPECT_EQ(two.pair().in.spi, before);
  EXPECT_TRUE(carries(two.a, two.b, 1));
}

}  // namespace
}  // namespace oakgate::sim
