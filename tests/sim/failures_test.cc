// What an operator is told after real negotiations have failed: two gateways of which one is configured
// wrongly, or the wire between them is, and what the failure book and its diagnosis make of the events.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/explain/diagnosis.h"
#include "tests/sim/two_gateways.h"

namespace oakgate::sim {
namespace {

using explain::Diagnosis;
using explain::Reason;
using testing::HasSubstr;

// The operator's configuration for what the core has.
conf::Config configuration(const Gateway& gateway, const ike::PeerConfig& core, const Gateway& other) {
  conf::Config config;
  config.gateway.name = gateway.name;
  conf::PeerConfig peer;
  peer.name = core.name;
  peer.address = {conf::PeerAddress::Kind::address, {}, other.address, other.address};
  peer.policies = core.policies;
  peer.trustpoint = core.trustpoint;
  if (core.trustpoint.empty()) peer.pre_shared_key = {conf::PskSource::Kind::file, "peer.psk", {}};
  for (const ike::TunnelConfig& one : core.tunnels) {
    conf::TunnelConfig tunnel;
    tunnel.name = one.name;
    for (const ike::PairConfig& pair : one.pairs) tunnel.pairs.push_back(pair.selectors);
    tunnel.transform_sets = one.transform_sets;
    tunnel.pfs = one.pfs;
    peer.tunnels.push_back(std::move(tunnel));
  }
  config.policies = peer.policies;
  config.peers = {peer};
  return config;
}

struct Wrong : TwoGateways {
  explicit Wrong(std::uint64_t seed = 1) : TwoGateways(seed, {plan()}) {}
  static TunnelPlan plan() {
    TunnelPlan plan;
    plan.start_there = StartMode::responder;  // gw-b only answers
    return plan;
  }
  ike::PeerConfig& of_b() { return b.config().peers[0]; }

