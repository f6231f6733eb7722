// Each common mistake of Cisco's lists and of the seed documents, with the words an operator reads and the
// lines that mend it.
#include "daemon/explain/diagnosis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "daemon/cli/explain_screen.h"
#include "daemon/explain/explain_json.h"

namespace oakgate::explain {
namespace {

using ike::EventId;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

IpAddress ip(const char* text) {
  return *IpAddress::parse(text);
}

conf::Config configuration() {
  conf::Config config;
  config.gateway.name = "gw-a";
  conf::PeerConfig peer;
  peer.name = "gw-b";
  peer.address = {conf::PeerAddress::Kind::address, {}, ip("192.0.2.2"), ip("192.0.2.2")};
  peer.policies = {
      {10, IkeCipher::aes_256, IkeHash::sha256, DhGroup::modp2048, AuthMethod::pre_share, Seconds(86400)}};
  peer.pre_shared_key = {conf::PskSource::Kind::file, "gw-b.psk", {}};
  conf::TunnelConfig tunnel;
  tunnel.name = "lan";
  tunnel.pairs = {{{*Subnet::parse("10.1.0.0/24"), 0, 0}, {*Subnet::parse("10.2.0.0/24"), 0, 0}}};
  tunnel.transform_sets = {{"strong", EspCipher::aes_256, Integrity::sha256, EncapsulationMode::tunnel}};
  tunnel.pfs = DhGroup::modp2048;
  peer.tunnels = {tunnel};
  config.policies = peer.policies;
  config.peers = {peer};
  return config;
}

ike::Failure failure(EventId event, ErrorCode code, std::string text = "it failed") {
  ike::Failure one;
  one.event = event;
  one.local = Endpoint{ip("192.0.2.1"), 500};
  one.remote = Endpoint{ip("192.0.2.2"), 500};
  one.error = Error{code, std::move(text), {}, {}, {}};
  return one;
}

class DiagnosisTest : public testing::Test {
 protected:
  Diagnosis explain(const ike::Failure& one) { return diagnose(one, config, &config.peers[0]); }
  conf::Config config = configuration();
};

TEST_F(DiagnosisTest, PolicyMismatch) {
  ike::Failure one = failure(EventId::phase1_no_policy, ErrorCode::no_proposal_chosen);
  one.proposals = {
      {"des md5 group1 pre-share",
       "policy 10 (aes-256 sha256 group14 pre-share)",
       {{"encryption", "des", "aes-256"}, {"hash", "md5", "sha256"}, {"group", "group1", "group14"}}},
      {"3des sha256 group2 pre-share",
       "policy 10 (aes-256 sha256 group14 pre-share)",
       {{"encryption", "3des", "aes-256"}, {"group", "group2", "group14"}}}};
  const Diagnosis diagnosis = explain(one);
  EXPECT_EQ(diagnosis.reason, Reason::policy_differs);
  EXPECT_EQ(
      diagnosis.sentence,
      "No ISAKMP policy in common with gw-b (IOS: \"atts are not acceptable\", \"no offers accepted\"): "
      "encryption is 3des there and aes-256 here, group is group2 there and group14 here.");
  ASSERT_EQ(diagnosis.attributes.size(), 4U);
  EXPECT_EQ(diagnosis.attributes[0].theirs, "3des");
  EXPECT_EQ(diagnosis.attributes[0].ours, "aes-256");
  EXPECT_EQ(diagnosis.attributes[0].verdict, "differs");
  EXPECT_EQ(diagnosis.attributes[1].attribute, "hash");
  EXPECT_EQ(diagnosis.attributes[1].verdict, "equal");
  EXPECT_EQ(diagnosis.attributes[3].verdict, "equal");
  EXPECT_THAT(
      diagnosis.here,
      ElementsAre(
          "isakmp_policies: 20: {encryption: 3des, hash: sha256, group: 2, authentication: pre-share}",
          "peers: gw-b: policies: [10, 20]",
          "peers: gw-b: allow_weak: {algorithms: [3des, group2], until: DATE, reason: WHY}        # "
          "these are weak"));
  EXPECT_THAT(diagnosis.ios, ElementsAre("crypto isakmp policy 10", " encr aes 256", " group 14"));
  // What the peer may use already stays in the line, which takes the other's place.
  config.peers[0].allow_weak = WeakWaiver{{Weak::md5, Weak::group2}, std::nullopt, "old"};
  EXPECT_THAT(explain(one).here,
              Contains(StartsWith("peers: gw-b: allow_weak: {algorithms: [md5, group2, 3des], ")));
  config.peers[0].allow_weak = WeakWaiver{{Weak::des3, Weak::group2}, std::nullopt, "old"};
  EXPECT_THAT(explain(one).here, SizeIs(2));
}

// One attribute each: Cisco's list of phase 1 mismatches.
struct OneAttribute {
  const char* attribute;
  const char* theirs;
  const char* ours;
  const char* here;
  const char* ios;
};
class PolicyAttribute : public testing::TestWithParam<OneAttribute> {};
TEST_P(PolicyAttribute, IsNamedAndMendedOnBothSides) {
  const OneAttribute& it = GetParam();
  const conf::Config config = configuration();
  ike::Failure one = failure(EventId::phase1_no_policy, ErrorCode::no_proposal_chosen);
  one.proposals = {
      {"x", "policy 10 (aes-256 sha256 group14 pre-share)", {{it.attribute, it.theirs, it.ours}}}};
  const Diagnosis diagnosis = diagnose(one, config, &config.peers[0]);
  EXPECT_THAT(diagnosis.sentence,
              HasSubstr(std::string(it.attribute) + " is " + it.theirs + " there and " + it.ours + " here."));
  EXPECT_EQ(diagnosis.here.front(), it.here);
  EXPECT_THAT(diagnosis.ios, ElementsAre("crypto isakmp policy 10", it.ios));
}
INSTANTIATE_TEST_SUITE_P(
    All, PolicyAttribute,
    testing::Values(
        OneAttribute{
            "encryption", "des", "aes-256",
            "isakmp_policies: 20: {encryption: des, hash: sha256, group: 14, authentication: pre-share}",
            " encr aes 256"},
        OneAttribute{
            "hash", "md5", "sha256",
            "isakmp_policies: 20: {encryption: aes-256, hash: md5, group: 14, authentication: pre-share}",
            " hash sha256"},
        OneAttribute{
            "group", "group5", "group14",
            "isakmp_policies: 20: {encryption: aes-256, hash: sha256, group: 5, authentication: pre-share}",
            " group 14"},
        OneAttribute{
            "authentication", "rsa-sig", "pre-share",
            "isakmp_policies: 20: {encryption: aes-256, hash: sha256, group: 14, authentication: rsa-sig}",
            " authentication pre-share"},
        OneAttribute{"encryption", "3/0", "aes-256",
                     "oakgate does not speak encryption 3/0: change it at the device", " encr aes 256"}));

TEST_F(DiagnosisTest, OnAPixThePolicyStandsInOneLineEach) {
  config.peers[0].policies[0].encryption = IkeCipher::des3;
  config.peers[0].policies[0].hash = IkeHash::sha;
  config.peers[0].policies[0].group = DhGroup::modp1024;
  ike::Failure one = failure(EventId::phase1_no_policy, ErrorCode::no_proposal_chosen);
  one.proposals = {{"x", "policy 10 (3des sha group2 pre-share)", {{"hash", "md5", "sha"}}}};
  EXPECT_THAT(explain(one).pix, ElementsAre("isakmp policy 10 hash sha"));
}

TEST_F(DiagnosisTest, ThePeerRefusesOurPolicies) {
  const Diagnosis diagnosis = explain(failure(EventId::phase1_failed, ErrorCode::no_proposal_chosen,
                                              "the peer refused with NO-PROPOSAL-CHOSEN (14)"));
  EXPECT_EQ(diagnosis.reason, Reason::policy_refused);
  EXPECT_EQ(diagnosis.sentence,
            "gw-b takes none of our ISAKMP policies (NO-PROPOSAL-CHOSEN): one of encryption, hash, group, "
            "authentication or a shorter life time differs in all of them.");
  ASSERT_EQ(diagnosis.attributes.size(), 5U);
  EXPECT_EQ(diagnosis.attributes[4].attribute, "policy 10 lifetime");
  EXPECT_EQ(diagnosis.attributes[4].ours, "86400 s");
  EXPECT_EQ(diagnosis.attributes[4].verdict, "unknown");
  EXPECT_THAT(diagnosis.ios, Contains(" lifetime 86400"));
  EXPECT_THAT(diagnosis.ios, Contains("show crypto isakmp policy"));
}

TEST_F(DiagnosisTest, TransformSetMismatch) {
  ike::Failure one = failure(EventId::phase2_no_proposal, ErrorCode::no_proposal_chosen);
  one.tunnel = "lan";
  one.proposals = {
      {"esp-3des esp-md5-hmac",
       "strong (esp-aes-256 esp-sha256-hmac)",
       {{"cipher", "esp-3des", "esp-aes-256"}, {"integrity", "esp-md5-hmac", "esp-sha256-hmac"}}}};
  const Diagnosis diagnosis = explain(one);
  EXPECT_EQ(
      diagnosis.sentence,
      "No transform set in common with gw-b for tunnel lan (IOS: \"atts are not acceptable\", \"SA not "
      "acceptable!\"): cipher is esp-3des there and esp-aes-256 here, integrity is esp-md5-hmac there and "
      "esp-sha256-hmac here.");
  EXPECT_THAT(
      diagnosis.here,
      ElementsAre("transform_sets: NAME: [esp-3des, esp-md5-hmac]",
                  "peers: gw-b: tunnels: lan: transform_sets: [NAME]",
                  "peers: gw-b: allow_weak: {algorithms: [3des, md5], until: DATE, reason: WHY}        # "
                  "these are weak"));
  EXPECT_THAT(diagnosis.ios, Contains("crypto ipsec transform-set strong esp-aes 256 esp-sha256-hmac"));
}

TEST_F(DiagnosisTest, ModeMismatch) {
  ike::Failure one = failure(EventId::phase2_no_proposal, ErrorCode::no_proposal_chosen);
  one.tunnel = "lan";
  one.proposals = {{"esp-aes-256 esp-sha256-hmac transport",
                    "strong (esp-aes-256 esp-sha256-hmac)",
                    {{"mode", "transport", "tunnel"}}}};
  const Diagnosis diagnosis = explain(one);
  EXPECT_THAT(diagnosis.sentence, HasSubstr("mode is transport there and tunnel here."));
  EXPECT_EQ(diagnosis.here.front(),
            "transform_sets: NAME: {transforms: [esp-aes-256, esp-sha256-hmac], mode: transport}");
}

TEST_F(DiagnosisTest, PfsMismatch) {
  ike::Failure one = failure(EventId::phase2_no_proposal, ErrorCode::no_proposal_chosen);
  one.tunnel = "lan";
  one.proposals = {{"esp-aes-256 esp-sha256-hmac group2", "strong (x)", {{"pfs", "group2", "group14"}}}};
  Diagnosis diagnosis = explain(one);
  EXPECT_EQ(diagnosis.reason, Reason::pfs_differs);
  EXPECT_EQ(diagnosis.sentence,
            "Perfect forward secrecy differs for tunnel lan: group2 at gw-b, group14 here.");
  EXPECT_EQ(diagnosis.here.front(), "peers: gw-b: tunnels: lan: pfs: group2");
  EXPECT_THAT(diagnosis.ios, ElementsAre("crypto map oakgate 10 ipsec-isakmp", " set pfs group14"));
  one.proposals[0].offered = "esp-aes-256 esp-sha256-hmac";
  one.proposals[0].differences[0].theirs = "none";
  diagnosis = explain(one);
  EXPECT_THAT(diagnosis.here, ElementsAre("peers: gw-b: tunnels: lan: leave out `pfs`"));
}

TEST_F(DiagnosisTest, ThePeerRefusesOurTransformSets) {
  ike::Failure one =
      failure(EventId::phase2_failed, ErrorCode::no_proposal_chosen, "the peer refused with x");
  one.tunnel = "lan";
  const Diagnosis diagnosis = explain(one);
  EXPECT_EQ(diagnosis.reason, Reason::transforms_refused);
  EXPECT_THAT(diagnosis.sentence, HasSubstr("gw-b takes none of the transform sets of tunnel lan"));
  EXPECT_THAT(diagnosis.ios, Contains("crypto ipsec transform-set strong esp-aes 256 esp-sha256-hmac"));
  EXPECT_THAT(diagnosis.ios, Contains(" set pfs group14"));
  EXPECT_EQ(diagnosis.attributes.back().ours, "group14");
}

// "access lists must be mirrors": what the peer asks for, and the mirror of ours in its own words.
TEST_F(DiagnosisTest, ProxyIdentities) {
  ike::Failure one = failure(EventId::phase2_proxy_ids, ErrorCode::proxy_id_mismatch);
  one.fields = {{"offered", "10.1.0.0/24 === 10.9.0.0/24"}};
  const Diagnosis diagnosis = explain(one);
  EXPECT_EQ(
      diagnosis.sentence,
      "The proxy identities differ (IOS: \"proxy identities not supported\"): gw-b asks for 10.1.0.0/24 === "
      "10.9.0.0/24, configured here is 10.1.0.0/24 === 10.2.0.0/24 (local === remote). The access lists "
      "have to be exact mirrors.");
  EXPECT_THAT(diagnosis.here,
              ElementsAre("peers: gw-b: tunnels: lan: {local: 10.1.0.0/24, remote: 10.9.0.0/24}"));
  EXPECT_THAT(diagnosis.ios, ElementsAre("ip access-list extended oakgate-lan",
                                         " permit ip 10.2.0.0 0.0.0.255 10.1.0.0 0.0.0.255",
                                         "crypto map oakgate 10 ipsec-isakmp", " match address oakgate-lan"));
}

TEST_F(DiagnosisTest, ProxyIdentitiesRefusedByThePeer) {
  ike::Failure one = failure(EventId::phase2_failed, ErrorCode::proxy_id_mismatch, "the peer refused with x");
  one.tunnel = "lan";
  const Diagnosis diagnosis = explain(one);
  EXPECT_EQ(
      diagnosis.sentence,
      "gw-b refuses our proxy identities 10.1.0.0/24 === 10.2.0.0/24 (local === remote): no entry of its "
      "access list is their exact mirror.");
  EXPECT_THAT(diagnosis.ios, Contains(" permit ip 10.2.0.0 0.0.0.255 10.1.0.0 0.0.0.255"));
}

TEST_F(DiagnosisTest, WrongPreSharedKey) {
  const Diagnosis diagnosis = explain(failure(EventId::message_rejected, ErrorCode::wrong_key));
  EXPECT_EQ(diagnosis.sentence,
            "The pre-shared keys differ: what gw-b sends does not verify with ours, or ours not with its.");
  EXPECT_THAT(diagnosis.here,
              ElementsAre("peers: gw-b: pre_shared_key: {file: gw-b.psk}        # put the device's "
                          "key there, then `oakgate reload`"));
  EXPECT_THAT(diagnosis.ios, ElementsAre("crypto isakmp key ******** address 192.0.2.1"));
}

struct Silence {
  EventId event;
  ErrorCode code;
  const char* awaited;
  std::uint16_t port;
  Reason reason;
  const char* words;
};
class Silences : public testing::TestWithParam<Silence> {};
TEST_P(Silences, SayWhichMessageGotNoAnswer) {
  const Silence& it = GetParam();
  const conf::Config config = configuration();
  ike::Failure one = failure(it.event, it.code, "gw-b did not answer");
  if (it.awaited[0] != '\0') one.fields = {{"awaited", it.awaited}};
  one.remote->port = it.port;
  const Diagnosis diagnosis = diagnose(one, config, &config.peers[0]);
  EXPECT_EQ(diagnosis.reason, it.reason);
  EXPECT_THAT(diagnosis.sentence, HasSubstr(it.words));
  EXPECT_THAT(diagnosis.here, testing::Not(IsEmpty()));
  EXPECT_THAT(diagnosis.ios, testing::Not(IsEmpty()));
}
INSTANTIATE_TEST_SUITE_P(
    All, Silences,
    testing::Values(
        Silence{EventId::phase1_failed, ErrorCode::no_answer, "message 2 of Main Mode", 500,
                Reason::silent_at_once,
                "our first message went to UDP port 500, and message 2 of Main Mode never came. UDP 500 is "
                "blocked on the way, the device is down or elsewhere, or it has no key or crypto map for "
                "192.0.2.1."},
        Silence{EventId::phase1_failed, ErrorCode::no_answer, "message 4 of Main Mode", 500,
                Reason::silent_in_key_exchange, "fragmented UDP datagrams are lost"},
        Silence{
            EventId::phase1_failed, ErrorCode::wrong_key, "message 6 of Main Mode", 4500,
            Reason::silent_on_4500,
            "answers on UDP port 500 but not on port 4500: message 6 of Main Mode never came. UDP 4500 is "
            "blocked on the way, or the pre-shared keys differ."},
        Silence{EventId::phase1_failed, ErrorCode::wrong_key, "message 6 of Main Mode", 500,
                Reason::silent_after_proof, "different pre-shared keys show"},
        Silence{EventId::phase2_failed, ErrorCode::no_answer, "", 500, Reason::silent_in_quick_mode,
                "Phase 1 with gw-b is up, but it does not answer Quick Mode for tunnel lan"},
        Silence{EventId::peer_dead, ErrorCode::no_answer, "", 500, Reason::dead, "dead peer detection"}));

struct ByCode {
  ErrorCode code;
  Reason reason;
  const char* words;
  const char* ios;  // one of the lines; empty: none is wanted
};
class Certificates : public testing::TestWithParam<ByCode> {};
TEST_P(Certificates, AreExplained) {
  const ByCode& it = GetParam();
  conf::Config config = configuration();
  config.peers[0].pre_shared_key.reset();
  config.peers[0].trustpoint = "corp";
  const Diagnosis diagnosis =
      diagnose(failure(EventId::phase1_failed, it.code, "CN=gw-b: why."), config, &config.peers[0]);
  EXPECT_EQ(diagnosis.reason, it.reason);
  EXPECT_THAT(diagnosis.sentence, HasSubstr(it.words));
  EXPECT_THAT(diagnosis.sentence, HasSubstr("CN=gw-b: why"));
  EXPECT_THAT(diagnosis.here, testing::Not(IsEmpty()));
  if (it.ios[0] != '\0') {
    EXPECT_THAT(diagnosis.ios, Contains(it.ios));
  }
}
INSTANTIATE_TEST_SUITE_P(
    All, Certificates,
    testing::Values(ByCode{ErrorCode::certificate_expired, Reason::certificate_expired, "past its end",
                           "show clock"},
                    ByCode{ErrorCode::certificate_not_yet_valid, Reason::certificate_not_yet_valid,
                           "a clock is wrong", "clock set HH:MM:SS DAY MONTH YEAR"},
                    ByCode{ErrorCode::certificate_revoked, Reason::certificate_revoked,
                           "is on a revocation list", "crypto ca enroll corp"},
                    ByCode{ErrorCode::certificate_invalid, Reason::certificate_untrusted,
                           "does not chain to trustpoint corp", "crypto ca authenticate corp"},
                    ByCode{ErrorCode::crl_unavailable, Reason::crl_unavailable, "cannot be had",
                           "crypto ca crl request corp"},
                    ByCode{ErrorCode::crl_invalid, Reason::crl_invalid,
                           "New CRL Not Yet Valid (router time not synched to CA?)", "show clock"},
                    ByCode{ErrorCode::no_certificate, Reason::no_certificate, "A certificate is missing",
                           "crypto ca enroll corp"},
                    ByCode{ErrorCode::signature_invalid, Reason::signature_invalid, "does not verify", ""},
                    ByCode{ErrorCode::key_too_small, Reason::key_too_small, "smaller than is allowed", ""},
                    ByCode{ErrorCode::peer_refused, Reason::certificate_refused, "refuses our certificate",
                           "crypto ca authenticate corp"}));

TEST_F(DiagnosisTest, SilenceAfterOurCertificate) {
  config.peers[0].pre_shared_key.reset();
  config.peers[0].trustpoint = "corp";
  ike::Failure one = failure(EventId::phase1_failed, ErrorCode::no_answer);
  one.fields = {{"awaited", "message 6 of Main Mode"}};
  const Diagnosis diagnosis = explain(one);
  EXPECT_EQ(diagnosis.reason, Reason::silent_after_certificate);
  EXPECT_THAT(
      diagnosis.sentence,
      HasSubstr("It does not trust our CA, cannot reach its CRL, has a wrong clock, or expects another "
                "identity."));
}

TEST_F(DiagnosisTest, Identities) {
  ike::Failure one = failure(EventId::phase1_failed, ErrorCode::identity_mismatch,
                             "the peer proved to be hostname:r1.example.net");
  one.error.expected = "192.0.2.2";
  Diagnosis diagnosis = explain(one);
  EXPECT_EQ(
      diagnosis.sentence,
      "gw-b proved to be somebody else than is configured: the peer proved to be hostname:r1.example.net; "
      "expected: 192.0.2.2.");
  EXPECT_THAT(diagnosis.here, ElementsAre("peers: gw-b: identity: hostname:r1.example.net"));
  EXPECT_THAT(diagnosis.ios, ElementsAre("crypto isakmp identity address"));
  one.error.text = "the peer refused with INVALID-ID-INFORMATION (18)";
  diagnosis = explain(one);
  EXPECT_EQ(diagnosis.reason, Reason::identity_refused);
}

// To copy: whatever YAML makes of the characters, and never what the configuration would not take.
TEST_F(DiagnosisTest, AnIdentityAsTheConfigurationTakesIt) {
  const auto line_for = [this](const std::string& identity) {
    return explain(failure(EventId::phase1_failed, ErrorCode::identity_mismatch,
                           "the peer proved to be " + identity))
        .here;
  };
  EXPECT_THAT(line_for("192.0.2.77"), ElementsAre("peers: gw-b: identity: 192.0.2.77"));
  const Diagnosis by_certificate =
      explain(failure(EventId::phase1_failed, ErrorCode::identity_mismatch,
                      "peer gw-b: the peer proved to be hostname:r1.example.net"));
  EXPECT_THAT(by_certificate.here, ElementsAre("peers: gw-b: identity: hostname:r1.example.net"));
  EXPECT_EQ(by_certificate.attributes.at(0).theirs, "hostname:r1.example.net");
  EXPECT_THAT(line_for("2001:db8::"), ElementsAre("peers: gw-b: identity: \"2001:db8::\""));
  EXPECT_THAT(line_for("user-fqdn:pix@example.net"),
              ElementsAre("peers: gw-b: identity: user-fqdn:pix@example.net"));
  EXPECT_THAT(line_for("dn:CN=gw-b,O=corp"), ElementsAre("peers: gw-b: identity: \"dn:CN=gw-b,O=corp\""));
  EXPECT_THAT(line_for("dn:CN=it's \\#1\\, \\C3\\BC,O=corp"),
              ElementsAre("peers: gw-b: identity: \"dn:CN=it's \\\\#1\\\\, \\\\C3\\\\BC,O=corp\""));
  EXPECT_THAT(line_for("hostname:r1\x1b[2J"),
              ElementsAre("no `identity:` can be hostname:r1\\x1b[2J: have the device send another one"));
  EXPECT_THAT(line_for("hostname:"), ElementsAre(HasSubstr("no `identity:` can be hostname:")));
  EXPECT_THAT(line_for("hostname:" + std::string(600, 'a')), ElementsAre(HasSubstr("too long")));
  EXPECT_THAT(line_for("dn:CN=" + std::string(600, 'a')), ElementsAre(HasSubstr("identity: dn ")));
  const ike::Failure uncertified = failure(
      EventId::phase1_failed, ErrorCode::identity_mismatch,
      "%CRYPTO-6-IKMP_NO_ID_CERT_ADDR_MATCH: ID of 192.0.2.77 (type 1) and certificate addr with none");
  EXPECT_THAT(explain(uncertified).here, ElementsAre(HasSubstr("crypto isakmp identity dn")));
}

TEST_F(DiagnosisTest, AStranger) {
  ike::Failure one =
      failure(EventId::unknown_peer, ErrorCode::unknown_peer, "No pre-shared key with 198.51.100.9");
  one.remote = Endpoint{ip("198.51.100.9"), 500};
  const Diagnosis diagnosis = diagnose(one, config, nullptr);
  EXPECT_EQ(
      diagnosis.sentence,
      "198.51.100.9 calls and is nobody's address here (IOS: \"No pre-shared key with 198.51.100.9!\").");
  EXPECT_THAT(diagnosis.here, ElementsAre("peers: NAME: address: 198.51.100.9"));
  one.fields = {{"identity", "hostname:r9.example.net"}};
  EXPECT_THAT(diagnose(one, config, nullptr).here,
              ElementsAre("peers: NAME: address: 198.51.100.9",
                          "peers: NAME: {aggressive: true, identity: hostname:r9.example.net}        # weak: "
                          "better have it use Main Mode"));
  one.fields = {{"identity", "198.51.100.9"}};
  EXPECT_THAT(diagnose(one, config, nullptr).here,
              Contains("peers: NAME: aggressive: true        # weak: better have it use Main Mode"));
}

// To copy: the identity that the caller claims, and only what is not configured already.
TEST_F(DiagnosisTest, AggressiveMode) {
  conf::PeerConfig& peer = config.peers[0];
  const auto call = [this](const std::string& identity) {
    ike::Failure one = failure(EventId::unknown_peer, ErrorCode::unknown_peer, "No pre-shared key with it");
    one.fields = {{"identity", identity}};
    return explain(one);
  };
  Diagnosis diagnosis = call("hostname:r1.example.net");
  EXPECT_EQ(diagnosis.reason, Reason::aggressive_refused);
  EXPECT_EQ(diagnosis.sentence,
            "gw-b uses Aggressive Mode, which is not allowed here, and as somebody else than is configured: "
            "No pre-shared key with it.");
  EXPECT_THAT(diagnosis.here,
              ElementsAre("peers: gw-b: {aggressive: true, identity: hostname:r1.example.net}        # weak: "
                          "better have it use Main Mode"));
  ASSERT_EQ(diagnosis.attributes.size(), 2U);
  EXPECT_EQ(diagnosis.attributes[0].verdict, "differs");
  EXPECT_EQ(diagnosis.attributes[1].theirs, "hostname:r1.example.net");
  EXPECT_EQ(diagnosis.attributes[1].ours, "192.0.2.2");
  EXPECT_EQ(diagnosis.attributes[1].verdict, "differs");
  EXPECT_THAT(diagnosis.pix, ElementsAre("isakmp identity address"));

  diagnosis = call("192.0.2.2");
  EXPECT_THAT(diagnosis.sentence, HasSubstr("Aggressive Mode, which is not allowed here: "));
  EXPECT_THAT(diagnosis.here,
              ElementsAre("peers: gw-b: aggressive: true        # weak: better have it use Main Mode"));
  EXPECT_EQ(diagnosis.attributes.at(1).verdict, "equal");

  peer.identity = Identity{IdentityKind::fqdn, {}, "r1.example.net"};
  EXPECT_THAT(call("hostname:r1.example.net").here, ElementsAre(HasSubstr("gw-b: aggressive: true ")));

  peer.aggressive = true;
  diagnosis = call("hostname:r2.example.net");
  EXPECT_THAT(diagnosis.sentence, HasSubstr("Aggressive Mode, as somebody else than is configured: "));
  EXPECT_THAT(diagnosis.here, ElementsAre("peers: gw-b: identity: hostname:r2.example.net"));
  EXPECT_EQ(diagnosis.attributes.at(0).verdict, "equal");
  EXPECT_EQ(diagnosis.attributes.at(1).ours, "hostname:r1.example.net");
  EXPECT_THAT(call("hostname:r1\x1b[2J").here,
              ElementsAre(HasSubstr("no `identity:` can be hostname:r1\\x1b")));
  EXPECT_THAT(call("hostname:" + std::string(600, 'a')).here, ElementsAre(HasSubstr("too long")));
}

TEST_F(DiagnosisTest, OthersHaveTheirReasonToo) {
  EXPECT_EQ(explain(failure(EventId::unknown_peer, ErrorCode::unknown_peer)).reason,
            Reason::aggressive_refused);
  EXPECT_EQ(explain(failure(EventId::xauth_refused, ErrorCode::unsupported)).reason, Reason::xauth_asked);
  EXPECT_THAT(
      explain(failure(EventId::xauth_refused, ErrorCode::unsupported)).pix,
      ElementsAre("isakmp key ******** address 192.0.2.1 netmask 255.255.255.255 no-xauth no-config-mode"));
  EXPECT_EQ(explain(failure(EventId::limit_reached, ErrorCode::in_use)).reason, Reason::limit_reached);
  EXPECT_EQ(explain(failure(EventId::weak_waiver_expired, ErrorCode::weak_waiver_expired)).reason,
            Reason::waiver_ended);
  EXPECT_EQ(explain(failure(EventId::data_plane_failed, ErrorCode::data_plane)).reason,
            Reason::plane_refused);
  EXPECT_EQ(explain(failure(EventId::phase1_failed, ErrorCode::address_unknown)).reason,
            Reason::address_unknown);
  EXPECT_EQ(explain(failure(EventId::phase1_failed, ErrorCode::internal)).reason, Reason::other);
}

TEST(Reasons, TheTableIsInOrderAndEachRowSpeaks) {
  int index = 0;
  for (const ReasonRow& row : reason_table()) {
    EXPECT_EQ(static_cast<int>(row.reason), index++) << row.word;
    EXPECT_FALSE(row.word.empty());
    EXPECT_FALSE(row.sentence.empty());
  }
}

// Every code has an explanation without a hole in it.
TEST_F(DiagnosisTest, NoPlaceholderIsLeft) {
  for (int i = 0; i <= static_cast<int>(kLastErrorCode); ++i) {
    for (const EventId event : {EventId::phase1_failed, EventId::phase2_failed, EventId::message_rejected}) {
      for (const conf::PeerConfig* peer : std::array<const conf::PeerConfig*, 2>{&config.peers[0], nullptr}) {
        ike::Failure one = failure(event, static_cast<ErrorCode>(i));
        one.local.reset();
        one.remote.reset();
        const Diagnosis diagnosis = diagnose(one, config, peer);
        std::string all = diagnosis.sentence;
        for (const auto& lines : {diagnosis.here, diagnosis.ios, diagnosis.pix, diagnosis.asa}) {
          for (const std::string& line : lines) all += "\n" + line;
        }
        for (const char* hole :
             {"{peer}", "{address}", "{us}", "{tunnel}", "{port}", "{awaited}", "{theirs}", "{ours}",
              "{differences}", "{detail}", "{expected}", "{key}", "{trustpoint}"})
          EXPECT_THAT(all, testing::Not(HasSubstr(hole))) << i;
      }
    }
  }
}

// ---- the whole answer

TEST_F(DiagnosisTest, TheAnswerAndTheScreen) {
  ike::FailureBook book;
  book.configure({"gw-b"});
  ike::Event event;
  event.id = EventId::message_rejected;
  event.peer = "gw-b";
  event.remote = Endpoint{ip("192.0.2.2"), 500};
  event.error = Error{ErrorCode::wrong_key, "does not verify", {}, {}, {}};
  event.authenticated = false;
  const WallTime begun(Seconds(1795205464));
  book.note(event, begun);
  event.id = EventId::phase1_no_policy;
  event.error->code = ErrorCode::no_proposal_chosen;
  event.proposals = {{"x", "policy 10 (aes-256 sha256 group14 pre-share)", {{"hash", "md5", "sha256"}}}};
  book.note(event, begun + Seconds(5));
  book.note(event, begun + Seconds(10));
  ike::PeerSnapshot snapshot;
  snapshot.name = "gw-b";
  snapshot.state = ike::PeerState::down;
  ike::TunnelSnapshot tunnel;
  tunnel.name = "lan";
  tunnel.state = ike::TunnelState::down;
  snapshot.tunnels = {tunnel};
  const Now now{Instant(Milliseconds(100000000)), begun + Seconds(60)};
  const ExplainInput input{config, book, now};
  Json json = explain_peer(input, config.peers[0], snapshot);
  EXPECT_EQ(json["state"], "down");
  EXPECT_EQ(json["last_failure"]["reason"], "policy-differs");
  EXPECT_EQ(json["last_failure"]["times"], 2);
  EXPECT_EQ(json["last_failure"]["attributes"][1]["theirs"], "md5");
  EXPECT_EQ(json["earlier"][0]["reason"], "wrong-key");
  std::string screen = cli::explain_screen(json);
  EXPECT_THAT(screen,
              StartsWith("gw-b (192.0.2.2): down\nlast failure at 2026-11-20T20:11:14Z, 2 times since "
                         "2026-11-20T20:11:09Z\n"));
  EXPECT_THAT(screen, HasSubstr("\n  hash            md5        sha256     differs\n"));
  EXPECT_THAT(screen,
              HasSubstr("\n  To mend it here:\n    isakmp_policies: 20: {encryption: aes-256, hash: md5"));
  EXPECT_THAT(screen,
              HasSubstr("\n  Or at the device, IOS:\n    crypto isakmp policy 10\n     hash sha256\n"));
  EXPECT_THAT(screen, HasSubstr("\nBefore that:\n  2026-11-20T20:11:04Z: The pre-shared keys differ"));

  snapshot.tunnels[0].state = ike::TunnelState::up;
  snapshot.tunnels[0].up_since = now.instant - Seconds(30);
  json = explain_peer(input, config.peers[0], snapshot);
  EXPECT_EQ(json["state"], "up");
  screen = cli::explain_screen(json);
  EXPECT_THAT(screen, StartsWith("gw-b (192.0.2.2): up since 2026-11-20T20:11:34Z\nlast failure at "));
  EXPECT_THAT(screen, HasSubstr("\nSince then it is up.\n"));
}

// What has come so far of a negotiation that has not ended: a refusal is not waited out before it is told.
TEST_F(DiagnosisTest, ANegotiationUnderWay) {
  ike::FailureBook book;
  book.configure({"gw-b"});
  const WallTime begun(Seconds(1795205464));
  const ExplainInput input{config, book, Now{Instant(Milliseconds(100000000)), begun + Seconds(60)}};
  ike::PeerSnapshot snapshot;
  snapshot.name = "gw-b";
  snapshot.state = ike::PeerState::connecting;
  snapshot.remote = ip("192.0.2.2");
  ike::TunnelSnapshot tunnel;
  tunnel.name = "lan";
  tunnel.state = ike::TunnelState::connecting;
  snapshot.tunnels = {tunnel};
  Json json = explain_peer(input, config.peers[0], snapshot);
  EXPECT_EQ(json["state"], "connecting");
  EXPECT_TRUE(json["last_failure"].is_null());
  snapshot.last_error = {{ErrorCode::no_proposal_chosen, "the peer refused with x", {}, {}, {}},
                         begun + Seconds(9)};
  json = explain_peer(input, config.peers[0], snapshot);
  EXPECT_EQ(json["last_failure"]["reason"], "policy-refused");
  EXPECT_EQ(json["last_failure"]["at"], "2026-11-20T20:11:13Z");
  EXPECT_THAT(cli::explain_screen(json), StartsWith("gw-b (192.0.2.2): connecting\nlast failure at "));
  // What the book has of it is better; what it has of an earlier one stands behind.
  ike::Event event;
  event.id = EventId::phase1_failed;
  event.peer = "gw-b";
  event.error = Error{ErrorCode::no_answer, "nothing came", {}, {}, {}};
  book.note(event, begun);
  json = explain_peer(input, config.peers[0], snapshot);
  EXPECT_EQ(json["last_failure"]["reason"], "policy-refused");
  EXPECT_EQ(json["earlier"][0]["reason"], "silent");
  event.error->code = ErrorCode::no_proposal_chosen;
  event.error->text = "the peer refused with x, told by the book";
  book.note(event, begun + Seconds(5));
  json = explain_peer(input, config.peers[0], snapshot);
  EXPECT_EQ(json["last_failure"]["error"]["text"], "the peer refused with x, told by the book");
  EXPECT_EQ(json["earlier"].size(), 1U);
}

TEST_F(DiagnosisTest, WithoutFailureItSaysSo) {
  ike::FailureBook book;
  book.configure({"gw-b"});
  const ExplainInput input{config, book, Now{}};
  EXPECT_THAT(cli::explain_screen(explain_peer(input, config.peers[0], {})),
              HasSubstr("No negotiation with it has failed since oakgated started."));
  EXPECT_EQ(cli::explain_screen(explain_strangers(input)), "Nobody unknown has called.\n");
}

}  // namespace
}  // namespace oakgate::explain
