// Main Mode with signatures between simulated gateways: RFC 2409 section 5.1, RFC 4754. Who proves what, what
// is told to whom when it fails, and what the wire's malice can and cannot do.
#include <gtest/gtest.h>

#include "ike/wire/message.h"
#include "tests/sim/fake_trust.h"
#include "tests/sim/two_gateways.h"

namespace oakgate::sim {
namespace {

struct CertifiedGateways : TwoGateways {
  explicit CertifiedGateways(std::uint64_t seed, StartMode start = StartMode::on_start,
                             AuthMethod method = AuthMethod::rsa_sig)
      : TwoGateways(seed, {plan(start, StartMode::responder)}) {
    use_certificates(a, b, method);
  }
  // Starts both, has gw-a bring the tunnel up and waits for the outcome.
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

std::string field(const ike::Event& event, std::string_view name) {
  for (const auto& [key, value] : event.fields) {
    if (key == name) return value;
  }
  return "none";
}

std::optional<ike::LastError> peer_error(Gateway& gateway) {
  return gateway.engine().snapshot({}).at(0).last_error;
}

TEST(Certificates, BringATunnelUpByEitherMethod) {
  for (const AuthMethod method : {AuthMethod::rsa_sig, AuthMethod::ecdsa_sig}) {
    CertifiedGateways two(1, StartMode::on_start, method);
    two.start();
    ASSERT_TRUE(two.up_within(Seconds(5)));
    EXPECT_TRUE(carries(two.a, two.b, 1));
    EXPECT_EQ(two.net.datagrams, 9U) << "nothing repeated";
    for (Gateway* gateway : {&two.a, &two.b}) {
      const auto sa = gateway->engine().snapshot({}).at(0).isakmp_sas.at(0);
      const std::string other = gateway == &two.a ? "gw-b" : "gw-a";
      ASSERT_TRUE(sa.certificate);
      EXPECT_EQ(sa.certificate->subject, "CN=" + other + ",O=corp");
      EXPECT_EQ(sa.policy->authentication, method);
      const ike::Event* verified = find_event(*gateway, ike::EventId::certificate_verified);
      ASSERT_NE(verified, nullptr);
      EXPECT_EQ(field(*verified, "issuer"), std::string(kAuthority));
      EXPECT_NE(find_event(*gateway, ike::EventId::certificate_requested), nullptr);
    }
  }
}

TEST(Certificates, AreSentAsConfigured) {
  // on-request and always: they come. never: the peer has none, and cannot know who signed.
  for (const auto when : {SendCertificate::always, SendCertificate::on_request, SendCertificate::never}) {
    CertifiedGateways two(1, StartMode::responder);
    two.here().send_certificate = when;
    const auto outcome = two.outcome();
    EXPECT_EQ(outcome.has_value(), when != SendCertificate::never);
    if (outcome) continue;
    EXPECT_EQ(peer_error(two.b)->error.code, ErrorCode::no_certificate);
    EXPECT_NE(outcome.error().expected.find("certificate"), std::string::npos) << outcome.error().expected;
  }
  CertifiedGateways two(1, StartMode::responder);
  two.b.trustpoint->ca_names.clear();  // asks for none
  EXPECT_FALSE(two.outcome());
  EXPECT_EQ(peer_error(two.b)->error.code, ErrorCode::no_certificate);
}

TEST(Certificates, NoneOfOurOwnFailsAtTheStart) {
  CertifiedGateways two(1, StartMode::responder);
  two.a.trustpoint = fake_trustpoint({});
  const auto outcome = two.outcome();
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ErrorCode::no_certificate);
  EXPECT_NE(outcome.error().text.find("nothing was enrolled"), std::string::npos) << outcome.error().text;
  EXPECT_EQ(two.net.datagrams, 0U);

