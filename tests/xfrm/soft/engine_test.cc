// The engine, packet by packet: two of them face each other, no sockets, no TUN, a clock of the test's own.
#include <gtest/gtest.h>

#include <random>

#include "packets.h"
#include "xfrm/soft/checksum.h"
#include "xfrm/soft/esp_engine.h"

namespace oakgate::soft {
namespace {

using test::address;
using test::make_packet;
using test::PacketSpec;

constexpr Reqid kReqid{kReqidBase + 1};

class EspEngineTest : public testing::Test {
 protected:
  struct Side {
    Side(std::string_view own_text, std::string_view peer_text, std::size_t& mtu)
        : own(address(own_text)),
          peer(address(peer_text)),
          engine({[&mtu](const OuterPath&) { return mtu; },
                  [this](std::span<std::uint8_t> iv) {
                    for (std::uint8_t& byte : iv) byte = static_cast<std::uint8_t>(random());
                    return true;
                  }}) {}
    IpAddress own;
    IpAddress peer;
    std::mt19937 random{3};
    EspEngine engine;
    PacketBatch batch;
    EngineOutput out;
  };

  EspEngineTest() {
    // `local` is the own side of each.
    pair_ = {{*Subnet::parse("10.1.0.0/24"), 0, 0}, {*Subnet::parse("10.2.0.0/24"), 0, 0}};
  }
  static SelectorPair turned(const SelectorPair& pair) { return {pair.remote, pair.local}; }

  ProtectPolicy policy(bool acquire = false) const {
    return {kReqid, pair_, a_.own, b_.own, EncapsulationMode::tunnel, acquire};
  }
  // The SA from a to b, as `direction` sees it.
  SaSpec spec(Direction direction, std::uint32_t spi = 0x1000) const {
    SaSpec out;
    out.direction = direction;
    out.id = {b_.own, IpsecProtocol::esp, Spi{spi}};
    out.source = a_.own;
    out.reqid = kReqid;
    out.selectors = direction == Direction::out ? pair_ : turned(pair_);
    out.cipher = EspCipher::aes_128;
    out.integrity = Integrity::sha256;
    out.encryption_key = SecretBytes(Bytes(16, 0x11));
    out.integrity_key = SecretBytes(Bytes(32, 0x22));
    return out;
  }
  static Result<void> install(EspEngine& engine, SaSpec sa, Instant now = {}) {
    return engine.install({&sa, 1}, now);
  }
  void up() {
    ASSERT_TRUE(a_.engine.protect(policy()));
    ASSERT_TRUE(install(a_.engine, spec(Direction::out)));
    ASSERT_TRUE(install(b_.engine, spec(Direction::in)));
  }
  // Gives one packet to a's engine; its output is in a_.out.
  EngineOutput& send(const Bytes& packet) {
    a_.out.clear();
    a_.batch.clear();
    std::copy(packet.begin(), packet.end(), a_.batch.next_room().begin());
    a_.batch.add(a_.batch.next_room().first(packet.size()));
    a_.engine.outbound(a_.batch, now_, a_.out);
    return a_.out;
  }
  // Gives one ESP packet to b's engine.
  EngineOutput& receive(const Bytes& esp, std::uint8_t traffic_class = 0, bool encapsulated = false) {
    b_.out.clear();
    b_.batch.clear();
    std::copy(esp.begin(), esp.end(), b_.batch.next_room().begin());
    BatchPacket& packet = b_.batch.add(b_.batch.next_room().first(esp.size()));
    packet.destination = b_.own;
    packet.traffic_class = traffic_class;
    packet.encapsulated = encapsulated;
    packet.source = from_;
    b_.engine.inbound(b_.batch, b_.out);
    return b_.out;
  }
  Bytes sealed(const PacketSpec& packet) {
    EngineOutput& out = send(make_packet(packet));
    EXPECT_EQ(out.sealed.size(), 1U);
    return out.sealed.empty() ? Bytes{} : to_bytes(out.sealed[0].bytes);
  }
  // An ESP packet that a's keys make of these very bytes.
  Bytes forge(const Bytes& inner, std::uint32_t sequence, std::uint8_t next_header) {
    const SaSpec keys = spec(Direction::out);
    auto sealer = EspSealer::create(keys.cipher, keys.integrity, keys.encryption_key, keys.integrity_key);
    Bytes packet(sealer->layout().sealed_size(inner.size()));
    std::copy(inner.begin(), inner.end(),
              packet.begin() + static_cast<std::ptrdiff_t>(sealer->layout().prefix()));
    EXPECT_TRUE(sealer->seal(packet, {keys.id.spi, sequence}, Bytes(16, 0x77), inner.size(), next_header));
    return packet;
  }
  SaCounters counters(const EspEngine& engine, std::uint32_t spi = 0x1000) {
    const SaId id{b_.own, IpsecProtocol::esp, Spi{spi}};
    return engine.counters({&id, 1}).at(0);
  }

