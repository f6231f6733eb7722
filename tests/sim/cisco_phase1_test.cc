// What old Cisco peers do in phase 1, a test a habit, named after it: cisco_phase2_test.cc has the rest.
// Habits whose test needs other means:
//
// - RSA signatures over the bare hash: tests/ike/crypto (PKCS#1 type 1)
// - RSA-encrypted nonces, their orders, SKEYID, one key one use, bad blocks answered alike, in the same time:
//   rsa_encryption_test.cc here and in tests/ike, tests/bench
// - identities and certificates, CERT_REQ, fall-backs: certificates_test.cc, tests/pki/identity_test.cc
// - PKCS#1/PKCS#7 and CRLs as certificate payloads: tests/pki/bundle_test.cc, tests/pki/revocation_test.cc
// - old certification authorities without keyUsage: tests/pki/path_test.cc
// - transforms of one set, IOS's spellings: tests/conf/proposals_test.cc
// - AH with SHA2-256 at 28 bytes, AH over ESP, windows > 32: tests/xfrm/netlink/xfrm_state_test.cc
// - the commit bit and CONNECTED: commit_bit_test.cc
// - XAUTH and mode-config: transactions_test.cc
// - dead peers on demand, INVALID-SPI: dead_peers_test.cc
// - lives in kilobytes, idle SAs: lifetimes_test.cc
// - the words that operators search for: tests/daemon/event_text_test.cc
#include <gtest/gtest.h>

#include "ike/base/vendor_ids.h"
#include "tests/sim/cisco_peers.h"

namespace oakgate::sim {
namespace {

// ---- vendor IDs

TEST(CiscoVendorIds, UnityIsKnownByItsFirst14Bytes) {
  Bytes unity = *from_hex("12f5f28c457168a9702d9fe274cc0100");
  unity[14] = 0x02;
  unity[15] = 0x07;
  EXPECT_EQ(find_vendor_id(unity), VendorId::unity);
  unity[13] ^= 1;
  EXPECT_EQ(find_vendor_id(unity), std::nullopt);
}

TEST(CiscoVendorIds, DpdIsSpokenWithWhoSendsItsVendorId) {
  EXPECT_EQ(find_vendor_id(*from_hex("afcad71368a1f1c96b8696fc77570100")), VendorId::dpd);
}

TEST(CiscoVendorIds, XauthAloneBeginsNothing) {
  EXPECT_TRUE(up_with(2, append(wire::VendorIdPayload{*from_hex("09002689dfd6b712")})));
}

TEST(CiscoVendorIds, Vpn3000HasItsVersionBehind14Bytes) {
  EXPECT_EQ(find_vendor_id(*from_hex("1f07f70eaa6514d3b0fa96542a500407")), VendorId::vpn3000);
}

TEST(CiscoVendorIds, UnknownOnesThatDifferInEachExchangeAreIgnored) {
  SeededRng dice(7);
  for (const int message : {1, 2, 3, 4}) {
    Bytes unknown(16);
    dice.fill(unknown);
    EXPECT_TRUE(up_with(message, append(wire::VendorIdPayload{unknown}))) << message;
    EXPECT_TRUE(up_with(message, append(wire::VendorIdPayload{}))) << message;
  }
}

TEST(CiscoVendorIds, PixSendsUpToThree) {
  EXPECT_TRUE(up_with(1, [](std::vector<Payload>& payloads) {
    for (const char* hex :
         {"12f5f28c457168a9702d9fe274cc0100", "09002689dfd6b712", "1f07f70eaa6514d3b0fa96542a500407"})
      payloads.emplace_back(wire::VendorIdPayload{*from_hex(hex)});
  }));
}

// ---- phase 1

TEST(CiscoPhase1, TheDefaultPolicyIsDesShaRsaSigGroup1) {
  TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)});
  use_certificates(two.a, two.b);
  for (Gateway* gateway : {&two.a, &two.b}) {
    gateway->config().peers.front().policies = {
        {65535, IkeCipher::des, IkeHash::sha, DhGroup::modp768, AuthMethod::rsa_sig, Seconds(86400)}};
  }
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  EXPECT_EQ(two.b.engine().snapshot({})[0].isakmp_sas[0].policy->encryption, IkeCipher::des);
}

TEST(CiscoPhase1, PoliciesAreTriedInOrderOfPriority) {
  TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)});
  // The responder's own: "its own highest priority policy" comes first.
  std::swap(two.b.config().peers.front().policies[0], two.b.config().peers.front().policies[1]);
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  EXPECT_EQ(two.b.engine().snapshot({})[0].isakmp_sas[0].policy->encryption, IkeCipher::aes_128);
}

