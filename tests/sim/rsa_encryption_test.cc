// Main Mode with RSA-encrypted nonces between simulated gateways, in both modes: RFC 2409 sections 5.2 and
// 5.3. Forms of SKEYID, several keys and peers, what is told when it fails. With real RSA, and against
// malformed blocks: tests/ike/rsa_encryption_test.cc.
#include <gtest/gtest.h>

#include <algorithm>

#include "ike/crypto/prf.h"
#include "tests/sim/fake_trust.h"
#include "tests/sim/two_gateways.h"

namespace oakgate::sim {
namespace {

constexpr AuthMethod kMethods[] = {AuthMethod::rsa_encr, AuthMethod::rsa_encr_rev};

struct EncryptingGateways : TwoGateways {
  explicit EncryptingGateways(AuthMethod method, StartMode start = StartMode::responder,
                              std::uint64_t seed = 1)
      : TwoGateways(seed, {plan(start, StartMode::responder)}) {
    use_rsa_encryption(a, b, method);
  }
  Result<void> outcome(Gateway& who, std::uint64_t id, Milliseconds time = Seconds(120)) {
    who.command(ike::Up{ike::CommandId{id}, &who == &a ? "gw-b" : "gw-a", ""});
    net.run_for(time, [&] { return who.command_results.contains(id); });
    if (!who.command_results.contains(id)) return fail(ErrorCode::internal, "no outcome");
    return who.command_results.at(id);
  }
  Result<void> outcome() {
    start();
    return outcome(a, 1);
  }
  ike::PeerConfig& here() { return a.config().peers.front(); }
  ike::PeerConfig& there() { return b.config().peers.front(); }
};

std::optional<ike::LastError> peer_error(Gateway& gateway) {
  return gateway.engine().snapshot({}).at(0).last_error;
}

TEST(RsaEncryption, BringsATunnelUpInBothModes) {
  for (const AuthMethod method : kMethods) {
    EncryptingGateways two(method, StartMode::on_start);
    two.start();
    ASSERT_TRUE(two.up_within(Seconds(5))) << info(method).name;
    EXPECT_TRUE(carries(two.a, two.b, 1));
    EXPECT_EQ(two.net.datagrams, 9U) << "nothing repeated";
    for (Gateway* gateway : {&two.a, &two.b}) {
      const auto sa = gateway->engine().snapshot({}).at(0).isakmp_sas.at(0);
      EXPECT_EQ(sa.policy->authentication, method);
      EXPECT_EQ(sa.remote_identity, gateway == &two.a ? "192.0.2.2" : "192.0.2.1");
      EXPECT_EQ(sa.nat, "none");
      const ike::Event* weak = find_event(*gateway, ike::EventId::weak_used);
      ASSERT_NE(weak, nullptr) << "keys of 512 bits";
      EXPECT_NE(weak->fields.at(0).second.find("rsa-512"), std::string::npos) << weak->fields.at(0).second;
    }
  }
}

TEST(RsaEncryption, EitherFormOfSkeyidAsConfigured) {
  for (const SkeyidForm form : {SkeyidForm::rfc, SkeyidForm::ios}) {
    for (const AuthMethod method : kMethods) {
      EncryptingGateways two(method);
      two.here().rsa_encryption->skeyid = form;
      two.there().rsa_encryption->skeyid = form;
      EXPECT_TRUE(two.outcome());
      EXPECT_EQ(two.net.datagrams, 9U);
    }
  }
}

TEST(RsaEncryption, AResponderFindsTheFormThatTheInitiatorUsesAndRemembersIt) {
  for (const SkeyidForm form : {SkeyidForm::rfc, SkeyidForm::ios}) {
    EncryptingGateways two(AuthMethod::rsa_encr);
    two.here().rsa_encryption->skeyid = form;
    ASSERT_TRUE(two.outcome());
    two.net.run_for(Seconds(1));
    EXPECT_EQ(two.net.datagrams, 9U) << "at once";
    EXPECT_TRUE(carries(two.a, two.b, 1));
    // Now the other way round: with what it remembers the responder needs no second attempt.
    two.a.command(ike::Down{ike::CommandId{2}, "gw-b", ""});
    two.net.run_for(Seconds(60));
    const auto before = two.net.datagrams;
    ASSERT_TRUE(two.outcome(two.b, 3));
    EXPECT_EQ(two.net.datagrams, before + 9);
  }
}

TEST(RsaEncryption, AnInitiatorTriesTheRfcsFormThenTheOtherAndRemembersIt) {
  for (const AuthMethod method : kMethods) {
    EncryptingGateways two(method);
    two.there().rsa_encryption->skeyid = SkeyidForm::ios;
    ASSERT_TRUE(two.outcome()) << "the second attempt follows by itself";
    EXPECT_EQ(count_events(two.a, ike::EventId::phase1_failed), 1U);
    EXPECT_EQ(count_events(two.a, ike::EventId::phase1_established), 1U);
    two.a.command(ike::Down{ike::CommandId{2}, "gw-b", ""});
    two.net.run_for(Seconds(60));
    ASSERT_TRUE(two.outcome(two.a, 3));
    EXPECT_EQ(count_events(two.a, ike::EventId::phase1_failed), 1U) << "none wasted";
  }
}

TEST(RsaEncryption, TheWrongPublicKeyShowsAtHashOnBothSides) {
  for (const AuthMethod method : kMethods) {
    EncryptingGateways two(method);
    two.here().rsa_encryption->peer_keys.front().spki = fake_public_key("another");
    const auto outcome = two.outcome();
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code, ErrorCode::wrong_key);
    EXPECT_NE(outcome.error().remedy.find("compare the public keys"), std::string::npos)
        << outcome.error().remedy;
    EXPECT_EQ(count_events(two.a, ike::EventId::phase1_failed), 2U) << "each form of SKEYID once";
    EXPECT_EQ(peer_error(two.b)->error.code, ErrorCode::wrong_key);
    EXPECT_EQ(count_events(two.b, ike::EventId::phase1_established), 0U);

    EncryptingGateways other(method);
    other.there().rsa_encryption->peer_keys.front().spki = fake_public_key("another");
    EXPECT_FALSE(other.outcome());
    EXPECT_EQ(count_events(other.b, ike::EventId::phase1_established), 0U);
  }
}

TEST(RsaEncryption, NoKeysFailAtTheStart) {
  EncryptingGateways none(AuthMethod::rsa_encr);
  none.here().rsa_encryption->peer_keys.clear();
  auto outcome = none.outcome();
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ErrorCode::no_public_key);
  EXPECT_NE(outcome.error().text.find("no RSA keys with gw-b"), std::string::npos) << outcome.error().text;
  EXPECT_EQ(none.net.datagrams, 0U);

