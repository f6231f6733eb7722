// Refusals between two gateways: one clear error each, on both sides where both can know, and nothing left.
#include <gtest/gtest.h>

#include "tests/sim/two_gateways.h"

namespace oakgate::sim {
namespace {

std::optional<ike::LastError> tunnel_error(Gateway& gateway) {
  return gateway.engine().snapshot({}).at(0).tunnels.at(0).last_error;
}

TEST(Refusal, WrongPreSharedKeyIsNamedOnBothSides) {
  TwoGateways two(1, {plan(StartMode::responder, StartMode::responder)});
  two.b.pre_shared_keys["gw-a"] = "another key entirely";
  two.start();
  two.a.command(ike::Up{ike::CommandId{1}, "gw-b", ""});
  two.net.run_for(Seconds(60));
  ASSERT_TRUE(two.a.command_results.contains(1));
  ASSERT_FALSE(two.a.command_results.at(1));
  EXPECT_EQ(two.a.command_results.at(1).error().code, ErrorCode::wrong_key);
  const auto there = two.b.engine().snapshot({}).at(0);
  ASSERT_TRUE(there.last_error);
  EXPECT_EQ(there.last_error->error.code, ErrorCode::wrong_key);
  EXPECT_TRUE(there.isakmp_sas.empty()) << "nothing half-open stays";
}

TEST(Refusal, NoCommonPolicy) {
  TwoGateways two(1, {plan(StartMode::responder, StartMode::responder)});
  auto theirs = peer_config(two.b, two.a, {plan(StartMode::responder, StartMode::responder)}, Seconds(3600),
                            kFirst, true);
  theirs.policies = {
      {10, IkeCipher::des3, IkeHash::sha, DhGroup::modp1024, AuthMethod::pre_share, Seconds(3600)}};
  two.b.configure({"gw-b", {theirs}, {}});
  two.start();
  two.a.command(ike::Up{ike::CommandId{1}, "gw-b", ""});
  two.net.run_for(Seconds(60));
  ASSERT_FALSE(two.a.command_results.at(1));
  const Error& error = two.a.command_results.at(1).error();
  EXPECT_EQ(error.code, ErrorCode::no_proposal_chosen);
  EXPECT_NE(error.text.find("unauthenticated"), std::string::npos);
  const ike::Event* refused = find_event(two.b, ike::EventId::phase1_no_policy);
  ASSERT_NE(refused, nullptr);
  EXPECT_NE(refused->error->text.find("aes-256 sha256 group14"), std::string::npos) << refused->error->text;
  EXPECT_NE(refused->error->expected.find("3des sha group2"), std::string::npos) << refused->error->expected;
}

TEST(Refusal, NoCommonTransformSetEndsAtOnce) {
  TwoGateways two(1, {plan(StartMode::responder, StartMode::responder)});
  auto theirs = peer_config(two.b, two.a, {plan(StartMode::responder, StartMode::responder)}, Seconds(3600),
                            kFirst, true);
  theirs.tunnels[0].transform_sets = {
      {"x", EspCipher::aes_256, Integrity::sha512, EncapsulationMode::tunnel}};
  two.b.configure({"gw-b", {theirs}, {}});
  two.start();
  two.a.command(ike::Up{ike::CommandId{1}, "gw-b", ""});
  two.net.run_for(Seconds(3));
  ASSERT_FALSE(two.a.command_results.at(1));
  EXPECT_EQ(two.a.command_results.at(1).error().code, ErrorCode::no_proposal_chosen);
  EXPECT_EQ(tunnel_error(two.a)->error.code, ErrorCode::no_proposal_chosen);
  EXPECT_EQ(tunnel_error(two.b)->error.code, ErrorCode::no_proposal_chosen);
  EXPECT_TRUE(two.b.plane().empty());
  const ike::Event* refused = find_event(two.b, ike::EventId::phase2_no_proposal);
  ASSERT_NE(refused, nullptr);
  ASSERT_EQ(refused->proposals.size(), 2U) << "two sets offered, one wanted";
  EXPECT_EQ(refused->proposals[0].wanted, "x (esp-aes-256 esp-sha512-hmac)");
  EXPECT_EQ(refused->proposals[0].differences.at(0).attribute, "cipher");
}

TEST(Refusal, MismatchedProxyIdentitiesEndAtOnce) {
  TwoGateways two(1, {plan(StartMode::responder, StartMode::responder)});
  TunnelPlan other = plan(StartMode::responder, StartMode::responder);
  other.local = {"10.1.0.0/25"};
  two.b.configure({"gw-b", {peer_config(two.b, two.a, {other}, Seconds(3600), kFirst, true)}, {}});
  two.start();
  two.a.command(ike::Up{ike::CommandId{1}, "gw-b", ""});
  two.net.run_for(Seconds(3));
  ASSERT_FALSE(two.a.command_results.at(1));
  EXPECT_EQ(two.a.command_results.at(1).error().code, ErrorCode::proxy_id_mismatch);
  const ike::Event* refused = find_event(two.b, ike::EventId::phase2_proxy_ids);
  ASSERT_NE(refused, nullptr);
  EXPECT_NE(refused->error->text.find("10.1.0.0/24"), std::string::npos);
  EXPECT_NE(refused->error->expected.find("10.1.0.0/25"), std::string::npos);
}

TEST(Refusal, UnreachablePeerIsTriedForEverWithBackOff) {
  TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)});
  two.a.start();
  two.net.run_for(Seconds(600));
  EXPECT_EQ(tunnel_error(two.a)->error.code, ErrorCode::no_answer);
  EXPECT_GE(count_events(two.a, ike::EventId::phase1_failed), 5U);
  EXPECT_LE(count_events(two.a, ike::EventId::phase1_failed), 16U)
      << "the back-off has a ceiling, but it backs off";
  two.b.start();
  EXPECT_TRUE(two.up_within(Seconds(120)));
  EXPECT_FALSE(tunnel_error(two.a)) << "cleared when the tunnel comes up";
}

