// Aggressive Mode between simulated gateways: RFC 2409 sections 5.1 and 5.4. Who is found by which name, what
// is not computed for strangers, and what a forged message 2 or a lost message 3 cannot do.
#include <gtest/gtest.h>

#include "ike/wire/message.h"
#include "tests/sim/two_gateways.h"

namespace oakgate::sim {
namespace {

struct AggressiveGateways : TwoGateways {
  explicit AggressiveGateways(std::uint64_t seed, StartMode start = StartMode::on_start)
      : TwoGateways(seed, {plan(start, StartMode::responder)}) {
    here().aggressive = true;
    there().aggressive = true;
  }
  Result<void> outcome(Milliseconds time = Seconds(120)) {
    start();
    a.command(ike::Up{ike::CommandId{1}, "gw-b", ""});
    net.run_for(time, [&] { return a.command_results.contains(1); });
    if (!a.command_results.contains(1)) return fail(ErrorCode::internal, "no outcome");
    return a.command_results.at(1);
  }
  ike::PeerConfig& here() { return a.config().peers.front(); }
  ike::PeerConfig& there() { return b.config().peers.front(); }
};

bool is_aggressive(const Bytes& data) {
  return data[18] == static_cast<std::uint8_t>(wire::ExchangeType::aggressive);
}

TEST(Aggressive, BringsATunnelUpInThreeMessages) {
  AggressiveGateways two(1);
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  two.net.run_for(Seconds(60));
  EXPECT_TRUE(carries(two.a, two.b, 1));
  EXPECT_EQ(two.net.datagrams, 6U) << "three of Aggressive Mode, three of Quick Mode, nothing repeated";
  for (Gateway* gateway : {&two.a, &two.b}) {
    EXPECT_NE(find_event(*gateway, ike::EventId::guessable), nullptr);
    EXPECT_EQ(gateway->engine().snapshot({}).at(0).isakmp_sas.at(0).state, "QM_IDLE");
  }
}

TEST(Aggressive, WithSignaturesNobodyCanGuess) {
  for (const AuthMethod method : {AuthMethod::rsa_sig, AuthMethod::ecdsa_sig}) {
    AggressiveGateways two(1);
    use_certificates(two.a, two.b, method);
    two.start();
    ASSERT_TRUE(two.up_within(Seconds(5)));
    EXPECT_TRUE(carries(two.a, two.b, 1));
    EXPECT_EQ(find_event(two.a, ike::EventId::guessable), nullptr);
    EXPECT_EQ(two.b.engine().snapshot({}).at(0).isakmp_sas.at(0).certificate->subject, "CN=gw-a,O=corp");
    EXPECT_EQ(two.net.datagrams, 6U);
  }
}

TEST(Aggressive, APeerThatDoesNotAllowItIsNotAnswered) {
  AggressiveGateways two(1, StartMode::responder);
  two.there().aggressive = false;
  const auto outcome = two.outcome();
  ASSERT_FALSE(outcome);
  EXPECT_NE(outcome.error().text.find("Aggressive Mode"), std::string::npos) << outcome.error().text;
  const ike::Event* refused = find_event(two.b, ike::EventId::unknown_peer);
  ASSERT_NE(refused, nullptr);
  EXPECT_NE(refused->error->expected.find("aggressive: true"), std::string::npos);
  EXPECT_TRUE(two.b.engine().snapshot({}).at(0).isakmp_sas.empty());
}

// A hub that knows its spokes by host name alone, each with a key of its own, from any address.
struct Spokes {
  Spokes() : net(1), hub(net.add("hub", "192.0.2.1")) {
    ike::EngineConfig config{"hub", {}, {}};
    for (std::uint32_t i = 0; i < 2; ++i) {
      const std::string name = "spoke-" + std::to_string(i);
      Gateway& spoke = net.add(name, "198.51.100." + std::to_string(10 + i));
      TunnelPlan one = plan(StartMode::responder, StartMode::responder);
      one.remote = {"10." + std::to_string(20 + i) + ".0.0/16"};
      connect(hub, spoke, {one}, Seconds(3600), kFirst + i, "a key of its own, " + name);
      ike::PeerConfig& there = spoke.config().peers.front();
      there.aggressive = true;
      there.local_identity = {IdentityKind::fqdn, {}, name + ".example.net"};
      ike::PeerConfig here = peer_config(hub, spoke, {one}, Seconds(3600), kFirst + i, false);
      here.aggressive = true;
      here.called_from = {Subnet::any(Family::ipv4)};
      here.remote_identity = there.local_identity;
      config.peers.push_back(here);
      spokes.push_back(&spoke);
    }
    hub.configure(config);
  }
  void start() {
    hub.start();
    for (Gateway* spoke : spokes) spoke->start();
    for (Gateway* spoke : spokes) spoke->command(ike::Up{ike::CommandId{1}, "hub", ""});
  }
  Simulator net;
  Gateway& hub;
  std::vector<Gateway*> spokes;
};

TEST(Aggressive, TheHostNameChoosesThePeer) {
  Spokes all;
  all.start();
  ASSERT_TRUE(all.net.run_for(Seconds(10), [&] { return all.hub.tunnels_up(); }));
  all.net.run_for(Seconds(1));
  for (std::uint32_t i = 0; i < 2; ++i) {
    EXPECT_TRUE(all.spokes[i]->send_traffic(Reqid{kFirst + i}, all.hub));
    EXPECT_EQ(all.hub.engine().snapshot({}).at(i).remote, all.spokes[i]->address);
    EXPECT_EQ(all.hub.engine().snapshot({}).at(i).isakmp_sas.at(0).remote_identity,
              "hostname:spoke-" + std::to_string(i) + ".example.net");
  }
}

TEST(Aggressive, NothingIsComputedForAStranger) {
  Spokes all;
  all.spokes[0]->config().peers.front().local_identity.text = "stranger.example.net";
  all.start();
  all.net.run_for(Seconds(60));
  const ike::Event* refused = find_event(all.hub, ike::EventId::unknown_peer);
  ASSERT_NE(refused, nullptr);
  EXPECT_EQ(refused->error->text, "No pre-shared key based on hostname stranger.example.net");
  EXPECT_TRUE(all.hub.engine().snapshot({}, "spoke-0").at(0).isakmp_sas.empty());
  EXPECT_EQ(all.hub.jobs, all.spokes[1]->jobs) << "only the other one's";
  EXPECT_FALSE(all.spokes[0]->command_results.at(1));
  EXPECT_TRUE(all.spokes[1]->command_results.at(1));
}

TEST(Aggressive, AWrongKeyIsNamed) {
  AggressiveGateways two(1, StartMode::responder);
  two.b.pre_shared_keys["gw-a"] = "another key altogether";
  const auto outcome = two.outcome();
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ErrorCode::wrong_key);
  two.net.run_for(Seconds(60));
  EXPECT_TRUE(two.b.engine().snapshot({}).at(0).isakmp_sas.empty());
  EXPECT_EQ(count_events(two.a, ike::EventId::phase1_established), 0U);
  EXPECT_EQ(count_events(two.b, ike::EventId::phase1_established), 0U);
}

TEST(Aggressive, ARespondersIdentityThatIsNotTheConfiguredOneIsRefused) {
  AggressiveGateways two(1, StartMode::responder);
  two.here().remote_identity = {IdentityKind::fqdn, {}, "gw-b.example.net"};
  EXPECT_EQ(two.outcome(Seconds(2)).error().code, ErrorCode::identity_mismatch);
  two.net.run_for(Seconds(1));
  EXPECT_TRUE(two.b.engine().snapshot({}).at(0).isakmp_sas.empty()) << "it is told under the keys";
}

TEST(Aggressive, OnlyPoliciesOfTheFirstOnesGroupAreOffered) {
  AggressiveGateways two(1, StartMode::responder);
  two.there().policies.erase(two.there().policies.begin());  // group19 alone, our second
  EXPECT_EQ(two.outcome().error().code, ErrorCode::no_proposal_chosen);
  AggressiveGateways mended(1, StartMode::responder);
  mended.here().policies.erase(mended.here().policies.begin());
  EXPECT_TRUE(mended.outcome());
}

TEST(Aggressive, AMethodThatEncryptsHasNoPlaceInIt) {
  AggressiveGateways two(1, StartMode::responder);
  for (IsakmpPolicy& policy : two.here().policies) policy.authentication = AuthMethod::rsa_encr;
  EXPECT_FALSE(two.outcome());
  EXPECT_EQ(two.net.datagrams, 0U);
}

TEST(Aggressive, AForgedMessage2LeavesTheGenuineOneItsPlace) {
  for (const bool certificates : {false, true}) {
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
      AggressiveGateways two(seed);
      if (certificates) use_certificates(two.a, two.b);
      SeededRng dice(seed);
      two.net.faults.job_delay = Milliseconds(0);
      bool forged = false;
      two.net.tap = [&](const Endpoint& from, const Endpoint& to, Bytes& data) {
        if (!is_aggressive(data) || from.address != two.b.address || forged) return true;
        forged = true;
        // Another responder cookie, key, nonce, identity or proof: one bit of any of them.
        const auto body =
            wire::parse_body(wire::PayloadType::sa, ByteView(data).subspan(28), wire::Padding::none);
        if (!body) return true;
        Bytes bad = data;
        const std::size_t sa_end = 28 + body->first_end;
        const auto proof_end = static_cast<std::int64_t>(sa_end + 4 + 256 + 4 + 20);
        const auto at =
            dice.chance(0.2)
                ? std::size_t{8}
                : static_cast<std::size_t>(dice.between(static_cast<std::int64_t>(sa_end) + 4, proof_end));
        bad[at] ^= 1;
        two.a.receive(to, from, bad);
        return true;
      };
      two.start();
      ASSERT_TRUE(two.up_within(Seconds(3))) << "seed " << seed;
      EXPECT_TRUE(forged);
      EXPECT_EQ(count_events(two.a, ike::EventId::phase1_failed), 0U) << "seed " << seed;
      EXPECT_TRUE(carries(two.a, two.b, 1)) << "seed " << seed;
    }
  }
}

