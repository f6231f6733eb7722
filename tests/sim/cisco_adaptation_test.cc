// What old Cisco peers do, a test a habit, named after it: payloads changed on the wire where nothing
// protects them yet, and said in a peer's name where something does (insider.h). Habits whose test needs
// other means:
//
//   RSA signatures over the bare hash                        tests/ike/crypto (PKCS#1 type 1)
//   RSA-encrypted nonces: orders, SKEYID, one key one use    tests/ike/rsa_encryption_test.cc,
//   rsa_encryption_test.cc bad blocks answered alike, in the same time tests/ike/rsa_encryption_test.cc,
//   tests/bench identities and certificates, CERT_REQ, fall-backs        certificates_test.cc,
//   tests/pki/identity_test.cc PKCS#1/PKCS#7 and CRLs as certificate payloads tests/pki/bundle_test.cc,
//   tests/pki/revocation_test.cc old certification authorities without keyUsage tests/pki/path_test.cc
//   transforms of one set, IOS's spellings                   tests/conf/proposals_test.cc
//   AH with SHA2-256 at 28 bytes, AH over ESP, windows > 32  tests/xfrm/netlink/xfrm_state_test.cc
//   the commit bit and CONNECTED                             commit_bit_test.cc
//   XAUTH and mode-config                                    transactions_test.cc
//   dead peers on demand, INVALID-SPI                        dead_peers_test.cc
//   lives in kilobytes, idle SAs                             lifetimes_test.cc
//   the words that operators search for                      tests/daemon/event_text_test.cc
#include <gtest/gtest.h>

#include "ike/base/vendor_ids.h"
#include "ike/crypto/dh.h"
#include "tests/sim/insider.h"
#include "tests/sim/two_gateways.h"

namespace oakgate::sim {
namespace {

using ike::EventId;
using wire::Attribute;
using wire::ExchangeType;
using wire::Payload;

using Edit = std::function<void(std::vector<Payload>&)>;

// What stands in clear changes on its way; `number`: of the negotiation's messages, from 1. Answers whether
// the tunnel comes up all the same.
bool up_with(int number, const Edit& edit, TwoGateways& two) {
  int seen = 0;
  two.net.tap = [&](const Endpoint&, const Endpoint&, Bytes& data) {
    const auto header = wire::parse_header(data);
    if (header->encrypted() || ++seen != number) return true;
    auto body = wire::parse_body(header->next_payload, wire::body_of(*header, data), wire::Padding::none);
    edit(body->payloads);
    data = wire::encode(*header, body->payloads);
    return true;
  };
  two.start();
  return two.up_within(Seconds(8)) && carries(two.a, two.b, 1);
}
bool up_with(int number, const Edit& edit) {
  TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)});
  return up_with(number, edit, two);
}

Edit append(const Payload& payload) {
  return [payload](std::vector<Payload>& payloads) { payloads.push_back(payload); };
}

Bytes last_block(const Bytes& datagram) {
  return {datagram.end() - 16, datagram.end()};
}

// gw-a has phase 1 with gw-b; what is said to either in the other's name is up to the test.
struct Peers {
  Peers() : two(1, {plan(StartMode::responder, StartMode::responder)}), insider(two.net, two.a, two.b) {
    const auto seen = two.net.tap;
    two.net.tap = [this, seen](const Endpoint& from, const Endpoint& to, Bytes& data) {
      sent.push_back(data);
      const auto type = wire::parse_header(data)->exchange;
      if (drop_quick && type == ExchangeType::quick) return false;
      return seen(from, to, data);
    };
  }
  // Phase 1; its Quick Mode gets lost, and is left for the test.
  void phase1() {
    drop_quick = true;
    two.start();
    two.a.command(ike::Up{ike::CommandId{1}, "gw-b", ""});
    two.net.run_for(Milliseconds(500));
    ASSERT_NE(find_event(two.b, EventId::phase1_established), nullptr);
  }
  std::vector<Bytes> tell(Gateway& gateway, const Bytes& datagram) {
    sent.clear();
    const Gateway& other = &gateway == &two.a ? two.b : two.a;
    gateway.receive({gateway.address, 500}, {other.address, 500}, datagram);
    two.net.run_for(Milliseconds(100));
    return sent;
  }
  std::vector<Bytes> notify(Gateway& gateway, const Payload& payload, std::uint32_t id = 99) {
    return tell(gateway, insider.protect(ExchangeType::informational, MessageId{id}, {payload}));
  }
  // Quick Mode's first message of gw-a, taken apart.
  std::vector<Payload> first_offer() {
    for (const Bytes& one : sent) {
      const auto header = wire::parse_header(one);
      if (header->exchange != ExchangeType::quick) continue;
      offer_id = header->message_id;
      offer_block = last_block(one);
      return insider.open(one, insider.first_iv(offer_id));
    }
    return {};
  }
  ike::IkeSaSnapshot ike_sa(Gateway& gateway) {
    return gateway.engine().snapshot(two.net.now().wall).at(0).isakmp_sas.at(0);
  }
  std::vector<ike::SaPairSnapshot> pairs(Gateway& gateway) {
    return gateway.engine().snapshot(two.net.now().wall).at(0).tunnels.at(0).sas;
  }