  CertifiedGateways other(1, StartMode::responder);
  other.b.trustpoint.reset();
  EXPECT_EQ(other.outcome().error().code, ErrorCode::no_proposal_chosen) << "so the responder says";
  EXPECT_EQ(peer_error(other.b)->error.code, ErrorCode::no_certificate);
}

TEST(Certificates, AKeyThatDoesNotFitThePolicyIsNone) {
  CertifiedGateways two(1, StartMode::responder, AuthMethod::ecdsa_sig);
  two.here().policies[0].hash = IkeHash::sha384;
  EXPECT_EQ(two.outcome().error().code, ErrorCode::no_certificate);
  CertifiedGateways rsa(1, StartMode::responder);
  rsa.a.trustpoint->own->algorithm = crypto::KeyKind::ec_p256;
  EXPECT_EQ(rsa.outcome().error().code, ErrorCode::no_certificate);
}

TEST(Certificates, APolicyWithoutOneIsLeftOutOfTheOffer) {
  CertifiedGateways two(1, StartMode::responder);
  two.a.trustpoint = fake_trustpoint({});
  for (Gateway* gateway : {&two.a, &two.b}) {
    gateway->config().peers[0].policies[1].authentication = AuthMethod::pre_share;
    gateway->pre_shared_keys[gateway == &two.a ? "gw-b" : "gw-a"] = "sharedkeysharedkey";
  }
  ASSERT_TRUE(two.outcome());
  EXPECT_EQ(two.a.engine().snapshot({}).at(0).isakmp_sas.at(0).policy->authentication, AuthMethod::pre_share);
}

TEST(Certificates, APolicyThatWasLeftOutIsNamedWhenNoneIsLeftInCommon) {
  CertifiedGateways two(1, StartMode::responder);
  two.b.trustpoint = fake_trustpoint({});
  two.there().policies[1].authentication = AuthMethod::pre_share;
  EXPECT_FALSE(two.outcome());
  const auto error = peer_error(two.b)->error;
  EXPECT_EQ(error.code, ErrorCode::no_proposal_chosen);
  EXPECT_NE(error.expected.find("policy 10"), std::string::npos) << error.expected;
  EXPECT_NE(error.expected.find("nothing was enrolled"), std::string::npos) << error.expected;
}

TEST(Certificates, OneThatComesLaterStartsWhatWaitedForIt) {
  CertifiedGateways two(1);
  const auto trustpoint = *two.a.trustpoint;
  two.a.trustpoint = fake_trustpoint({});
  two.start();
  two.net.run_for(Seconds(200));
  EXPECT_EQ(two.net.datagrams, 0U);
  two.a.command(ike::SetTrustpoint{trustpoint});
  EXPECT_TRUE(two.up_within(Seconds(1)));
}

TEST(OwnIdentity, FallsBackFromAnAddressThatTheCertificateDoesNotHold) {
  CertifiedGateways two(1, StartMode::responder);
  two.a.trustpoint->own = fake_certificate("gw-a", "198.51.100.7");
  two.there().remote_identity = {IdentityKind::fqdn, {}, "gw-a.example.net"};
  ASSERT_TRUE(two.outcome());
  const ike::Event* changed = find_event(two.a, ike::EventId::own_identity_changed);
  ASSERT_NE(changed, nullptr);
  EXPECT_EQ(field(*changed, "from"), "192.0.2.1");
  EXPECT_EQ(field(*changed, "to"), "hostname:gw-a.example.net");
  EXPECT_EQ(two.b.engine().snapshot({}).at(0).isakmp_sas.at(0).remote_identity, "hostname:gw-a.example.net");
}

TEST(OwnIdentity, ANameThatTheCertificateDoesNotHoldIsToldAndSent) {
  CertifiedGateways two(1, StartMode::responder);
  two.here().local_identity = {IdentityKind::fqdn, {}, "other.example.net"};
  EXPECT_FALSE(two.outcome());
  EXPECT_NE(find_event(two.a, ike::EventId::own_identity_unproved), nullptr);
  EXPECT_EQ(peer_error(two.b)->error.code, ErrorCode::identity_mismatch);
}

TEST(OwnIdentity, ADistinguishedNameIsTheCertificatesSubject) {
  CertifiedGateways two(1, StartMode::responder);
  two.here().local_identity = {IdentityKind::dn, {}, ""};
  two.there().remote_identity = {IdentityKind::dn, {}, "cn = GW-A, o = corp"};
  ASSERT_TRUE(two.outcome());
  EXPECT_EQ(two.b.engine().snapshot({}).at(0).isakmp_sas.at(0).remote_identity, "dn:CN=gw-a,O=corp");
}

TEST(Refused, ThePeerHearsAtOnceUnderTheKeys) {
  // Each side in turn refuses the other's certificate; the other's command ends with it, long before silence.
  CertifiedGateways responder(1, StartMode::responder);
  responder.b.revoked = {"gw-a-key"};
  const auto told = responder.outcome(Seconds(2));
  ASSERT_FALSE(told);
  EXPECT_EQ(told.error().code, ErrorCode::peer_refused) << told.error().text;
  EXPECT_EQ(peer_error(responder.b)->error.code, ErrorCode::certificate_revoked);
  EXPECT_TRUE(responder.b.engine().snapshot({}).at(0).isakmp_sas.empty());

  CertifiedGateways initiator(1, StartMode::responder);
  initiator.a.revoked = {"gw-b-key"};
  EXPECT_EQ(initiator.outcome(Seconds(2)).error().code, ErrorCode::certificate_revoked);
  initiator.net.run_for(Seconds(1));
  EXPECT_TRUE(initiator.b.engine().snapshot({}).at(0).isakmp_sas.empty()) << "it heard the DELETE";
}

TEST(Refused, AnIdentityThatIsNotTheConfiguredOne) {
  CertifiedGateways two(1, StartMode::responder);
  two.there().remote_identity = {IdentityKind::address, *IpAddress::parse("192.0.2.77"), ""};
  const auto outcome = two.outcome(Seconds(2));
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ErrorCode::identity_mismatch);
  EXPECT_EQ(peer_error(two.b)->error.code, ErrorCode::identity_mismatch);
}

TEST(Slow, AVerificationMayOutlastTheHalfOpenTimer) {
  CertifiedGateways two(1, StartMode::responder);
  two.b.verification = Seconds(40);
  ASSERT_TRUE(two.outcome());
  two.net.run_for(Seconds(1));
  EXPECT_TRUE(carries(two.a, two.b, 1));
}

TEST(Slow, AnInitiatorThatGivesUpSaysWhatItWaitedFor) {
  CertifiedGateways two(1, StartMode::responder);
  two.b.verification = Seconds(300);
  const auto outcome = two.outcome();
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ErrorCode::no_answer);
  EXPECT_NE(outcome.error().text.find("CRL"), std::string::npos) << outcome.error().text;
  two.net.run_for(Seconds(400));
  EXPECT_TRUE(two.b.engine().snapshot({}).at(0).isakmp_sas.empty())
      << "bounded; and a verdict for nobody is harmless";
}