TEST(Aggressive, ALostMessage3IsAskedForAgain) {
  for (const bool certificates : {false, true}) {
    AggressiveGateways two(1);
    if (certificates) use_certificates(two.a, two.b);
    int lost = 0;
    two.net.tap = [&](const Endpoint& from, const Endpoint&, Bytes& data) {
      const bool message_3 = is_aggressive(data) && from.address == two.a.address && (data[19] & 1) != 0;
      return !message_3 || ++lost > 1;
    };
    two.start();
    ASSERT_TRUE(two.up_within(Seconds(5)));
    EXPECT_GE(lost, 2);
    EXPECT_TRUE(carries(two.a, two.b, 1));
  }
}

TEST(Aggressive, Message2IsNeverRepeatedToWhoDoesNotAnswer) {
  AggressiveGateways two(1, StartMode::responder);
  int from_b = 0;
  two.net.tap = [&](const Endpoint& from, const Endpoint&, Bytes&) {
    if (from.address != two.b.address) return from_b == 0;
    ++from_b;
    return false;
  };
  EXPECT_FALSE(two.outcome());
  EXPECT_EQ(from_b, 1) << "whoever sent message 1 may be anybody";
}

TEST(Aggressive, FloatsToPort4500AtMessage3) {
  AggressiveGateways two(1);
  const IpAddress outside = *IpAddress::parse("198.51.100.1");
  two.net.nats = {{two.a.address, outside, 10000}};
  two.there().called_from = {Subnet::host(outside)};
  two.there().remote_identity = {IdentityKind::address, two.a.address, ""};
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  EXPECT_TRUE(carries(two.a, two.b, 1));
  const auto there = two.b.engine().snapshot({}).at(0);
  EXPECT_EQ(there.isakmp_sas.at(0).nat, "remote");
  EXPECT_EQ(there.isakmp_sas.at(0).remote, (Endpoint{outside, 14500}));
  EXPECT_EQ(two.a.engine().snapshot({}).at(0).isakmp_sas.at(0).nat, "local");
}

TEST(Aggressive, StatesHaveTheirIosNames) {
  AggressiveGateways two(1);
  std::set<std::string> seen;
  two.net.tap = [&](const Endpoint& from, const Endpoint&, Bytes&) {
    if (from.address == two.a.address) return true;
    for (Gateway* gateway : {&two.a, &two.b}) {
      const auto peers = gateway->engine().snapshot({});
      for (const auto& sa : peers.at(0).isakmp_sas) seen.insert(sa.state);
    }
    return false;
  };
  two.start();
  two.net.run_for(Seconds(3));
  EXPECT_EQ(seen, (std::set<std::string>{"AG_INIT_EXCH"}));
}

}  // namespace
}  // namespace oakgate::sim