  TwoGateways two;
  Insider insider;
  std::vector<Bytes> sent;
  bool drop_quick = false;
  MessageId offer_id;
  Bytes offer_block;
};

// From when its inbound SA was there, a moment before message 3.
Seconds life_of(const ike::SaPairSnapshot& sas) {
  return std::chrono::round<Seconds>(sas.expires_at - sas.established_at);
}

wire::IdPayload network(const std::string& address) {
  const Subnet subnet = *Subnet::parse(address);
  wire::IdPayload id{wire::IdType::ipv4_addr_subnet, 0, 0, to_bytes(subnet.address().bytes())};
  const IpAddress mask = subnet.netmask();
  id.data.insert(id.data.end(), mask.bytes().begin(), mask.bytes().end());
  return id;
}

// esp-aes esp-sha-hmac, as IOS offers it.
wire::SaPayload ios_offer(std::uint8_t number, std::vector<Attribute> life) {
  std::vector<Attribute> attributes = std::move(life);
  attributes.push_back(Attribute::short_form(4, 1));
  attributes.push_back(Attribute::short_form(5, 2));
  attributes.push_back(Attribute::short_form(6, 128));
  wire::SaPayload sa;
  sa.proposals = {{number, wire::kProtocolEsp, Bytes{0x11, 0x22, 0x33, 0x44}, {{number, 12, attributes}}}};
  return sa;
}

const std::vector<Attribute> kIosLife{Attribute::short_form(1, 1), Attribute::short_form(2, 3600),
                                      Attribute::short_form(1, 2), Attribute::long_form(2, 4608000)};

// An IOS initiator negotiates phase 2 with gw-b. Message 2's payloads; empty if there was none.
std::vector<Payload> offer_to(Peers& peers, const wire::SaPayload& sa,
                              const std::string& ours = "10.1.0.0/24") {
  const MessageId id{0x77};
  const Bytes nonce(20, 0x31);
  const Bytes first = peers.insider.protect(
      ExchangeType::quick, id, {sa, wire::NoncePayload{nonce}, network(ours), network("10.2.0.0/24")});
  const auto answers = peers.tell(peers.two.b, first);
  if (answers.empty() || wire::parse_header(answers[0])->exchange != ExchangeType::quick) return {};
  auto payloads = peers.insider.open(answers[0], last_block(first));
  Bytes nonce_r;
  for (const Payload& payload : payloads) {
    if (const auto* one = std::get_if<wire::NoncePayload>(&payload)) nonce_r = one->data;
  }
  peers.tell(peers.two.b, peers.insider.quick(id, 3, nonce, nonce_r, {}, last_block(answers[0])));
  return payloads;
}

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

// ---- phase 2

TEST(CiscoPhase2, OneSaPairForEachAccessListEntry) {
  TunnelPlan tunnel = plan(StartMode::on_start, StartMode::responder);
  tunnel.local = {"10.1.0.0/24", "10.3.0.0/24"};
  tunnel.remote = {"10.2.0.0/24", "10.4.0.0/24"};
  TwoGateways two(1, {tunnel});
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  EXPECT_EQ(two.a.plane().size(), 8U);
  EXPECT_TRUE(carries(two.a, two.b, 4));
}

TEST(CiscoPhase2, ProxyIdsMirrorExactly) {
  for (const char* network : {"10.1.0.0/25", "10.1.0.0/16", "10.9.0.0/24"}) {
    Peers peers;
    peers.phase1();
    EXPECT_TRUE(offer_to(peers, ios_offer(1, kIosLife), network).empty()) << network;
    EXPECT_NE(find_event(peers.two.b, EventId::phase2_proxy_ids), nullptr);
  }
}

