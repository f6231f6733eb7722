// `clear crypto`: what is meant goes at both ends, nothing else does, and traffic brings it up again.
#include <gtest/gtest.h>

#include "tests/sim/two_gateways.h"

namespace oakgate::sim {
namespace {

std::vector<ike::SaPairSnapshot> sas_of(const Gateway& gateway, TwoGateways& two, std::size_t tunnel) {
  return const_cast<Gateway&>(gateway).engine().snapshot(two.net.now().wall).at(0).tunnels.at(tunnel).sas;
}

TunnelPlan second(StartMode here) {
  TunnelPlan other = plan(here, StartMode::responder);
  other.name = "dmz";
  other.local = {"10.1.9.0/24"};
  other.remote = {"10.2.9.0/24"};
  return other;
}

TEST(Clear, SasGoAtBothEndsAndTrafficBringsThemBack) {
  TwoGateways two(1, {plan(StartMode::on_traffic, StartMode::on_traffic)});
  two.start();
  two.a.command(ike::Up{ike::CommandId{1}, "gw-b", ""});
  ASSERT_TRUE(two.up_within(Seconds(5)));
  two.a.command(ike::ClearSas{"gw-b"});
  EXPECT_TRUE(two.a.plane().empty());
  two.net.run_for(Seconds(30));
  EXPECT_TRUE(two.b.plane().empty()) << "the peer was told";
  EXPECT_TRUE(two.a.plane().empty()) << "nothing asked for it";
  EXPECT_EQ(two.a.engine().load().isakmp_sas, 1U) << "phase 1 stays";
  EXPECT_EQ(two.a.engine().tunnel_counts().up, 0U);
  EXPECT_FALSE(two.a.send_traffic(Reqid{kFirst}, two.b));
  ASSERT_TRUE(two.up_within(Seconds(5))) << "it is not held down";
  EXPECT_TRUE(carries(two.a, two.b, 1));
}

TEST(Clear, OneTunnelOrOneSaIsAllThatGoes) {
  TwoGateways two(2, {plan(StartMode::on_traffic, StartMode::responder), second(StartMode::on_traffic)});
  two.start();
  two.a.command(ike::Up{ike::CommandId{1}, "gw-b", ""});
  ASSERT_TRUE(two.up_within(Seconds(5)));
  const SaId kept = sas_of(two.a, two, 0).at(0).in;
  two.a.command(ike::ClearSas{"gw-b", "dmz"});
  two.net.run_for(Seconds(2));
  EXPECT_TRUE(sas_of(two.a, two, 1).empty());
  ASSERT_EQ(sas_of(two.a, two, 0).size(), 1U);
  EXPECT_EQ(sas_of(two.a, two, 0)[0].in, kept);
  EXPECT_EQ(two.b.plane().size(), 2U);
  SaId other = kept;
  other.spi = Spi{kept.spi.value ^ 1U};
  two.a.command(ike::ClearSas{"gw-b", "", other});
  EXPECT_EQ(sas_of(two.a, two, 0).size(), 1U) << "no such SA";
  two.a.command(ike::ClearSas{"nobody"});
  two.a.command(ike::ClearSas{"gw-b", "", sas_of(two.a, two, 0)[0].out});
  two.net.run_for(Seconds(2));
  EXPECT_TRUE(two.a.plane().empty());
  EXPECT_TRUE(two.b.plane().empty());
}

TEST(Clear, WhatStartsByItselfStartsAgain) {
  TwoGateways two(3, {plan(StartMode::on_start, StartMode::responder)});
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  const SaId before = sas_of(two.a, two, 0).at(0).in;
  two.a.command(ike::ClearSas{"gw-b"});
  ASSERT_TRUE(two.up_within(Seconds(10)));
  EXPECT_NE(sas_of(two.a, two, 0).at(0).in, before);
}

TEST(Clear, ARenewedPairGoesWhole) {
  TwoGateways two(4, {plan(StartMode::on_start, StartMode::responder)});
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  ASSERT_TRUE(two.net.run_for(Seconds(3600), [&] { return two.a.plane().size() == 4; }));
  two.a.command(ike::ClearSas{"gw-b"});
  EXPECT_TRUE(two.a.plane().empty());
  ASSERT_TRUE(two.net.run_for(Seconds(1), [&] { return two.b.plane().empty(); }));
}

TEST(Clear, IkeSasGoAtBothEndsAndTheTunnelsStay) {
  TwoGateways two(5, {plan(StartMode::on_start, StartMode::responder), second(StartMode::responder)});
  two.start();
  two.net.run_for(Seconds(5));
  ASSERT_EQ(two.a.plane().size(), 2U);
  const CookiePair cookies = two.a.engine().snapshot(two.net.now().wall)[0].isakmp_sas.at(0).cookies;
  two.a.command(ike::ClearIkeSas{"gw-b", CookiePair{cookies.responder, cookies.initiator}});
  EXPECT_EQ(two.a.engine().load().isakmp_sas, 1U) << "no such SA";
  two.a.command(ike::ClearIkeSas{"gw-b", cookies});
  two.net.run_for(Seconds(2));
  EXPECT_EQ(two.a.engine().load().isakmp_sas, 0U);
  EXPECT_EQ(two.b.engine().load().isakmp_sas, 0U);
  EXPECT_TRUE(carries(two.a, two.b, 1));
  two.a.command(ike::Up{ike::CommandId{2}, "gw-b", "dmz"});
  ASSERT_TRUE(two.up_within(Seconds(5))) << "phase 1 is begun anew where it is needed";
}

// Whoever waits for the negotiation is told; what starts by itself tries again.
TEST(Clear, ANegotiationUnderWayEnds) {
  TwoGateways two(6, {plan(StartMode::on_start, StartMode::responder)});
  two.a.start();  // nobody answers
  two.a.command(ike::Up{ike::CommandId{3}, "gw-b", "lan"});
  two.net.run_for(Milliseconds(500));
  ASSERT_EQ(two.a.engine().load().isakmp_sas, 1U);
  two.a.command(ike::ClearIkeSas{"gw-b"});
  EXPECT_EQ(two.a.engine().load().isakmp_sas, 0U);
  ASSERT_TRUE(two.a.command_results.contains(3));
  ASSERT_FALSE(two.a.command_results.at(3));
  EXPECT_EQ(two.a.command_results.at(3).error().code, ErrorCode::cancelled);
  two.b.start();
  ASSERT_TRUE(two.up_within(Seconds(60)));
}

}  // namespace
}  // namespace oakgate::sim