  void run(Milliseconds time = Milliseconds(180000)) {
    config_a = configuration(a, a.config().peers[0], b);
    if (!b.config().peers.empty()) config_b = configuration(b, of_b(), a);
    start();
    net.run_for(time, [&] { return a.tunnels_up() && b.tunnels_up(); });
  }
  ike::FailureBook book(const Gateway& gateway, const Gateway& other) const {
    ike::FailureBook book;
    if (&gateway == &a || !config_b.peers.empty()) book.configure({other.name});
    for (const ike::Event& event : gateway.events) book.note(event, net.now().wall);
    return book;
  }
  // The newest failure that has this reason.
  std::optional<Diagnosis> told(const Gateway& gateway, Reason reason) const {
    const bool first = &gateway == &a;
    const conf::Config& config = first ? config_a : config_b;
    for (const ike::Failure& one : book(gateway, first ? b : a).of(first ? b.name : a.name)) {
      Diagnosis diagnosis = explain::diagnose(one, config, &config.peers[0]);
      if (diagnosis.reason == reason) return diagnosis;
      others += diagnosis.sentence + "\n";
    }
    return std::nullopt;
  }
  conf::Config config_a;
  conf::Config config_b;
  mutable std::string others;
};

#define EXPECT_TOLD(wrong, gateway, reason, words)   \
  do {                                               \
    const auto told = (wrong).told(gateway, reason); \
    ASSERT_TRUE(told) << (wrong).others;             \
    EXPECT_THAT(told->sentence, HasSubstr(words));   \
  } while (false)

TEST(Failures, NoCommonPolicy) {
  Wrong wrong;
  wrong.of_b().policies = {
      {10, IkeCipher::aes_256, IkeHash::sha256, DhGroup::modp3072, AuthMethod::pre_share, Seconds(86400)}};
  wrong.run();
  EXPECT_TOLD(wrong, wrong.b, Reason::policy_differs, "group is group14 there and group15 here.");
  EXPECT_TOLD(wrong, wrong.a, Reason::policy_refused, "gw-b takes none of our ISAKMP policies");
}

TEST(Failures, OtherKeys) {
  Wrong wrong;
  wrong.b.pre_shared_keys["gw-a"] = "another pre-shared key";
  wrong.run();
  EXPECT_TOLD(wrong, wrong.b, Reason::wrong_key, "The pre-shared keys differ");
  const bool either =
      wrong.told(wrong.a, Reason::wrong_key) || wrong.told(wrong.a, Reason::silent_after_proof);
  EXPECT_TRUE(either) << wrong.others;
}

TEST(Failures, NoCommonTransformSet) {
  Wrong wrong;
  wrong.of_b().tunnels[0].transform_sets = {
      {"other", EspCipher::aes_256, Integrity::sha256, EncapsulationMode::tunnel}};
  wrong.run();
  EXPECT_TOLD(wrong, wrong.b, Reason::transforms_differ,
              "No transform set in common with gw-a for tunnel lan");
  EXPECT_TOLD(wrong, wrong.a, Reason::transforms_refused,
              "gw-b takes none of the transform sets of tunnel lan");
}

TEST(Failures, NoPerfectForwardSecrecy) {
  Wrong wrong;
  wrong.of_b().tunnels[0].pfs = DhGroup::ecp256;
  wrong.run();
  EXPECT_TOLD(wrong, wrong.b, Reason::pfs_differs,
              "Perfect forward secrecy differs for tunnel lan: none at gw-a, group19 here.");
}

TEST(Failures, OtherProxyIdentities) {
  Wrong wrong;
  wrong.of_b().tunnels[0].pairs[0].selectors.local = {*Subnet::parse("10.9.0.0/24")};
  wrong.run();
  EXPECT_TOLD(wrong, wrong.b, Reason::selectors_differ, "gw-a asks for 10.2.0.0/24 === 10.1.0.0/24");
  EXPECT_TOLD(wrong, wrong.a, Reason::selectors_refused,
              "refuses our proxy identities 10.1.0.0/24 === 10.2.0.0/24");
}

TEST(Failures, OtherIdentity) {
  Wrong wrong;
  wrong.of_b().local_identity = Identity{IdentityKind::fqdn, {}, "r1.example.net"};
  wrong.run();
  EXPECT_TOLD(wrong, wrong.a, Reason::identity_differs, "the peer proved to be hostname:r1.example.net");
}

// The line to copy is the one that lets this caller in.
TEST(Failures, AggressiveModeIsNotAllowed) {
  Wrong wrong;
  wrong.a.config().peers[0].aggressive = true;
  wrong.a.config().peers[0].local_identity = Identity{IdentityKind::fqdn, {}, "r1.example.net"};
  wrong.run();
  EXPECT_TOLD(
      wrong, wrong.b, Reason::aggressive_refused,
      "gw-a uses Aggressive Mode, which is not allowed here, and as somebody else than is configured: "
      "No pre-shared key based on hostname r1.example.net.");
  EXPECT_THAT(wrong.told(wrong.b, Reason::aggressive_refused)->here,
              testing::ElementsAre(HasSubstr("{aggressive: true, identity: hostname:r1.example.net} ")));
}

TEST(Failures, UdpPort500IsBlocked) {
  Wrong wrong;
  wrong.net.tap = [](const Endpoint&, const Endpoint& to, Bytes&) { return to.port != ike::kIkePort; };
  wrong.run();
  EXPECT_TOLD(wrong, wrong.a, Reason::silent_at_once,
              "our first message went to UDP port 500, and message 2 of Main Mode never came");
}

TEST(Failures, TheKeyExchangeIsLost) {
  Wrong wrong;
  // What is larger than an offer of policies does not pass.
  wrong.net.tap = [](const Endpoint&, const Endpoint&, Bytes& data) { return data.size() < 300; };
  wrong.run();
  EXPECT_TOLD(wrong, wrong.a, Reason::silent_in_key_exchange, "message 4 of Main Mode never came");
}

TEST(Failures, UdpPort4500IsBlockedBehindANat) {
  Wrong wrong;
  wrong.net.nats = {{wrong.a.address, *IpAddress::parse("198.51.100.1"), 10000}};
  wrong.of_b().called_from = {*Subnet::parse("0.0.0.0/0")};
  wrong.net.tap = [](const Endpoint&, const Endpoint& to, Bytes&) {
    return to.port != ike::kNatTraversalPort;
  };
  wrong.run();
  EXPECT_TOLD(wrong, wrong.a, Reason::silent_on_4500,
              "answers on UDP port 500 but not on port 4500: message 6 of Main Mode never came");
}

TEST(Failures, NobodyIsConfiguredThere) {
  Wrong wrong;
  wrong.b.config().peers.clear();
  wrong.run();
  EXPECT_TOLD(wrong, wrong.a, Reason::silent_at_once, "it has no key or crypto map for 192.0.2.1.");
  const auto strangers = wrong.book(wrong.b, wrong.a).of_strangers();
  ASSERT_EQ(strangers.size(), 1U) << "each call is the same one";
  EXPECT_GT(strangers[0].times, 1U);
  EXPECT_EQ(explain::diagnose(strangers[0], {}, nullptr).sentence,
            "192.0.2.1 calls and is nobody's address here (IOS: \"No pre-shared key with 192.0.2.1!\").");
}

TEST(Failures, ASignatureThatDoesNotVerify) {
  Wrong wrong;
  use_certificates(wrong.a, wrong.b);
  wrong.a.unreadable = 1000;
  wrong.run();
  EXPECT_TOLD(wrong, wrong.a, Reason::signature_invalid, "gw-b");
}

// A network that loses and repeats changes nothing about what is told.
TEST(Failures, AreTheSameOverABadWire) {
  for (std::uint64_t seed = first_seed(); seed < first_seed() + runs(20); ++seed) {
    SCOPED_TRACE(seed);
    Wrong wrong(seed);
    wrong.net.faults.loss = 0.2;
    wrong.net.faults.duplicate = 0.2;
    wrong.net.faults.jitter = Milliseconds(50);
    wrong.of_b().tunnels[0].pairs[0].selectors.local = {*Subnet::parse("10.9.0.0/24")};
    wrong.run();
    EXPECT_TRUE(wrong.told(wrong.b, Reason::selectors_differ)) << wrong.others;
    EXPECT_LE(wrong.book(wrong.a, wrong.b).size(), ike::FailureBook::kOfAPeer);
  }
}

}  // namespace
}  // namespace oakgate::sim