TEST(CiscoPhase2, DefaultLivesOfIosAndPix) {
  for (const std::uint16_t life : {std::uint16_t{3600}, std::uint16_t{28800}}) {
    Peers peers;
    peers.two.b.config().peers.front().tunnels.front().lifetime.time = Seconds(86400);
    peers.phase1();
    auto offered = kIosLife;
    offered[1] = Attribute::short_form(2, life);
    EXPECT_FALSE(offer_to(peers, ios_offer(1, offered)).empty());
    const auto sas = peers.pairs(peers.two.b);
    ASSERT_EQ(sas.size(), 1U);
    EXPECT_EQ(life_of(sas[0]), Seconds(life));
    EXPECT_EQ(sas[0].kilobytes.value, 4608000U);
  }
}

TEST(CiscoPhase2, AhAndEspAreTwoProposalsOfOneNumberInTunnelMode) {
  Peers peers;
  for (Gateway* gateway : {&peers.two.a, &peers.two.b}) {
    gateway->config().peers.front().tunnels.front().transform_sets = {
        {"pix", EspCipher::aes_128, Integrity::sha, EncapsulationMode::tunnel, Integrity::sha}};
  }
  peers.phase1();
  const auto offer = peers.first_offer();
  ASSERT_GE(offer.size(), 2U);
  const auto& sa = std::get<wire::SaPayload>(offer[1]);
  ASSERT_EQ(sa.proposals.size(), 2U);
  EXPECT_EQ(sa.proposals[0].number, sa.proposals[1].number);
  for (const wire::Proposal& proposal : sa.proposals) {
    const auto& attributes = proposal.transforms.at(0).attributes;
    EXPECT_NE(std::find(attributes.begin(), attributes.end(), Attribute::short_form(4, wire::kModeTunnel)),
              attributes.end());
  }
}

TEST(CiscoPhase2, AResponderMayAnswerWithAnotherProposalNumber) {
  for (const std::uint8_t number : {std::uint8_t{0}, std::uint8_t{1}, std::uint8_t{7}}) {
    Peers peers;
    peers.two.a.config().peers.front().tunnels.front().transform_sets.erase(
        peers.two.a.config().peers.front().tunnels.front().transform_sets.begin());
    peers.phase1();
    const auto offer = peers.first_offer();
    ASSERT_GE(offer.size(), 5U);
    auto sa = std::get<wire::SaPayload>(offer[1]);
    const Bytes nonce_i = std::get<wire::NoncePayload>(offer[2]).data;
    sa.proposals[0].number = number;
    sa.proposals[0].transforms[0].number = number;
    sa.proposals[0].spi = {9, 9, 9, 9};
    peers.tell(peers.two.a, peers.insider.quick(peers.offer_id, 2, nonce_i, {},
                                                {sa, wire::NoncePayload{Bytes(20, 5)}, offer[3], offer[4]},
                                                peers.offer_block));
    EXPECT_TRUE(peers.two.a.tunnels_up()) << static_cast<int>(number);
  }
}

TEST(CiscoPhase2, ProposalNumbersMayStartAt0) {
  Peers peers;
  peers.phase1();
  const auto answer = offer_to(peers, ios_offer(0, kIosLife));
  ASSERT_GE(answer.size(), 2U);
  EXPECT_EQ(std::get<wire::SaPayload>(answer[1]).proposals[0].number, 0);
  EXPECT_TRUE(peers.two.b.tunnels_up());
}

TEST(CiscoPhase2, Sha256MayBeCutAt96Bits) {
  TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)});
  for (Gateway* gateway : {&two.a, &two.b}) {
    gateway->config().peers.front().tunnels.front().transform_sets = {
        {"old", EspCipher::aes_128, Integrity::sha256_96, EncapsulationMode::tunnel}};
  }
  two.start();
  EXPECT_TRUE(two.up_within(Seconds(5)));
  EXPECT_TRUE(carries(two.a, two.b, 1));
}

// ---- informational

