// The engine, packet by packet. What becomes of SAs and policies: engine_sas_test.cc.
#include "two_engines.h"
#include "xfrm/soft/checksum.h"

namespace oakgate::soft {
namespace {

TEST_F(EspEngineTest, CarriesAPacketUnchanged) {
  up();
  const Bytes packet = make_packet({.payload = 100, .traffic_class = 0x2a});
  EngineOutput& out = send(packet);
  ASSERT_EQ(out.sealed.size(), 1U);
  EXPECT_EQ(out.sealed[0].traffic_class, 0x2a) << "DSCP and ECN are copied";
  EXPECT_EQ(out.sealed[0].path.destination, b_.own);
  EXPECT_FALSE(out.sealed[0].dont_fragment);
  const Bytes esp = to_bytes(out.sealed[0].bytes);
  EXPECT_EQ(read_esp_header(esp)->sequence, 1U) << "RFC 4303 section 2.2";
  ASSERT_EQ(receive(esp, 0x2a).opened.size(), 1U);
  EXPECT_EQ(to_bytes(b_.out.opened[0]), packet);
  for (const EspEngine* engine : {&a_.engine, &b_.engine}) {
    EXPECT_EQ(counters(*engine).packets, 1U);
    EXPECT_EQ(counters(*engine).bytes, packet.size());
  }
}

TEST_F(EspEngineTest, Ipv6InIpv4) {
  pair_ = {{*Subnet::parse("2001:db8:1::/64"), 0, 0}, {*Subnet::parse("2001:db8:2::/64"), 0, 0}};
  up();
  const Bytes packet = make_packet({.source = "2001:db8:1::5", .destination = "2001:db8:2::9"});
  EngineOutput& out = send(packet);
  ASSERT_EQ(out.sealed.size(), 1U);
  EXPECT_TRUE(out.sealed[0].dont_fragment);
  ASSERT_EQ(receive(to_bytes(out.sealed[0].bytes)).opened.size(), 1U);
  EXPECT_EQ(to_bytes(b_.out.opened[0]), packet);
}

TEST_F(EspEngineTest, TheNewestSaCarriesAndTheOlderAfterIt) {
  up();
  ASSERT_TRUE(install(a_.engine, spec(Direction::out, 0x2000)));
  EXPECT_EQ(read_esp_header(sealed({}))->spi.value, 0x2000U);
  const SaId newest{b_.own, IpsecProtocol::esp, Spi{0x2000}};
  a_.engine.remove({&newest, 1});
  EXPECT_EQ(read_esp_header(sealed({}))->spi.value, 0x1000U);
}

TEST_F(EspEngineTest, DropsWhatNoPolicyCoversAndSaysSo) {
  up();
  EngineOutput& out = send(make_packet({.source = "10.9.0.5"}));
  EXPECT_TRUE(out.sealed.empty());
  ASSERT_EQ(out.icmp.size(), 1U);
  EXPECT_EQ(out.icmp[0].bytes[1], 13) << "administratively prohibited";
  EXPECT_EQ(a_.engine.drops().no_policy, 1U);
}

TEST_F(EspEngineTest, LaterFragmentsMeetNoSelectorWithPorts) {
  pair_.local.protocol = pair_.remote.protocol = 17;
  pair_.remote.port = 2000;
  up();
  EXPECT_EQ(send(make_packet({.flags = 0x2000})).sealed.size(), 1U) << "the first shows its ports";
  EXPECT_TRUE(send(make_packet({.flags = 0x0010})).sealed.empty());
  // Inbound: a peer that sends one is refused.
  EXPECT_TRUE(receive(forge(make_packet({.flags = 0x0010}), 9, 4)).opened.empty());
  EXPECT_EQ(counters(b_.engine).selector_mismatch, 1U);
}

TEST_F(EspEngineTest, AcquiresOncePerSecondAndKeepsTheFirstPackets) {
  ASSERT_TRUE(a_.engine.protect(policy(true)));
  std::size_t acquires = 0;
  for (int i = 0; i < 40; ++i) {
    acquires += send(make_packet({.source_port = static_cast<std::uint16_t>(i)})).acquires.size();
    EXPECT_TRUE(a_.out.sealed.empty());
    EXPECT_TRUE(a_.out.icmp.empty());
  }
  EXPECT_EQ(acquires, 1U);
  now_ += Milliseconds(999);
  EXPECT_TRUE(send(make_packet({})).acquires.empty());
  now_ += Milliseconds(1);
  EXPECT_EQ(send(make_packet({})).acquires.size(), 1U);

  ASSERT_TRUE(install(a_.engine, spec(Direction::out)));
  ASSERT_TRUE(a_.engine.take_waiting(a_.batch, now_));
  a_.out.clear();
  a_.engine.outbound(a_.batch, now_, a_.out);
  ASSERT_EQ(a_.out.sealed.size(), EspEngine::kWaitingPackets);
  ASSERT_TRUE(install(b_.engine, spec(Direction::in)));
  for (std::size_t i = 0; i < a_.out.sealed.size(); ++i) {
    ASSERT_EQ(receive(to_bytes(a_.out.sealed[i].bytes)).opened.size(), 1U);
    EXPECT_EQ(parse_inner_packet(b_.out.opened[0])->ports->source, i) << "in order";
  }
  EXPECT_FALSE(a_.engine.take_waiting(a_.batch, now_));
}

TEST_F(EspEngineTest, WhatWaitedTooLongIsForgotten) {
  ASSERT_TRUE(a_.engine.protect(policy(true)));
  send(make_packet({}));
  now_ += EspEngine::kWaitingTime + Milliseconds(1);
  ASSERT_TRUE(install(a_.engine, spec(Direction::out)));
  EXPECT_FALSE(a_.engine.take_waiting(a_.batch, now_));
}

TEST_F(EspEngineTest, WithoutAcquireItIsProhibited) {
  ASSERT_TRUE(a_.engine.protect(policy(false)));
  EXPECT_TRUE(send(make_packet({})).acquires.empty());
  ASSERT_EQ(a_.out.icmp.size(), 1U);
  EXPECT_EQ(a_.out.icmp[0].bytes[1], 13);
}

TEST_F(EspEngineTest, IcmpIsRateLimited) {
  ASSERT_TRUE(a_.engine.protect(policy(false)));
  std::size_t errors = 0;
  for (int i = 0; i < 1000; ++i) errors += send(make_packet({})).icmp.size();
  EXPECT_EQ(errors, 50U);
}

TEST_F(EspEngineTest, TooBigIsToldFromThePathMtu) {
  up();
  // AES-128-CBC with SHA-256: 1500 - 20 - 8 - 16 - 16 leaves 1440, aligned to 16, less 2.
  const std::size_t largest = 1440 - 2;
  EngineOutput& fits = send(make_packet({.payload = largest - 20, .flags = 0x4000}));
  ASSERT_EQ(fits.sealed.size(), 1U);
  EXPECT_EQ(fits.sealed[0].bytes.size() + 20, 1500U);
  EXPECT_TRUE(fits.sealed[0].dont_fragment);
  EngineOutput& big = send(make_packet({.payload = largest - 19, .flags = 0x4000}));
  EXPECT_TRUE(big.sealed.empty());
  ASSERT_EQ(big.icmp.size(), 1U);
  EXPECT_EQ(to_hex(ByteView(big.icmp[0].bytes).first(2)), "0304");
  EXPECT_EQ(big.icmp[0].bytes[6] << 8 | big.icmp[0].bytes[7], static_cast<int>(largest));
  EXPECT_EQ(a_.engine.drops().too_big, 1U);
  // Without DF it is sealed whole, and the outer packet may be fragmented.
  EngineOutput& whole = send(make_packet({.payload = 1480}));
  ASSERT_EQ(whole.sealed.size(), 1U);
  EXPECT_FALSE(whole.sealed[0].dont_fragment);
}

TEST_F(EspEngineTest, ThePathMtuIsAskedAgainAfterASecond) {
  up();
  EXPECT_EQ(send(make_packet({.payload = 1300, .flags = 0x4000})).sealed.size(), 1U);
  mtu_ = 1280;
  EXPECT_EQ(send(make_packet({.payload = 1300, .flags = 0x4000})).sealed.size(), 1U);
  now_ += EspEngine::kPathMtuEvery;
  EXPECT_EQ(send(make_packet({.payload = 1300, .flags = 0x4000})).icmp.size(), 1U);
  mtu_ = 0;  // nothing known
  now_ += EspEngine::kPathMtuEvery;
  EXPECT_EQ(send(make_packet({.payload = 9000, .flags = 0x4000})).sealed.size(), 1U);
}

TEST_F(EspEngineTest, Ipv6IsNeverToldLessThan1280) {
  pair_ = {{*Subnet::parse("2001:db8:1::/64"), 0, 0}, {*Subnet::parse("2001:db8:2::/64"), 0, 0}};
  mtu_ = 1200;
  up();
  const PacketSpec spec{.source = "2001:db8:1::5", .destination = "2001:db8:2::9", .payload = 1240};
  EngineOutput& out = send(make_packet(spec));
  ASSERT_EQ(out.sealed.size(), 1U) << "1280 bytes always go";
  EXPECT_FALSE(out.sealed[0].dont_fragment);
  EXPECT_EQ(send(make_packet({spec.source, spec.destination, 17, 1, 2, 1241})).icmp.size(), 1U);
}

TEST_F(EspEngineTest, ReplayedAndForgedPacketsAreCountedAndMoveNothing) {
  up();
  const Bytes first = sealed({});
  const Bytes second = sealed({});
  EXPECT_EQ(receive(first).opened.size(), 1U);
  EXPECT_TRUE(receive(first).opened.empty());
  EXPECT_EQ(counters(b_.engine).replayed, 1U);
  Bytes far = second;
  far[4] = 0xff;  // a huge sequence number, not authentic
  EXPECT_TRUE(receive(far).opened.empty());
  EXPECT_EQ(counters(b_.engine).not_authentic, 1U);
  EXPECT_EQ(receive(second).opened.size(), 1U) << "the window did not move";
}

TEST_F(EspEngineTest, EachFlippedBitIsRefusedAndMovesNothing) {
  up();
  const Bytes esp = sealed({});
  for (std::size_t bit = 0; bit < esp.size() * 8; ++bit) {
    Bytes flipped = esp;
    flipped[bit / 8] = static_cast<std::uint8_t>(flipped[bit / 8] ^ (1U << (bit % 8)));
    ASSERT_TRUE(receive(flipped).opened.empty()) << bit;
  }
  EXPECT_EQ(receive(esp).opened.size(), 1U);
  EXPECT_EQ(counters(b_.engine).packets, 1U);
}

TEST_F(EspEngineTest, AWindowOf32) {
  ASSERT_TRUE(a_.engine.protect(policy()));
  ASSERT_TRUE(install(a_.engine, spec(Direction::out)));
  SaSpec inbound = spec(Direction::in);
  inbound.replay_window = 32;
  ASSERT_TRUE(install(b_.engine, std::move(inbound)));
  std::vector<Bytes> packets;
  for (int i = 0; i < 40; ++i) packets.push_back(sealed({}));
  EXPECT_EQ(receive(packets[39]).opened.size(), 1U);
  EXPECT_TRUE(receive(packets[7]).opened.empty());
  EXPECT_EQ(receive(packets[8]).opened.size(), 1U);
}

TEST_F(EspEngineTest, AuthenticGarbageIsDroppedAndTheWindowMoves) {
  up();
  const Bytes packet = make_packet({});
  EXPECT_TRUE(receive(forge(packet, 1, kProtocolIpv6)).opened.empty()) << "the next header lies";
  EXPECT_TRUE(receive(forge(packet, 2, 17)).opened.empty()) << "transport mode";
  EXPECT_TRUE(receive(forge({}, 3, kProtocolIpv4)).opened.empty());
  EXPECT_TRUE(receive(forge(Bytes(19, 0x45), 4, kProtocolIpv4)).opened.empty());
  EXPECT_EQ(b_.engine.drops().malformed, 4U);
  EXPECT_TRUE(receive(forge(Bytes(40), 5, kProtocolNone)).opened.empty()) << "a dummy packet";
  EXPECT_EQ(b_.engine.drops().malformed, 4U);
  EXPECT_EQ(counters(b_.engine).packets, 0U);
  EXPECT_TRUE(receive(forge(packet, 5, kProtocolIpv4)).opened.empty());
  EXPECT_EQ(counters(b_.engine).replayed, 1U);
}

TEST_F(EspEngineTest, TrafficFlowPaddingIsTakenOff) {
  up();
  const Bytes packet = make_packet({});
  Bytes padded = packet;
  padded.resize(padded.size() + 200);  // RFC 4303 section 2.7
  ASSERT_EQ(receive(forge(padded, 1, kProtocolIpv4)).opened.size(), 1U);
  EXPECT_EQ(to_bytes(b_.out.opened[0]), packet);
  EXPECT_EQ(counters(b_.engine).bytes, packet.size());
}

TEST_F(EspEngineTest, TheInnerPacketMustLieInTheSelectors) {
  up();
  for (const PacketSpec& outside :
       {PacketSpec{.source = "10.3.0.5"}, PacketSpec{.destination = "10.1.0.5"}}) {
    static std::uint32_t sequence = 0;
    EXPECT_TRUE(receive(forge(make_packet(outside), ++sequence, kProtocolIpv4)).opened.empty());
    EXPECT_EQ(counters(b_.engine).selector_mismatch, sequence);
  }
}

TEST_F(EspEngineTest, EcnIsCombined) {
  up();
  ASSERT_EQ(receive(sealed({.traffic_class = 0x02}), 0x03).opened.size(), 1U);
  EXPECT_EQ(parse_inner_packet(b_.out.opened[0])->traffic_class, 0x03)
      << "congestion on the outside is told inside";
  EXPECT_EQ(internet_checksum(b_.out.opened[0].first(20)), 0);
  EXPECT_TRUE(receive(sealed({.traffic_class = 0x00}), 0x03).opened.empty());
  EXPECT_EQ(b_.engine.drops().congestion, 1U);
}

TEST_F(EspEngineTest, EncapsulationMustBeWhatWasNegotiated) {
  up();
  EXPECT_TRUE(receive(sealed({}), 0, true).opened.empty());
  EXPECT_EQ(b_.engine.drops().encapsulation, 1U);
  EXPECT_EQ(counters(b_.engine).not_authentic + counters(b_.engine).replayed, 0U);
}

// RFC 3948 section 4: only a packet that proves authentic tells of a changed translation.
TEST_F(EspEngineTest, AnAuthenticPacketFromElsewhereIsTold) {
  ASSERT_TRUE(a_.engine.protect(policy()));
  SaSpec in = spec(Direction::in);
  const Endpoint before{in.source, 4500};
  in.encapsulation = UdpEncapsulation{4500, 4500};
  ASSERT_TRUE(install(a_.engine, spec(Direction::out)));
  ASSERT_TRUE(install(b_.engine, std::move(in)));
  from_ = before;
  EXPECT_EQ(receive(sealed({}), 0, true).opened.size(), 1U);
  EXPECT_TRUE(b_.out.moved.empty());
  from_.port = 4711;
  const Bytes esp = sealed({});
  Bytes forged = esp;
  forged.back() ^= 1;
  EXPECT_TRUE(receive(forged, 0, true).moved.empty());
  ASSERT_EQ(receive(esp, 0, true).moved.size(), 1U);
  EXPECT_EQ(b_.out.moved[0].remote, from_);
  EXPECT_EQ(b_.out.opened.size(), 1U) << "and it is carried";
  EXPECT_TRUE(receive(esp, 0, true).moved.empty()) << "a replay tells nothing";
}

TEST_F(EspEngineTest, UnknownSpisAreDropped) {
  up();
  Bytes esp = sealed({});
  esp[3] = 0x01;
  EXPECT_TRUE(receive(esp).opened.empty());
  EXPECT_EQ(b_.engine.drops().invalid_spi, 1U);
  ASSERT_EQ(b_.out.unknown_spis.size(), 1U);
  EXPECT_EQ(b_.out.unknown_spis[0].id.destination, b_.own);
  EXPECT_EQ(b_.out.unknown_spis[0].id.spi.value & 0xffU, 1U);
  EXPECT_TRUE(receive({1, 2, 3}).opened.empty());
  EXPECT_EQ(b_.engine.drops().malformed, 1U);
}

}  // namespace
}  // namespace oakgate::soft