  EncryptingGateways ours(AuthMethod::rsa_encr);
  ours.here().rsa_encryption->own_spki.clear();
  outcome = ours.outcome();
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ErrorCode::no_public_key);
  EXPECT_NE(outcome.error().text.find("gw-a-rsa"), std::string::npos) << outcome.error().text;

  EncryptingGateways theirs(AuthMethod::rsa_encr);
  theirs.there().rsa_encryption->own_spki.clear();
  EXPECT_EQ(theirs.outcome().error().code, ErrorCode::no_proposal_chosen) << "so the responder says";
  EXPECT_EQ(peer_error(theirs.b)->error.code, ErrorCode::no_public_key);
}

TEST(RsaEncryption, AnIdentityTooLongForTheKeyIsToldClearly) {
  EncryptingGateways two(AuthMethod::rsa_encr);
  const std::string name = "a-name-that-is-really-longer-than-a-short-key.example.net";
  two.here().local_identity = {IdentityKind::fqdn, {}, name};
  const auto outcome = two.outcome();
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ErrorCode::key_too_small);
  EXPECT_NE(outcome.error().text.find(name), std::string::npos);
  EXPECT_NE(outcome.error().remedy.find("rsa-encr-rev"), std::string::npos);
  // There it goes under the cipher's key.
  EncryptingGateways revised(AuthMethod::rsa_encr_rev);
  revised.here().local_identity = {IdentityKind::fqdn, {}, name};
  revised.there().remote_identity = {IdentityKind::fqdn, {}, name};
  EXPECT_TRUE(revised.outcome());
}