// Of an IKE SA, however it is named.
bool deletes_isakmp(std::uint32_t doi, const Bytes& reason, std::string* told) {
  Peers peers;
  peers.phase1();
  const auto& cookies = peers.insider.session().cookies;
  Bytes spi = to_bytes(cookies.initiator);
  spi.insert(spi.end(), cookies.responder.begin(), cookies.responder.end());
  peers.notify(peers.two.b, wire::DeletePayload{doi, wire::kProtocolIsakmp, 16, {spi}, reason});
  if (const auto* event = find_event(peers.two.b, EventId::delete_received);
      event != nullptr && told != nullptr) {
    for (const auto& [name, value] : event->fields) {
      if (name == "reason") *told = value;
    }
  }
  return peers.two.b.engine().snapshot({})[0].isakmp_sas.empty();
}

TEST(CiscoInformational, AnIsakmpSaIsDeletedUnderTheIpsecDoiOrDoi0) {
  EXPECT_TRUE(deletes_isakmp(wire::kDoiIpsec, {}, nullptr)) << "VPN3000";
  EXPECT_TRUE(deletes_isakmp(wire::kDoiIsakmp, {}, nullptr)) << "some clients";
}

TEST(CiscoInformational, ADeleteMayHaveAReason) {
  std::string reason;
  EXPECT_TRUE(deletes_isakmp(wire::kDoiIpsec, to_bytes(as_bytes(std::string_view("Idle timeout"))), &reason));
  EXPECT_EQ(reason, "Idle timeout");
  EXPECT_TRUE(deletes_isakmp(wire::kDoiIpsec, Bytes(5000, 'x'), &reason));
  EXPECT_LE(reason.size(), 128U);
}

TEST(CiscoInformational, ADeleteNamesWhatTheReceiverSendsWith) {
  for (const std::uint32_t doi : {wire::kDoiIpsec, wire::kDoiIsakmp}) {
    Peers peers;
    peers.phase1();
    ASSERT_FALSE(offer_to(peers, ios_offer(1, kIosLife)).empty());
    ASSERT_EQ(peers.pairs(peers.two.b).size(), 1U);
    const auto in = peers.pairs(peers.two.b)[0].in.spi.value;
    ByteWriter inbound;
    inbound.u32(in);
    peers.notify(peers.two.b,
                 wire::DeletePayload{doi, wire::kProtocolEsp, 4, {std::move(inbound).take()}, {}}, 201);
    EXPECT_EQ(peers.pairs(peers.two.b).size(), 1U) << "our own inbound SPI is not the peer's to delete";
    peers.notify(peers.two.b, wire::DeletePayload{doi, wire::kProtocolEsp, 4, {{0x11, 0x22, 0x33, 0x44}}, {}},
                 202);
    EXPECT_TRUE(peers.pairs(peers.two.b).empty());
  }
}

TEST(CiscoInformational, DpdIs36136And36137) {
  Peers peers;
  peers.phase1();
  const auto& cookies = peers.insider.session().cookies;
  Bytes spi = to_bytes(cookies.initiator);
  spi.insert(spi.end(), cookies.responder.begin(), cookies.responder.end());
  for (const std::uint32_t doi : {wire::kDoiIpsec, wire::kDoiIsakmp}) {
    const auto answers = peers.notify(
        peers.two.b, wire::NotifyPayload{doi, 1, static_cast<NotifyType>(36136), spi, Bytes{1, 2, 3, 4}},
        300 + doi);
    ASSERT_FALSE(answers.empty());
    const auto header = wire::parse_header(answers[0]);
    const auto payloads = peers.insider.open(answers[0], peers.insider.first_iv(header->message_id));
    ASSERT_EQ(payloads.size(), 2U);
    const auto& ack = std::get<wire::NotifyPayload>(payloads[1]);
    EXPECT_EQ(static_cast<int>(ack.type), 36137);
    EXPECT_EQ(ack.data, (Bytes{1, 2, 3, 4}));
  }
}

TEST(CiscoInformational, InvalidSpiInClearChangesNothing) {
  TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)});
  two.start();
  ASSERT_TRUE(two.up_within(Seconds(5)));
  const auto sa = two.a.engine().snapshot({})[0];
  ByteWriter spi;
  spi.u32(sa.tunnels[0].sas[0].out.spi.value);
  wire::Header header;
  header.cookies = sa.isakmp_sas[0].cookies;
  header.exchange = ExchangeType::informational;
  header.message_id = MessageId{5};
  const std::vector<Payload> payloads{
      wire::NotifyPayload{1, 3, NotifyType::invalid_spi, std::move(spi).take(), {}}};
  for (int i = 0; i < 50; ++i)
    two.a.receive({two.a.address, 500}, {two.b.address, 500}, wire::encode(header, payloads));
  EXPECT_LE(count_events(two.a, EventId::peer_silent), 1U);
  EXPECT_TRUE(carries(two.a, two.b, 1));
  EXPECT_EQ(find_event(two.a, EventId::phase2_deleted), nullptr);
}