// Behind the signature's 32 bytes stand INITIAL-CONTACT, 28 bytes, and the padding: so far from its end a
// message is always within the signature, and so is the same place of the next block.
constexpr int kSignatureFromEnd = 60;

// A byte of an encrypted phase 1 message is flipped in a copy that comes first. While the signature does not
// verify, the genuine one must count as if the copy had never come.
TEST(Hostile, ATamperedProofLeavesTheGenuineOneItsPlace) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    CertifiedGateways two(seed);
    SeededRng dice(seed);
    // A held message is lost to none: verdicts come faster than the copies.
    two.net.faults.job_delay = Milliseconds(0);
    two.net.tap = [&](const Endpoint& from, const Endpoint& to, Bytes& data) {
      const bool phase1 = data[18] == static_cast<std::uint8_t>(wire::ExchangeType::identity_protection) &&
                          (data[19] & 1) != 0;
      if (!phase1) return true;
      Gateway& target = to.address == two.a.address ? two.a : two.b;
      const auto size = static_cast<std::int64_t>(data.size());
      // The ID payload or the signature.
      Bytes flipped = data;
      const auto at =
          static_cast<std::size_t>(dice.chance(0.5) ? dice.between(28, 43) : size - kSignatureFromEnd);
      flipped[at] ^= static_cast<std::uint8_t>(dice.between(1, 255));
      two.net.after(Milliseconds(0), [&, from, to, flipped] { target.receive(to, from, flipped); });
      return true;
    };
    two.start();
    ASSERT_TRUE(two.up_within(Seconds(1))) << "seed " << seed;
    EXPECT_TRUE(carries(two.a, two.b, 1)) << "seed " << seed;
    EXPECT_EQ(count_events(two.a, ike::EventId::phase1_failed), 0U);
    EXPECT_EQ(count_events(two.b, ike::EventId::phase1_failed), 0U);
  }
}