TEST(RsaEncryption, AnotherIdentityThanConfiguredIsRefusedOnceItIsProved) {
  for (const AuthMethod method : kMethods) {
    EncryptingGateways two(method);
    two.there().remote_identity = {IdentityKind::fqdn, {}, "gw-a.example.net"};
    EXPECT_FALSE(two.outcome());
    ASSERT_TRUE(peer_error(two.b));
    EXPECT_EQ(peer_error(two.b)->error.code, ErrorCode::identity_mismatch);
    EXPECT_EQ(count_events(two.a, ike::EventId::phase1_failed), 1U) << "no other SKEYID would help";
  }
}

// HASH(1) goes with message 3 if the peer has several keys; a responder takes the one that the identity
// names.
TEST(RsaEncryption, SeveralKeysOfAPeer) {
  for (const AuthMethod method : kMethods) {
    EncryptingGateways two(method);
    auto& known_there = two.there().rsa_encryption->peer_keys;
    known_there.insert(known_there.begin(), {"old.example.net", fake_public_key("gw-a-old")});
    two.here().rsa_encryption->peer_keys.push_back({"spare", fake_public_key("gw-b-spare")});
    two.here().local_identity = {IdentityKind::fqdn, {}, "gw-a.example.net"};
    two.there().remote_identity = {IdentityKind::fqdn, {}, "gw-a.example.net"};
    ASSERT_TRUE(two.outcome()) << info(method).name;
    EXPECT_EQ(two.net.datagrams, 9U);

    // Nobody's name: message 4 goes out all the same, to nobody.
    EncryptingGateways miss(method);
    auto& keys = miss.there().rsa_encryption->peer_keys;
    keys.insert(keys.begin(), {"old.example.net", fake_public_key("gw-a-old")});
    miss.here().local_identity = {IdentityKind::fqdn, {}, "nobody.example.net"};
    EXPECT_FALSE(miss.outcome());
    EXPECT_EQ(peer_error(miss.b)->error.code, ErrorCode::wrong_key);
  }
}

// Two peers that may call from one address: the decrypted identity says whose SA it is.
TEST(RsaEncryption, SeveralPeersOfOneRange) {
  for (const AuthMethod method : kMethods) {
    EncryptingGateways two(method);
    ike::PeerConfig second = two.there();
    second.name = "other";
    second.tunnels.clear();
    second.remote_identity = {IdentityKind::fqdn, {}, "other.example.net"};
    second.rsa_encryption->peer_keys = {{"other", fake_public_key("other-rsa")}};
    second.called_from = {*Subnet::parse("192.0.2.1/32")};
    two.here().local_identity = {IdentityKind::fqdn, {}, "gw-a.example.net"};
    two.there().remote_identity = {IdentityKind::fqdn, {}, "gw-a.example.net"};
    two.there().rsa_encryption->peer_keys.front().name = "wan";
    two.there().called_from = {*Subnet::parse("192.0.2.0/24")};  // the other's address is more specific
    two.b.config().peers.push_back(second);
    ASSERT_TRUE(two.outcome()) << info(method).name;
    two.net.run_for(Seconds(1));
    EXPECT_TRUE(carries(two.a, two.b, 1));
    EXPECT_EQ(two.b.engine().snapshot({}).at(0).name, "gw-a");
    EXPECT_EQ(two.b.engine().snapshot({}).at(0).isakmp_sas.size(), 1U);
  }
}

// The responder has two keys, each with a peer that may call from that address, and takes the wrong one at
// first; the initiator knows several keys of it, and so names the one it uses.
struct TwoOwnKeys : EncryptingGateways {
  explicit TwoOwnKeys(AuthMethod method) : EncryptingGateways(method) {
    ike::PeerConfig second = there();
    second.name = "other";
    second.tunnels.clear();
    second.rsa_encryption->own_key = "gw-b-old";
    second.rsa_encryption->own_spki = fake_public_key("gw-b-old");
    second.called_from = {*Subnet::parse("192.0.2.1/32")};
    there().called_from = {*Subnet::parse("192.0.2.0/24")};
    b.config().peers.push_back(second);
    here().rsa_encryption->peer_keys.push_back({"spare", fake_public_key("gw-b-spare")});
    net.tap = [this](const Endpoint&, const Endpoint&, Bytes& datagram) {
      const auto at = std::search(datagram.begin(), datagram.end(), sent_hash.begin(), sent_hash.end());
      if (at != datagram.end()) {
        ++hashes;
        std::copy(instead.begin(), instead.end(), at);
      }
      sizes.push_back(datagram.size());
      return true;
    };
  }
  static Bytes hash_of(ByteView what) { return *crypto::hash(IkeHash::sha256, {what}); }