// ---- transport

TEST(CiscoTransport, NatDetectionThatWasNotAgreedOnIsIgnored) {
  for (const int message : {3, 4}) {
    EXPECT_TRUE(
        up_with(message, append(wire::UnknownPayload{static_cast<wire::PayloadType>(15), Bytes(20, 1)})));
    EXPECT_TRUE(
        up_with(message, append(wire::NatDetectionPayload{wire::PayloadType::nat_d_draft, Bytes(20, 1)})));
  }
}

TEST(CiscoTransport, SixteenZeroBytesBehindTheMessageDoNotCount) {
  TwoGateways two(1, {plan(StartMode::on_start, StartMode::on_start)});
  two.net.tap = [](const Endpoint&, const Endpoint&, Bytes& data) {
    data.resize(data.size() + 16);
    return true;
  };
  two.start();
  EXPECT_TRUE(two.up_within(Seconds(5)));
}

TEST(CiscoTransport, ARepetitionGetsTheStoredReplyAndAFailedCheckDoesNotAdvanceTheIv) {
  TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)});
  std::map<Bytes, std::vector<Bytes>> answers;
  Bytes asked;
  two.net.tap = [&](const Endpoint& from, const Endpoint& to, Bytes& data) {
    if (from.address == two.b.address) {
      answers[asked].push_back(data);
      return true;
    }
    asked = data;
    // A forgery before each, then the message itself, twice.
    if (wire::parse_header(data)->encrypted()) {
      Bytes forged = data;
      forged[wire::kHeaderBytes + 3] ^= 0x10;
      two.b.receive(to, from, forged);
    }
    two.b.receive(to, from, data);
    return true;
  };
  two.start();
  EXPECT_TRUE(two.up_within(Seconds(5)));
  EXPECT_EQ(count_events(two.b, EventId::phase1_established), 1U);
  EXPECT_EQ(count_events(two.b, EventId::phase2_established), 1U);
}

// ---- traps

TEST(CiscoTraps, EllipticPointsGoWithoutTheirFirstByteAndTheSecretIsX) {
  for (const auto& [group, bytes] : {std::pair{DhGroup::ecp256, 32U}, std::pair{DhGroup::ecp384, 48U}}) {
    auto ours = crypto::dh_generate(group);
    auto theirs = crypto::dh_generate(group);
    ASSERT_TRUE(ours && theirs);
    EXPECT_EQ(ours->public_value.size(), 2 * bytes);
    const auto one = crypto::dh_shared(*ours, theirs->public_value);
    const auto other = crypto::dh_shared(*theirs, ours->public_value);
    ASSERT_TRUE(one && other);
    EXPECT_EQ(one->view().size(), bytes);
    EXPECT_TRUE(equal_constant_time(one->view(), other->view()));
  }
}

TEST(CiscoTraps, TheMostSpecificAddressChoosesThePeer) {
  TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)});
  ike::PeerConfig anybody = two.b.config().peers.front();
  anybody.name = "anybody";
  anybody.called_from = {*Subnet::parse("192.0.2.0/24")};
  anybody.tunnels.clear();
  two.b.config().peers.insert(two.b.config().peers.begin(), anybody);
  two.b.pre_shared_keys["anybody"] = "another key";
  two.start();
  two.net.run_for(Seconds(5));
  EXPECT_TRUE(two.a.tunnels_up());
  EXPECT_EQ(find_event(two.b, EventId::phase1_established)->peer, "gw-a");
}

TEST(CiscoTraps, OneFurtherMessageIsHeldWhileAComputationLasts) {
  TwoGateways two(1, {plan(StartMode::on_start, StartMode::responder)});
  two.net.faults.job_delay = Milliseconds(400);
  two.net.faults.latency = Milliseconds(1);
  two.start();
  EXPECT_TRUE(two.up_within(Seconds(20)));
  EXPECT_LE(count_events(two.b, EventId::message_held), 3U);
}

}  // namespace
}  // namespace oakgate::sim