// What was refused is not remembered as answered: the same bytes, repeated, are looked at again.
TEST(Hostile, AProofThatWasRefusedMayBeRepeated) {
  CertifiedGateways two(1);
  two.b.unreadable = 2;
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  EXPECT_EQ(two.b.unreadable, 0);
  EXPECT_EQ(count_events(two.b, ike::EventId::phase1_started), 1U) << "in one negotiation";
}

TEST(Hostile, OnlySoManyProofsOfOneNegotiationAreLookedAt) {
  CertifiedGateways two(1, StartMode::responder);
  two.net.faults.job_delay = Milliseconds(0);
  int copies = 0;
  two.net.tap = [&](const Endpoint& from, const Endpoint& to, Bytes& data) {
    const bool message_5 = data[18] == static_cast<std::uint8_t>(wire::ExchangeType::identity_protection) &&
                           (data[19] & 1) != 0 && from.address == two.a.address;
    if (!message_5) return true;
    for (int i = 0; i < 40; ++i) {
      Bytes spoilt = data;
      spoilt[data.size() - kSignatureFromEnd] ^= static_cast<std::uint8_t>(++copies);
      two.net.after(Milliseconds(copies), [&, from, to, spoilt] { two.b.receive(to, from, spoilt); });
    }
    return false;
  };
  EXPECT_FALSE(two.outcome());
  EXPECT_EQ(two.b.jobs, 2U + static_cast<std::size_t>(ike::Limits{}.proofs)) << "and the key pair and g^xy";
}

TEST(Hostile, AKeyThatIsNoneLeavesTheGenuineOneItsPlace) {
  // Message 4 comes first with an impossible public value, which shows only when g^xy is computed.
  TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)});
  bool forged = false;
  two.net.tap = [&](const Endpoint& from, const Endpoint& to, Bytes& data) {
    const bool message_4 = from.address == two.b.address && data[16] == 4;
    if (!message_4 || forged) return true;
    forged = true;
    Bytes bad = data;
    std::fill_n(bad.begin() + 32, info(DhGroup::modp2048).public_bytes, 0);
    two.a.receive(to, from, bad);
    return true;
  };
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  EXPECT_TRUE(forged);
  EXPECT_TRUE(carries(two.a, two.b, 1));
}

TEST(Hostile, AfterAForgeryTheInitiatorStillRepeatsItself) {
  // The forged message 4 comes, the genuine one never does: the initiator must not wait for ever.
  TwoGateways two(1, {plan(StartMode::responder, StartMode::responder)});
  two.net.tap = [&](const Endpoint& from, const Endpoint&, Bytes& data) {
    if (from.address == two.b.address && data[16] == 4)
      std::fill_n(data.begin() + 32, info(DhGroup::modp2048).public_bytes, 0);
    return true;
  };
  two.start();
  two.a.command(ike::Up{ike::CommandId{1}, "gw-b", ""});
  ASSERT_TRUE(two.net.run_for(Seconds(60), [&] { return two.a.command_results.contains(1); }));
  EXPECT_FALSE(two.a.command_results.at(1));
}

