// The engine with AH, AH over ESP, and in transport mode: two of them face each other, as in engine_test.cc.
#include <gtest/gtest.h>

#include "packets.h"
#include "xfrm/soft/esp_engine.h"

namespace oakgate::soft {
namespace {

using test::address;
using test::make_packet;
using test::PacketSpec;

constexpr Reqid kReqid{kReqidBase + 1};
constexpr std::size_t kIpv4Header = 20;

struct Suite {
  Protection protection = Protection::ah_esp;
  EncapsulationMode mode = EncapsulationMode::tunnel;
  std::optional<Integrity> esp_integrity = Integrity::sha;
  Family outer = Family::ipv4;
};

class BundleTest : public testing::Test {
 protected:
  void use(const Suite& suite) {
    suite_ = suite;
    const bool v4 = suite.outer == Family::ipv4;
    own_ = address(v4 ? "192.0.2.1" : "2001:db8::1");
    peer_ = address(v4 ? "192.0.2.2" : "2001:db8::2");
    if (suite.mode == EncapsulationMode::transport) {
      pair_ = {{Subnet::host(own_)}, {Subnet::host(peer_)}};
    }
    ProtectPolicy policy;
    policy.reqid = kReqid;
    policy.selectors = pair_;
    policy.local_gateway = own_;
    policy.remote_gateway = peer_;
    ASSERT_TRUE(a_.protect(policy));
    ASSERT_TRUE(install(a_, Direction::out));
    ASSERT_TRUE(install(b_, Direction::in));
  }
  SaId id(IpsecProtocol protocol, std::uint32_t generation = 0) const {
    return {peer_, protocol, Spi{0x1000 + generation * 0x100 + (protocol == IpsecProtocol::ah ? 1U : 0U)}};
  }
  // The SAs from a to b as `direction` sees them.
  std::vector<SaSpec> specs(Direction direction, std::uint32_t generation = 0) const {
    std::vector<SaSpec> all;
    for (const IpsecProtocol protocol : {IpsecProtocol::esp, IpsecProtocol::ah}) {
      const bool ah = protocol == IpsecProtocol::ah;
      if (suite_.protection == (ah ? Protection::esp : Protection::ah)) continue;
      const bool bundle = suite_.protection == Protection::ah_esp;
      SaSpec sa;
      sa.direction = direction;
      sa.id = id(protocol, generation);
      sa.source = own_;
      sa.reqid = kReqid;
      sa.selectors = direction == Direction::out ? pair_ : SelectorPair{pair_.remote, pair_.local};
      sa.mode = bundle && ah ? EncapsulationMode::transport : suite_.mode;
      sa.integrity = ah ? Integrity::sha256 : suite_.esp_integrity;
      if (!ah) {
        sa.cipher = EspCipher::aes_128;
        sa.encryption_key = SecretBytes(Bytes(16, 0x11));
      }
      if (sa.integrity)
        sa.integrity_key = SecretBytes(Bytes(info(*sa.integrity).key_bytes, ah ? 0x33 : 0x22));
      if (bundle) sa.bundle = id(ah ? IpsecProtocol::esp : IpsecProtocol::ah, generation);
      all.push_back(std::move(sa));
    }
    return all;
  }
  Result<void> install(EspEngine& engine, Direction direction, std::uint32_t generation = 0) {
    return engine.install(specs(direction, generation), Instant{});
  }
  const EngineOutput& send(const Bytes& packet) {
    a_out_.clear();
    a_batch_.clear();
    std::copy(packet.begin(), packet.end(), a_batch_.next_room().begin());
    a_batch_.add(a_batch_.next_room().first(packet.size()));
    a_.outbound(a_batch_, now_, a_out_);
    return a_out_;
  }
  // As the outer socket hands it up: with its IP header before it if it is AH over IPv4, and one made anew
  // over IPv6.
  const EngineOutput& receive(const Bytes& bytes, IpsecProtocol protocol) {
    b_out_.clear();
    b_batch_.clear();
    std::span<std::uint8_t> room = b_batch_.next_room();
    std::copy(bytes.begin(), bytes.end(), room.begin());
    const bool ah = protocol == IpsecProtocol::ah;
    const bool v4 = own_.is_v4();
    const std::size_t skip = ah && v4 ? std::min(kIpv4Header, bytes.size()) : 0;
    BatchPacket& packet = b_batch_.add(room.first(bytes.size()).subspan(skip));
    packet.source = {own_, 0};
    packet.destination = peer_;
    packet.protocol = protocol;
    if (ah) packet.ip_header = v4 ? skip : 40;
    if (ah && !v4) {
      std::uint8_t* header = packet.bytes.data() - 40;
      std::fill_n(header, 40, std::uint8_t{0});
      header[0] = 0x60;
      header[4] = static_cast<std::uint8_t>(bytes.size() >> 8);
      header[5] = static_cast<std::uint8_t>(bytes.size());
      header[6] = 51;
      header[7] = 3;
      std::copy_n(own_.bytes().begin(), 16, header + 8);
      std::copy_n(peer_.bytes().begin(), 16, header + 24);
    }
    b_.inbound(b_batch_, b_out_);
    return b_out_;
  }
  // Through both; what came out, if anything did.
  std::optional<Bytes> carry(const Bytes& packet) {
    send(packet);
    if (a_out_.sealed.size() != 1) return std::nullopt;
    protocol_ = a_out_.sealed[0].protocol;
    sealed_ = to_bytes(a_out_.sealed[0].bytes);
    receive(sealed_, protocol_);
    if (b_out_.opened.size() != 1) return std::nullopt;
    return to_bytes(b_out_.opened[0]);
  }
  SaCounters counters(EspEngine& engine, IpsecProtocol protocol) {
    const SaId one = id(protocol);
    return engine.counters({&one, 1}).at(0);
  }

