// What old Cisco peers do in phase 2, by Informational exchanges and on the way, a test a habit: see
// cisco_phase1_test.cc.
#include <gtest/gtest.h>

#include "ike/crypto/dh.h"
#include "tests/sim/cisco_peers.h"

namespace oakgate::sim {
namespace {

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