TEST(Hostile, TooManyCertificatesAreRefusedByName) {
  CertifiedGateways two(1, StartMode::responder);
  two.a.trustpoint->own->chain.assign(16, Bytes{1, 2, 3});
  EXPECT_FALSE(two.outcome());
  const auto error = peer_error(two.b);
  ASSERT_TRUE(error);
  EXPECT_NE(error->error.text.find("17 certificates"), std::string::npos) << error->error.text;
  CertifiedGateways large(1, StartMode::responder);
  large.a.trustpoint->own->chain.assign(1, Bytes(50'000));
  EXPECT_FALSE(large.outcome());
  EXPECT_NE(peer_error(large.b)->error.text.find("longer than 49152"), std::string::npos);
}

TEST(Revoked, ThePeersTunnelsGoDownAndStayDown) {
  CertifiedGateways two(1);
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  two.b.revoked = {"gw-a-key"};
  two.b.command(ike::PeerRevoked{"gw-a", {ErrorCode::certificate_revoked, "gw-a is revoked", {}, {}, {}}});
  two.net.run_for(Seconds(1));
  EXPECT_TRUE(two.a.plane().empty());
  EXPECT_TRUE(two.b.plane().empty());
  two.net.run_for(Seconds(200));
  EXPECT_TRUE(two.a.plane().empty()) << "it tries again, and is refused again";
  EXPECT_GE(count_events(two.b, ike::EventId::phase1_failed), 2U);
  EXPECT_EQ(peer_error(two.b)->error.code, ErrorCode::certificate_revoked);
  two.b.revoked.clear();
  EXPECT_TRUE(two.up_within(Seconds(120))) << "unless the authority thinks better of it";
}

// ---- several peers on one address

struct Shared {
  Shared() : net(1), a(net.add("gw-a", "192.0.2.1")), b(net.add("gw-b", "192.0.2.2")) {
    connect(a, b, {plan(StartMode::responder, StartMode::responder)});
    use_certificates(a, b);
    // At gw-b: `other` is asked first by its exact address; gw-a may call from anywhere in the network.
    ike::PeerConfig& real = b.config().peers.front();
    other = real;
    other.name = "other";
    other.remote_identity = {IdentityKind::fqdn, {}, "other.example.net"};
    other.tunnels.clear();
    real.called_from = {*Subnet::parse("192.0.2.0/24")};
    real.remote_identity = {IdentityKind::fqdn, {}, "gw-a.example.net"};
    a.config().peers.front().local_identity = real.remote_identity;
  }
  Result<void> outcome() {
    b.config().peers.push_back(other);
    a.start();
    b.start();
    a.command(ike::Up{ike::CommandId{1}, "gw-b", ""});
    net.run_for(Seconds(60), [&] { return a.command_results.contains(1); });
    return a.command_results.at(1);
  }
  Simulator net;
  Gateway& a;
  Gateway& b;
  ike::PeerConfig other;
};

TEST(SharedAddress, TheIdentityChoosesThePeer) {
  Shared shared;
  ASSERT_TRUE(shared.outcome());
  EXPECT_EQ(shared.b.engine().snapshot({}, "gw-a").at(0).isakmp_sas.size(), 1U);
  EXPECT_TRUE(shared.b.engine().snapshot({}, "other").at(0).isakmp_sas.empty());
}

TEST(SharedAddress, OnlyAmongThoseWithTheSamePolicy) {
  Shared shared;
  shared.b.config().peers.front().policies[0].encryption = IkeCipher::aes_192;
  shared.b.config().peers.front().policies[1].encryption = IkeCipher::aes_192;
  EXPECT_FALSE(shared.outcome());
  EXPECT_EQ(shared.b.engine().snapshot({}, "other").at(0).last_error->error.code,
            ErrorCode::identity_mismatch);
}

}  // namespace
}  // namespace oakgate::sim