  Suite suite_;
  IpAddress own_;
  IpAddress peer_;
  SelectorPair pair_{{*Subnet::parse("10.1.0.0/24")}, {*Subnet::parse("10.2.0.0/24")}};
  std::size_t mtu_ = 1500;
  Instant now_{Milliseconds(5000)};
  EngineEnvironment environment_{[this](const OuterPath&) { return mtu_; },
                                 [](std::span<std::uint8_t> iv) {
                                   std::fill(iv.begin(), iv.end(), std::uint8_t{0x44});
                                   return true;
                                 }};
  EspEngine a_{environment_};
  EspEngine b_{environment_};
  PacketBatch a_batch_;
  PacketBatch b_batch_;
  EngineOutput a_out_;
  EngineOutput b_out_;
  Bytes sealed_;
  IpsecProtocol protocol_{};
};

Bytes between(const Suite& suite, std::size_t payload = 100) {
  if (suite.mode == EncapsulationMode::tunnel) return make_packet({.payload = payload});
  const bool v4 = suite.outer == Family::ipv4;
  return make_packet({.source = v4 ? "192.0.2.1" : "2001:db8::1",
                      .destination = v4 ? "192.0.2.2" : "2001:db8::2",
                      .payload = payload});
}

// Without what a router changes and a new header may have otherwise: identification, flags, TTL, checksum.
Bytes upper(const Bytes& packet) {
  const std::size_t header = packet[0] >> 4 == 4 ? 20 : 40;
  return {packet.begin() + static_cast<std::ptrdiff_t>(header), packet.end()};
}

TEST_F(BundleTest, EverySuiteCarriesInBothModesAndFamilies) {
  for (const Family outer : {Family::ipv4, Family::ipv6}) {
    for (const EncapsulationMode mode : {EncapsulationMode::tunnel, EncapsulationMode::transport}) {
      for (const Protection protection : {Protection::esp, Protection::ah, Protection::ah_esp}) {
        BundleTest::TearDown();
        a_ = EspEngine(environment_);
        b_ = EspEngine(environment_);
        pair_ = {{*Subnet::parse("10.1.0.0/24")}, {*Subnet::parse("10.2.0.0/24")}};
        const Suite suite{protection, mode, Integrity::sha, outer};
        use(suite);
        for (const std::size_t payload : {8U, 100U, 1200U}) {
          const Bytes packet = between(suite, payload);
          const auto got = carry(packet);
          ASSERT_TRUE(got) << static_cast<int>(protection) << static_cast<int>(mode);
          EXPECT_EQ(upper(*got), upper(packet));
          if (mode == EncapsulationMode::tunnel) {
            EXPECT_EQ(*got, packet);
          }
          const auto inner = parse_inner_packet(*got);
          ASSERT_TRUE(inner);
          EXPECT_EQ(inner->protocol, 17);
          EXPECT_EQ(protocol_, protection == Protection::esp ? IpsecProtocol::esp : IpsecProtocol::ah);
        }
      }
    }
  }
}

TEST_F(BundleTest, OnTheWireItIsIpAhEspIp) {
  use({});
  ASSERT_TRUE(carry(make_packet({})));
  EXPECT_EQ(sealed_[0], 0x45);
  EXPECT_EQ(sealed_[9], 51);
  EXPECT_NE(sealed_[4] << 8 | sealed_[5], 0) << "the kernel would choose another identification";
  EXPECT_EQ(std::size_t{sealed_[2]} << 8 | sealed_[3], sealed_.size());
  const auto ah = read_ah_header(ByteView(sealed_).subspan(20));
  ASSERT_TRUE(ah);
  EXPECT_EQ(ah->next_header, 50);
  EXPECT_EQ(ah->spi, id(IpsecProtocol::ah).spi);
  EXPECT_EQ(ah->size, 28U);
  EXPECT_EQ(read_esp_header(ByteView(sealed_).subspan(48))->spi, id(IpsecProtocol::esp).spi);
  for (EspEngine* engine : {&a_, &b_}) {
    EXPECT_EQ(counters(*engine, IpsecProtocol::ah).packets, 1U);
    EXPECT_EQ(counters(*engine, IpsecProtocol::esp).packets, 1U);
  }
}

TEST_F(BundleTest, EspNeedsNoIntegrityOfItsOwnUnderAh) {
  use({Protection::ah_esp, EncapsulationMode::tunnel, std::nullopt});
  EXPECT_TRUE(carry(make_packet({})));
  for (std::size_t at = 48; at < sealed_.size(); ++at) {
    Bytes forged = sealed_;
    forged[at] ^= 1;
    EXPECT_TRUE(receive(forged, IpsecProtocol::ah).opened.empty()) << at;
  }
}

TEST_F(BundleTest, EspOfABundleIsNotTakenWithoutItsAh) {
  use({});
  ASSERT_TRUE(carry(make_packet({})));
  ASSERT_TRUE(carry(make_packet({})).has_value());
  send(make_packet({}));
  const Bytes whole = to_bytes(a_out_.sealed.at(0).bytes);
  const Bytes bare(whole.begin() + 48, whole.end());
  EXPECT_TRUE(receive(bare, IpsecProtocol::esp).opened.empty());
  EXPECT_EQ(b_.drops().encapsulation, 1U);
  EXPECT_EQ(receive(whole, IpsecProtocol::ah).opened.size(), 1U) << "the window had not moved";
}

TEST_F(BundleTest, AReplayIsRefusedByAhAndByEspBehindIt) {
  use({});
  ASSERT_TRUE(carry(make_packet({})));
  EXPECT_TRUE(receive(sealed_, IpsecProtocol::ah).opened.empty());
  EXPECT_EQ(counters(b_, IpsecProtocol::ah).replayed, 1U);
  // AH anew around ESP that was there already.
  const std::vector<SaSpec> keys = specs(Direction::out);
  auto ah = AhAuthenticator::create(Integrity::sha256, keys.at(1).integrity_key);
  ASSERT_TRUE(ah->protect(sealed_, 20, {id(IpsecProtocol::ah).spi, 99, 50, 0}));
  EXPECT_TRUE(receive(sealed_, IpsecProtocol::ah).opened.empty());
  EXPECT_EQ(counters(b_, IpsecProtocol::esp).replayed, 1U);
}

TEST_F(BundleTest, AnyChangeOfAhIsNoticedAndMovesNoWindow) {
  use({Protection::ah});
  send(make_packet({}));
  const Bytes good = to_bytes(a_out_.sealed.at(0).bytes);
  for (std::size_t at = 24; at < good.size(); ++at) {
    Bytes forged = good;
    forged[at] ^= 0x40;
    EXPECT_TRUE(receive(forged, IpsecProtocol::ah).opened.empty()) << at;
  }
  EXPECT_GT(counters(b_, IpsecProtocol::ah).not_authentic, 0U);
  EXPECT_EQ(receive(good, IpsecProtocol::ah).opened.size(), 1U);
}

TEST_F(BundleTest, AnAhOfABundleCarriesNothingButEsp) {
  use({});
  ASSERT_TRUE(carry(make_packet({})));
  const std::vector<SaSpec> keys = specs(Direction::out);
  auto ah = AhAuthenticator::create(Integrity::sha256, keys.at(1).integrity_key);
  const Bytes inner = make_packet({});
  Bytes packet(20 + 28, 0);
  std::copy_n(sealed_.begin(), 20, packet.begin());
  packet.insert(packet.end(), inner.begin(), inner.end());
  packet[3] = static_cast<std::uint8_t>(packet.size());
  packet[2] = static_cast<std::uint8_t>(packet.size() >> 8);
  ASSERT_TRUE(ah->protect(packet, 20, {id(IpsecProtocol::ah).spi, 50, kProtocolIpv4, 0}));
  EXPECT_TRUE(receive(packet, IpsecProtocol::ah).opened.empty());
}

TEST_F(BundleTest, ARenewalSendsWithBothNewSasAndLosesNothing) {
  use({});
  ASSERT_TRUE(carry(make_packet({})));
  ASSERT_TRUE(install(b_, Direction::in, 1));
  EXPECT_TRUE(carry(make_packet({}))) << "the old ones still";
  ASSERT_TRUE(install(a_, Direction::out, 1));
  EXPECT_TRUE(carry(make_packet({})));
  EXPECT_EQ(read_ah_header(ByteView(sealed_).subspan(20))->spi, id(IpsecProtocol::ah, 1).spi);
  EXPECT_EQ(read_esp_header(ByteView(sealed_).subspan(48))->spi, id(IpsecProtocol::esp, 1).spi);
  const std::vector<SaId> old = {id(IpsecProtocol::ah), id(IpsecProtocol::esp)};
  a_.remove(old);
  b_.remove(old);
  EXPECT_TRUE(carry(make_packet({})));
}

TEST_F(BundleTest, EspWhoseAhIsGoneSendsNothing) {
  use({});
  const SaId ah = id(IpsecProtocol::ah);
  a_.remove({&ah, 1});
  EXPECT_TRUE(send(make_packet({})).sealed.empty());
  ASSERT_EQ(a_out_.expired.size(), 1U);
  EXPECT_EQ(a_out_.expired[0].id, id(IpsecProtocol::esp));
}

TEST_F(BundleTest, WhatDoesNotFitIsToldByTheWholeOverhead) {
  mtu_ = 600;
  use({});
  send(make_packet({.payload = 700, .flags = 0x4000}));
  EXPECT_TRUE(a_out_.sealed.empty());
  ASSERT_EQ(a_out_.icmp.size(), 1U);
  const std::size_t told = std::size_t{a_out_.icmp[0].bytes[6]} << 8 | a_out_.icmp[0].bytes[7];
  const auto fits = [&](std::size_t size) {
    send(make_packet({.payload = size - 20, .flags = 0x4000}));
    return a_out_.sealed.size() == 1 && a_out_.sealed[0].bytes.size() <= mtu_;
  };
  EXPECT_TRUE(fits(told));
  EXPECT_FALSE(fits(told + 1));
}

TEST_F(BundleTest, WithoutDfItIsMarkedForFragmentation) {
  mtu_ = 600;
  use({});
  send(make_packet({.payload = 700}));
  ASSERT_EQ(a_out_.sealed.size(), 1U);
  EXPECT_EQ(a_out_.sealed[0].fragment_to, 600U);
  EXPECT_FALSE(a_out_.sealed[0].dont_fragment);
}

TEST_F(BundleTest, TransportModeCarriesWholePacketsOfTheTwoAddressesAlone) {
  use({Protection::esp, EncapsulationMode::transport});
  EXPECT_FALSE(carry(make_packet({})).has_value()) << "another's packet meets no policy";
  PacketSpec fragment{.source = "192.0.2.1", .destination = "192.0.2.2", .flags = 0x2000};
  EXPECT_FALSE(carry(make_packet(fragment)).has_value());
  EXPECT_EQ(a_.drops().malformed, 1U);
  const auto got = carry(between(suite_));
  ASSERT_TRUE(got);
  const auto inner = parse_inner_packet(*got);
  EXPECT_EQ(inner->source, own_);
  EXPECT_EQ(inner->destination, peer_);
}

// RFC 4301 section 4.1: transport mode does not carry fragments, whoever sends them.
TEST_F(BundleTest, AFragmentInTransportModeIsNotTaken) {
  use({Protection::ah, EncapsulationMode::transport, Integrity::sha, Family::ipv6});
  auto ah = AhAuthenticator::create(Integrity::sha256, SecretBytes(Bytes(32, 0x33)));
  constexpr std::uint8_t kUdp = 17;
  constexpr std::uint8_t kFragment = 44;
  for (const std::uint8_t next : {kUdp, kFragment}) {
    // Behind the header of a first fragment, or as UDP's header itself, the same bytes.
    Bytes packet(40 + 32, 0);
    Bytes payload = {kUdp, 0, 0, 1, 0, 0, 0, 9, 0x1b, 0x58, 0x1b, 0x59, 0, 12, 0, 0, 1, 2, 3, 4};
    packet.insert(packet.end(), payload.begin(), payload.end());
    packet[0] = 0x60;
    packet[5] = static_cast<std::uint8_t>(packet.size() - 40);
    packet[6] = 51;
    std::copy_n(own_.bytes().begin(), 16, packet.begin() + 8);
    std::copy_n(peer_.bytes().begin(), 16, packet.begin() + 24);
    ASSERT_TRUE(ah->protect(packet, 40, {id(IpsecProtocol::ah).spi, next, next, 0}));
    receive(Bytes(packet.begin() + 40, packet.end()), IpsecProtocol::ah);
    EXPECT_EQ(b_out_.opened.size(), next == kUdp ? 1U : 0U);
    EXPECT_EQ(b_.drops().malformed, next == kUdp ? 0U : 1U);
  }
}

TEST_F(BundleTest, WhatThePlaneCannotDoIsRefused) {
  suite_ = {Protection::ah};
  own_ = address("192.0.2.1");
  peer_ = address("192.0.2.2");
  const auto refused = [&](auto change) {
    std::vector<SaSpec> sas = specs(Direction::out);
    change(sas.front());
    const auto result = a_.install(sas, Instant{});
    return !result && result.error().code == ErrorCode::unsupported;
  };
  EXPECT_TRUE(refused([](SaSpec& sa) { sa.encapsulation = UdpEncapsulation{}; }));
  EXPECT_TRUE(refused([](SaSpec& sa) { sa.mode = EncapsulationMode::transport; })) << "the LANs' selectors";
  EXPECT_TRUE(refused([](SaSpec& sa) { sa.integrity.reset(); }));
  EXPECT_TRUE(refused([](SaSpec& sa) { sa.bundle = sa.id; }));
  suite_ = {Protection::esp, EncapsulationMode::tunnel, std::nullopt};
  EXPECT_TRUE(refused([](SaSpec&) {})) << "ESP that nothing covers";
}

}  // namespace
}  // namespace oakgate::soft