  Bytes sent_hash = hash_of(fake_public_key("gw-b-rsa"));
  Bytes instead = sent_hash;
  int hashes = 0;
  std::vector<std::size_t> sizes;  // of all datagrams
};

TEST(RsaEncryption, AKeyHashChoosesAmongOurKeys) {
  for (const AuthMethod method : kMethods) {
    TwoOwnKeys two(method);
    ASSERT_TRUE(two.outcome()) << info(method).name;
    EXPECT_EQ(two.hashes, 1);
    EXPECT_EQ(two.net.datagrams, 9U);
    two.net.run_for(Seconds(1));
    EXPECT_TRUE(carries(two.a, two.b, 1));
    EXPECT_EQ(two.b.engine().snapshot({}).at(0).isakmp_sas.size(), 1U);
    EXPECT_TRUE(two.b.engine().snapshot({}).at(1).isakmp_sas.empty());
  }
}

TEST(RsaEncryption, AKeyHashMayBeOfTheKeysCertificate) {
  for (const AuthMethod method : kMethods) {
    TwoOwnKeys two(method);
    const Bytes certificate(300, 0x30);
    two.b.trustpoint =
        ike::TrustpointState{"corp", {}, {}, {}, ike::EncryptionCertificate{"gw-b-rsa", certificate}};
    two.instead = TwoOwnKeys::hash_of(certificate);
    ASSERT_TRUE(two.outcome()) << info(method).name;
    EXPECT_EQ(two.hashes, 1);
  }
}

// Where no key is named, and where none of ours is: message 4 goes out all the same, and HASH_I fails.
TEST(RsaEncryption, AnUnknownKeyHashIsAsAWrongKey) {
  for (const AuthMethod method : kMethods) {
    TwoOwnKeys unknown(method);
    unknown.instead = Bytes(unknown.sent_hash.size(), 0x5a);
    const auto outcome = unknown.outcome();
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code, ErrorCode::wrong_key);
    EXPECT_EQ(unknown.hashes, 2) << "each form of SKEYID once";
    EXPECT_EQ(unknown.b.engine().snapshot({}).at(1).last_error->error.code, ErrorCode::wrong_key);

    // The hash names our key, the blocks are to another one.
    TwoOwnKeys wrong(method);
    wrong.here().rsa_encryption->peer_keys.front().spki = fake_public_key("gw-b-spare");
    wrong.instead = std::exchange(wrong.sent_hash, TwoOwnKeys::hash_of(fake_public_key("gw-b-spare")));
    ASSERT_FALSE(wrong.outcome());
    EXPECT_EQ(unknown.sizes, wrong.sizes);

    // With the right key first it does no harm.
    TwoOwnKeys usual(method);
    usual.b.config().peers.pop_back();
    usual.instead = unknown.instead;
    EXPECT_TRUE(usual.outcome());
  }
}

TEST(RsaEncryption, SurvivesLossRepetitionAndReordering) {
  const std::uint64_t first = first_seed();
  for (std::uint64_t seed = first; seed < first + runs(10000) / 40 + 1; ++seed) {
    EncryptingGateways two(kMethods[seed % 2], StartMode::on_start, seed);
    if (seed % 3 == 0) two.there().rsa_encryption->skeyid = SkeyidForm::ios;
    two.net.faults.loss = 0.15;
    two.net.faults.duplicate = 0.1;
    two.net.faults.jitter = Milliseconds(100);
    two.net.faults.job_delay = Milliseconds(50);
    two.start();
    ASSERT_TRUE(two.up_within(Seconds(300))) << "seed " << seed;
    two.net.faults = {};
    two.net.run_for(Seconds(60));
    ASSERT_TRUE(carries(two.a, two.b, 1)) << "seed " << seed;
  }
}

}  // namespace
}  // namespace oakgate::sim