  SelectorPair pair_;
  std::size_t mtu_ = 1500;
  Instant now_{Milliseconds(5000)};
  Endpoint from_;
  Side a_{"192.0.2.1", "192.0.2.2", mtu_};
  Side b_{"192.0.2.2", "192.0.2.1", mtu_};
};

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

TEST_F(EspEngineTest, HardBytesEndAnSaBeforeTheyArePassed) {
  ASSERT_TRUE(a_.engine.protect(policy()));
  SaSpec limited = spec(Direction::out);
  limited.hard_kilobytes = Kilobytes{1};
  limited.soft_kilobytes = Kilobytes{1};
  ASSERT_TRUE(install(a_.engine, std::move(limited)));
  const Bytes packet = make_packet({.payload = 492});  // 512 with its header
  EXPECT_TRUE(send(packet).soft_limits.empty());
  EXPECT_EQ(send(packet).soft_limits.size(), 1U) << "once, when it is reached";
  EXPECT_TRUE(a_.out.expired.empty());
  EXPECT_EQ(counters(a_.engine).bytes, 1024U);
  EngineOutput& out = send(packet);
  EXPECT_TRUE(out.sealed.empty());
  ASSERT_EQ(out.expired.size(), 1U);
  EXPECT_EQ(out.expired[0].reqid, kReqid);
  EXPECT_EQ(counters(a_.engine).packets, 0U) << "it is gone";
}

TEST_F(EspEngineTest, HardBytesEndAnInboundSaToo) {
  up();
  const SaId id{b_.own, IpsecProtocol::esp, Spi{0x1000}};
  b_.engine.remove({&id, 1});
  SaSpec limited = spec(Direction::in);
  limited.hard_kilobytes = Kilobytes{1};
  ASSERT_TRUE(install(b_.engine, std::move(limited)));
  EXPECT_EQ(receive(sealed({.payload = 1000})).opened.size(), 1U);
  EXPECT_TRUE(receive(sealed({.payload = 1000})).opened.empty());
  EXPECT_EQ(b_.out.expired.size(), 1U);
}

TEST_F(EspEngineTest, HardTimeEndsAnSa) {
  ASSERT_TRUE(a_.engine.protect(policy()));
  for (const std::uint32_t spi : {0x1000U, 0x2000U}) {
    SaSpec limited = spec(Direction::out, spi);
    limited.hard_time = Seconds(spi == 0x1000 ? 20 : 10);
    ASSERT_TRUE(install(a_.engine, std::move(limited), now_));
  }
  EXPECT_EQ(a_.engine.next_expiry(), now_ + Seconds(10));
  a_.out.clear();
  a_.engine.expire(now_ + Seconds(10) - Milliseconds(1), a_.out);
  EXPECT_TRUE(a_.out.expired.empty());
  a_.engine.expire(now_ + Seconds(10), a_.out);
  ASSERT_EQ(a_.out.expired.size(), 1U);
  EXPECT_EQ(a_.out.expired[0].id.spi.value, 0x2000U);
  EXPECT_EQ(a_.engine.next_expiry(), now_ + Seconds(20));
  const SaId removed{b_.own, IpsecProtocol::esp, Spi{0x1000}};
  a_.engine.remove({&removed, 1});
  EXPECT_FALSE(a_.engine.next_expiry());
}

// More than the engine takes at once.
TEST_F(EspEngineTest, HardTimeEndsManySas) {
  constexpr std::uint32_t kMany = 2 * EspEngine::kExpiredAtOnce + 1;
  ASSERT_TRUE(a_.engine.protect(policy()));
  for (std::uint32_t i = 0; i <= kMany; ++i) {
    SaSpec limited = spec(Direction::out, 0x1000 + i);
    limited.hard_time = Seconds(i < kMany ? 10 : 20);
    ASSERT_TRUE(install(a_.engine, std::move(limited), now_));
  }
  a_.out.clear();
  a_.engine.expire(now_ + Seconds(10), a_.out);
  ASSERT_EQ(a_.out.expired.size(), kMany);
  for (std::uint32_t i = 0; i < kMany; ++i) EXPECT_EQ(a_.out.expired[i].id.spi.value, 0x1000 + i);
  EXPECT_EQ(a_.engine.next_expiry(), now_ + Seconds(20));
}

TEST_F(EspEngineTest, InstallsAllOrNone) {
  ASSERT_TRUE(a_.engine.protect(policy()));
  std::vector<SaSpec> batch;
  batch.push_back(spec(Direction::out, 0x1000));
  batch.push_back(spec(Direction::in, 0x3000));
  batch.push_back(spec(Direction::out, 0x1000));
  const auto refused = a_.engine.install(batch, now_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::in_use);
  EXPECT_TRUE(send(make_packet({})).sealed.empty());
  ASSERT_TRUE(install(a_.engine, spec(Direction::in, 0x3000)));
}

TEST_F(EspEngineTest, RefusesWhatItDoesNotDo) {
  const auto refused = [&](auto change) {
    SaSpec sa = spec(Direction::in);
    change(sa);
    const auto result = install(a_.engine, std::move(sa));
    return !result && result.error().code == ErrorCode::unsupported;
  };
  EXPECT_TRUE(refused([](SaSpec& sa) { sa.id.spi.value = 255; }));
  EXPECT_TRUE(refused([](SaSpec& sa) { sa.replay_window = 31; }));
  EXPECT_TRUE(refused([](SaSpec& sa) { sa.replay_window = 4097; }));
  EXPECT_TRUE(refused([](SaSpec& sa) { sa.source = address("2001:db8::1"); }));
  EXPECT_TRUE(refused([](SaSpec& sa) { sa.selectors.local.subnet = *Subnet::parse("2001:db8::/32"); }));
  EXPECT_TRUE(refused([](SaSpec& sa) { sa.integrity.reset(); }));
  EXPECT_FALSE(refused([](SaSpec&) {}));
}

TEST_F(EspEngineTest, UnprotectTakesThePolicyAway) {
  up();
  a_.engine.unprotect(kReqid);
  EXPECT_TRUE(send(make_packet({})).sealed.empty());
  EXPECT_EQ(a_.engine.drops().no_policy, 1U);
  ASSERT_TRUE(a_.engine.protect(policy()));
  EXPECT_EQ(send(make_packet({})).sealed.size(), 1U) << "the SA was there all the time";
}

TEST_F(EspEngineTest, AReplacedPolicyForgetsItsOldSelectors) {
  up();
  ProtectPolicy moved = policy();
  moved.selectors.remote.subnet = *Subnet::parse("10.7.0.0/24");
  ASSERT_TRUE(a_.engine.protect(moved));
  EXPECT_TRUE(send(make_packet({})).sealed.empty());
  EXPECT_EQ(send(make_packet({.destination = "10.7.0.1"})).sealed.size(), 1U);
}

TEST(SequenceCounter, NeverWraps) {
  SequenceCounter counter(0xffff'fffd);
  EXPECT_EQ(counter.next(), 0xffff'fffeU);
  EXPECT_EQ(counter.next(), 0xffff'ffffU);
  EXPECT_FALSE(counter.next());
  EXPECT_FALSE(counter.next());
  EXPECT_EQ(SequenceCounter().next(), 1U);
}

// Random packets by random algorithms arrive as they were sent.
TEST_F(EspEngineTest, AnyPacketByAnyAlgorithm) {
  std::mt19937 random(11);
  mtu_ = 0;
  ASSERT_TRUE(a_.engine.protect(policy()));
  std::uint32_t spi = 0x1'0000;
  for (const EspCipherInfo& cipher : esp_ciphers()) {
    for (const IntegrityInfo& integrity : integrities()) {
      ++spi;
      for (EspEngine* engine : {&a_.engine, &b_.engine}) {
        SaSpec sa = spec(engine == &a_.engine ? Direction::out : Direction::in, spi);
        sa.cipher = cipher.id;
        sa.integrity = cipher.aead() ? std::nullopt : std::optional(integrity.id);
        sa.encryption_key = SecretBytes(Bytes(std::size_t{cipher.key_bytes} + cipher.salt_bytes, 0x33));
        sa.integrity_key = SecretBytes(Bytes(integrity.key_bytes, 0x44));
        ASSERT_TRUE(install(*engine, std::move(sa)));
      }
      for (int i = 0; i < 20; ++i) {
        const Bytes packet = make_packet({.payload = random() % 3000});
        ASSERT_EQ(send(packet).sealed.size(), 1U);
        ASSERT_EQ(receive(to_bytes(a_.out.sealed[0].bytes)).opened.size(), 1U)
            << cipher.name << integrity.name;
        ASSERT_EQ(to_bytes(b_.out.opened[0]), packet);
      }
    }
  }
}

}  // namespace
}  // namespace oakgate::soft