// The initiator's ID payload, whatever protocol and port it is for.
std::size_t told_odd(std::uint8_t protocol, std::uint16_t port, bool& up) {
  TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)});
  Insider insider(two.net, two.a, two.b);
  const auto seen = two.net.tap;
  two.net.tap = [&](const Endpoint& from, const Endpoint& to, Bytes& data) {
    const auto header = *wire::parse_header(data);
    if (header.encrypted() && header.message_id == MessageId{} && from.address == two.a.address &&
        header.exchange == ExchangeType::identity_protection) {
      const Bytes iv = insider.session().block;
      auto payloads = insider.open(data, iv);
      auto& id = std::get<wire::IdPayload>(payloads[0]);
      id.protocol = protocol;
      id.port = port;
      std::get<wire::HashPayload>(payloads[1]).data = insider.proof_of_initiator(id);
      data = insider.seal(header.exchange, {}, wire::PayloadType::identification, wire::encode_body(payloads),
                          iv);
    }
    return seen(from, to, data);
  };
  two.start();
  // gw-a made another last block than the one that came, so only phase 1 of gw-b counts.
  two.net.run_for(Milliseconds(500));
  up = find_event(two.b, EventId::phase1_established) != nullptr;
  return count_events(two.b, EventId::odd_identity);
}

TEST(CiscoPhase1, TheIdIsForUdp500OrForNothingAndVpn3000Deviates) {
  bool up = false;
  EXPECT_EQ(told_odd(17, 500, up), 0U);
  EXPECT_TRUE(up);
  EXPECT_EQ(told_odd(0, 0, up), 0U);
  EXPECT_TRUE(up);
  for (const auto& [protocol, port] :
       {std::pair{17, 0}, std::pair{17, 4500}, std::pair{0, 500}, std::pair{6, 10000}}) {
    EXPECT_EQ(told_odd(static_cast<std::uint8_t>(protocol), static_cast<std::uint16_t>(port), up), 1U);
    EXPECT_TRUE(up) << protocol << "/" << port;
  }
}

TEST(CiscoPhase1, AHostNameWithAPreSharedKeyComesInAggressiveMode) {
  TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)});
  const Identity name{IdentityKind::fqdn, {}, "pix.example.net"};
  for (Gateway* gateway : {&two.a, &two.b}) gateway->config().peers.front().aggressive = true;
  two.a.config().peers.front().local_identity = name;
  two.b.config().peers.front().remote_identity = name;
  two.start();
  EXPECT_TRUE(two.up_within(Seconds(5)));
  EXPECT_EQ(two.b.engine().snapshot({})[0].isakmp_sas[0].remote_identity, "hostname:pix.example.net");
}

TEST(CiscoPhase1, ACertificateIsAskedForByTheNameOfItsAuthority) {
  TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)});
  use_certificates(two.a, two.b);
  std::size_t requests = 0;
  two.net.tap = [&](const Endpoint&, const Endpoint&, Bytes& data) {
    const auto header = wire::parse_header(data);
    if (header->encrypted()) return true;
    const auto body =
        wire::parse_body(header->next_payload, wire::body_of(*header, data), wire::Padding::none);
    for (const Payload& payload : body->payloads) {
      const auto* request = std::get_if<wire::CertificateRequestPayload>(&payload);
      requests += request != nullptr && request->encoding == 4 && !request->authority.empty() ? 1 : 0;
    }
    return true;
  };
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  EXPECT_GE(requests, 2U) << "one of each side";
}

TEST(CiscoPhase1, ALifeMayHaveTwoBytesOrFour) {
  for (const bool basic : {true, false}) {
    Peers peers;
    peers.phase1();
    const Attribute seconds = basic ? Attribute::short_form(2, 600) : Attribute::long_form(2, 600);
    EXPECT_FALSE(offer_to(peers, ios_offer(1, {Attribute::short_form(1, 1), seconds})).empty());
    const auto sas = peers.pairs(peers.two.b);
    ASSERT_EQ(sas.size(), 1U);
    EXPECT_EQ(life_of(sas[0]), Seconds(600));
  }
}

TEST(CiscoPhase1, TheSmallerLifeWins) {
  for (const Seconds theirs : {Seconds(1200), Seconds(999999)}) {
    TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)}, Seconds(7200));
    for (IsakmpPolicy& policy : two.b.config().peers.front().policies) policy.lifetime = theirs;
    two.start();
    ASSERT_TRUE(two.up_within(Seconds(5)));
    two.net.run_for(Seconds(1));
    const auto sa = two.a.engine().snapshot({})[0].isakmp_sas[0];
    EXPECT_EQ(*sa.expires_at - *sa.established_at, std::min(theirs, Seconds(7200)));
  }
}

TEST(CiscoPhase1, AResponderTellsItsShorterLifeRightAfterMainMode) {
  Peers peers;
  peers.phase1();
  const std::vector<Attribute> life{Attribute::short_form(1, 1), Attribute::long_form(2, 900)};
  const auto& cookies = peers.insider.session().cookies;
  Bytes spi = to_bytes(cookies.initiator);
  spi.insert(spi.end(), cookies.responder.begin(), cookies.responder.end());
  peers.notify(peers.two.a,
               wire::NotifyPayload{1, 1, NotifyType::responder_lifetime, spi, wire::encode_attributes(life)});
  const auto sa = peers.ike_sa(peers.two.a);
  EXPECT_EQ(*sa.expires_at - *sa.established_at, Seconds(900));
}

TEST(CiscoPhase1, WithoutInitialContactSomeKeepStaleSas) {
  Peers peers;
  peers.phase1();
  EXPECT_NE(find_event(peers.two.b, EventId::initial_contact), nullptr) << "gw-a says it at first contact";
}

}  // namespace
}  // namespace oakgate::sim