TEST(Refusal, WrongIdentityIsAuthenticatedAndNamed) {
  TwoGateways two(1, {plan(StartMode::responder, StartMode::responder)});
  auto ours = peer_config(two.a, two.b, {plan(StartMode::responder, StartMode::responder)}, Seconds(3600),
                          kFirst, false);
  ours.remote_identity = {IdentityKind::fqdn, {}, "gw-x.example.net"};
  two.a.configure({"gw-a", {ours}, {}});
  two.start();
  two.a.command(ike::Up{ike::CommandId{1}, "gw-b", ""});
  two.net.run_for(Seconds(3));
  ASSERT_FALSE(two.a.command_results.at(1));
  EXPECT_EQ(two.a.command_results.at(1).error().code, ErrorCode::identity_mismatch);
}

TEST(Refusal, TheOtherSideHearsOfARefusedIdentity) {
  // As initiator: the responder's SA, established by then, must not stay.
  TwoGateways two(1, {plan(StartMode::responder, StartMode::responder)});
  const auto plans = std::vector{plan(StartMode::responder, StartMode::responder)};
  auto ours = peer_config(two.a, two.b, plans, Seconds(3600), kFirst, false);
  ours.remote_identity = {IdentityKind::fqdn, {}, "gw-x.example.net"};
  two.a.configure({"gw-a", {ours}, {}});
  two.start();
  two.a.command(ike::Up{ike::CommandId{1}, "gw-b", ""});
  two.net.run_for(Seconds(3));
  EXPECT_TRUE(two.b.engine().snapshot({}).at(0).isakmp_sas.empty());
  // As responder: the initiator's timeout is explained by what it was told.
  two.b.command(ike::Up{ike::CommandId{2}, "gw-a", ""});
  two.net.run_for(Seconds(60));
  ASSERT_FALSE(two.b.command_results.at(2));
  EXPECT_EQ(two.b.command_results.at(2).error().code, ErrorCode::identity_mismatch);
  EXPECT_EQ(two.a.engine().snapshot({}).at(0).last_error->error.code, ErrorCode::identity_mismatch);
}

TEST(Refusal, APeerWithoutAnAddressSaysSoAndComesUpWithOne) {
  TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)});
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  two.a.command(ike::SetPeerAddresses{two.b.name, std::nullopt, two.b.address, std::nullopt});
  two.net.run_for(Seconds(1));
  const auto without = two.a.engine().snapshot({}).at(0);
  ASSERT_TRUE(without.last_error);
  EXPECT_EQ(without.last_error->error.code, ErrorCode::address_unknown);
  EXPECT_FALSE(two.a.tunnels_up());
  two.a.command(ike::SetPeerAddresses{two.b.name, two.a.address, two.b.address, std::nullopt});
  ASSERT_TRUE(two.up_within(Seconds(20)));
  EXPECT_FALSE(two.a.engine().snapshot({}).at(0).last_error);
}

TEST(Refusal, UnknownPeerGetsNoAnswer) {
  TwoGateways two(1);
  two.b.configure({"gw-b", {}, {}});
  two.start();
  two.net.run_for(Seconds(20));
  const ike::Event* unknown = find_event(two.b, ike::EventId::unknown_peer);
  ASSERT_NE(unknown, nullptr);
  EXPECT_FALSE(unknown->authenticated);
  EXPECT_EQ(count_events(two.a, ike::EventId::notify_received), 0U);
}

TEST(Refusal, ExpiredWaiverKeepsThePeerDownAndSaysSo) {
  TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)});
  auto ours = peer_config(two.a, two.b, {plan(StartMode::on_start, StartMode::responder)}, Seconds(3600),
                          kFirst, false);
  ours.needs_waiver = {Weak::des3};
  ours.waiver = {{Weak::des3}, std::chrono::sys_days(std::chrono::year(2026) / 11 / 19), "PIX 520"};
  two.a.configure({"gw-a", {ours}, {}});
  two.start();
  two.net.run_for(Seconds(60));
  EXPECT_EQ(two.net.datagrams, 0U);
  const auto peer = two.a.engine().snapshot(two.net.now().wall).at(0);
  EXPECT_TRUE(peer.waiver_expired);
  EXPECT_EQ(peer.last_error->error.code, ErrorCode::weak_waiver_expired);
  two.b.command(ike::Up{ike::CommandId{1}, "gw-a", ""});
  two.net.run_for(Seconds(60));
  EXPECT_FALSE(two.b.command_results.at(1)) << "nor as responder";
  ASSERT_TRUE(peer.waiver) << "status shows it";
  EXPECT_EQ(peer.waiver->needed, ours.needs_waiver);
  EXPECT_EQ(peer.waiver->until, ours.waiver.until);
}

// A peer that needs no waiver goes on when its waiver has ended, but without the weak PFS group that it
// allowed.
TEST(Refusal, AnEndedWaiverAllowsNoWeakPfsGroup) {
  for (const int year : {2026, 2999}) {
    TunnelPlan with_pfs = plan(StartMode::responder, StartMode::responder);
    with_pfs.pfs = DhGroup::modp1024;
    TwoGateways two(1, {with_pfs});
    auto theirs = peer_config(two.b, two.a, {with_pfs}, Seconds(3600), kFirst, true);
    theirs.tunnels[0].pfs.reset();
    theirs.waiver = {{Weak::group2}, std::chrono::sys_days(std::chrono::year(year) / 11 / 19), "PIX 520"};
    two.b.configure({"gw-b", {theirs}, {}});
    two.start();
    two.a.command(ike::Up{ike::CommandId{1}, "gw-b", ""});
    two.net.run_for(Seconds(90));
    EXPECT_EQ(two.a.command_results.at(1).has_value(), year == 2999);
    EXPECT_EQ(count_events(two.b, ike::EventId::weak_used), year == 2999 ? 1U : 0U) << "the audit's line";
  }
}

TEST(Refusal, ADataPlaneThatRefusesFailsTheTunnelAndLeavesNothing) {
  TwoGateways two(1, {plan(StartMode::responder, StartMode::responder)});
  two.start();
  two.a.refuse_installs = true;
  two.a.command(ike::Up{ike::CommandId{1}, "gw-b", ""});
  two.net.run_for(Seconds(60));
  ASSERT_FALSE(two.a.command_results.at(1));
  EXPECT_EQ(two.a.command_results.at(1).error().code, ErrorCode::data_plane);
  EXPECT_TRUE(two.a.plane().empty());
  EXPECT_TRUE(two.b.plane().empty()) << "the responder gives its inbound SA up when message 3 never comes";
}

TEST(Peer, ThatVanishesInMidExchangeIsReported) {
  for (int survive = 1; survive <= 8; ++survive) {
    TwoGateways two(static_cast<std::uint64_t>(survive), {plan(StartMode::responder, StartMode::responder)});
    int seen = 0;
    two.net.tap = [&](const Endpoint&, const Endpoint&, Bytes&) { return ++seen <= survive; };
    two.start();
    two.a.command(ike::Up{ike::CommandId{1}, "gw-b", ""});
    two.net.run_for(Seconds(90));
    ASSERT_TRUE(two.a.command_results.contains(1)) << survive;
    if (survive < 8) {
      EXPECT_FALSE(two.a.command_results.at(1)) << "after message " << survive;
    } else {
      EXPECT_TRUE(two.a.command_results.at(1))
          << "only message 3 of Quick Mode is missing: the initiator is done";
    }
    EXPECT_TRUE(two.b.plane().empty()) << survive;
  }
}

}  // namespace
}  // namespace oakgate::sim
