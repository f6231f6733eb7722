// The engine with many packets at once: what one packet of a batch does to those behind it, and that packets
// of many SAs and algorithms come out in their order.
#include <gtest/gtest.h>

#include <random>

#include "packets.h"
#include "xfrm/soft/esp_engine.h"

namespace oakgate::soft {
namespace {

using test::address;
using test::make_packet;

constexpr std::size_t kIpv4Header = 20;

// Tunnel number n carries 10.n.0.0/24 to 10.(100+n).0.0/24, by the SA of SPI 0x1000 + n.
class EngineBatchTest : public testing::Test {
 protected:
  static SelectorPair pair(int number) {
    const auto net = [](int part) { return *Subnet::parse("10." + std::to_string(part) + ".0.0/24"); };
    return {{net(number), 0, 0}, {net(100 + number), 0, 0}};
  }
  SaSpec spec(Direction direction, int number) const {
    const SelectorPair ours = pair(number);
    SaSpec out;
    out.direction = direction;
    out.id = {b_own_, IpsecProtocol::esp, Spi{0x1000 + static_cast<std::uint32_t>(number)}};
    out.source = a_own_;
    out.reqid = Reqid{kReqidBase + static_cast<std::uint32_t>(number)};
    out.selectors = direction == Direction::out ? ours : SelectorPair{ours.remote, ours.local};
    out.cipher = EspCipher::aes_128;
    out.integrity = Integrity::sha256;
    return out;
  }
  static void give_keys(SaSpec& sa) {
    const EspCipherInfo& row = info(sa.cipher);
    const auto id = static_cast<std::uint8_t>(sa.id.spi.value);
    sa.encryption_key = SecretBytes(Bytes(std::size_t{row.key_bytes} + row.salt_bytes, id));
    if (sa.integrity) sa.integrity_key = SecretBytes(Bytes(info(*sa.integrity).key_bytes, id));
  }
  // `change` makes of the plain ESP SA what the test wants; both ends get it.
  template <typename Change>
  void up(int number, Change change) {
    ProtectPolicy policy;
    policy.reqid = Reqid{kReqidBase + static_cast<std::uint32_t>(number)};
    policy.selectors = pair(number);
    ASSERT_TRUE(a_.protect(policy));
    for (const Direction direction : {Direction::out, Direction::in}) {
      SaSpec sa = spec(direction, number);
      change(sa);
      give_keys(sa);
      EspEngine& engine = direction == Direction::out ? a_ : b_;
      ASSERT_TRUE(engine.install({&sa, 1}, now_));
    }
  }
  void up(int number) {
    up(number, [](SaSpec&) {});
  }
  static Bytes packet(int number, std::size_t payload = 64) {
    const std::string source = "10." + std::to_string(number) + ".0.5";
    const std::string destination = "10." + std::to_string(100 + number) + ".0.9";
    return make_packet({.source = source, .destination = destination, .payload = payload});
  }
  const EngineOutput& send(std::span<const Bytes> packets) {
    out_.clear();
    batch_.clear();
    for (const Bytes& one : packets) {
      std::copy(one.begin(), one.end(), batch_.next_room().begin());
      batch_.add(batch_.next_room().first(one.size()));
    }
    a_.outbound(batch_, now_, out_);
    return out_;
  }
  struct Sent {
    Bytes bytes;
    IpsecProtocol protocol{};
  };
  std::vector<Sent> sealed(std::span<const Bytes> packets) {
    std::vector<Sent> all;
    for (const SealedPacket& one : send(packets).sealed) all.push_back({to_bytes(one.bytes), one.protocol});
    return all;
  }
  const EngineOutput& receive(std::span<const Sent> packets) {
    out_.clear();
    batch_.clear();
    for (const Sent& one : packets) {
      std::copy(one.bytes.begin(), one.bytes.end(), batch_.next_room().begin());
      const std::size_t header = one.protocol == IpsecProtocol::ah ? kIpv4Header : 0;
      BatchPacket& added = batch_.add(batch_.next_room().subspan(header, one.bytes.size() - header));
      added.protocol = one.protocol;
      added.ip_header = header;
      added.destination = b_own_;
      added.source = {a_own_, 0};
    }
    b_.inbound(batch_, out_);
    return out_;
  }
  SaCounters counters(const EspEngine& engine, int number, IpsecProtocol protocol = IpsecProtocol::esp) {
    const SaId id{b_own_, protocol, Spi{0x1000 + static_cast<std::uint32_t>(number)}};
    return engine.counters({&id, 1}).at(0);
  }
  EngineEnvironment environment() {
    return {[](const OuterPath&) { return std::size_t{1500}; },
            [this](std::span<std::uint8_t> iv) {
              for (std::uint8_t& byte : iv) byte = static_cast<std::uint8_t>(random_());
              return !random_fails_;
            }};
  }

  IpAddress a_own_ = address("192.0.2.1");
  IpAddress b_own_ = address("192.0.2.2");
  Instant now_{Milliseconds(5000)};
  std::mt19937 random_{3};
  bool random_fails_ = false;
  EspEngine a_{environment()};
  EspEngine b_{environment()};
  PacketBatch batch_;
  EngineOutput out_;
};

TEST_F(EngineBatchTest, OfTwoCopiesInOneBatchOneIsTaken) {
  up(1);
  const std::vector<Bytes> two(2, packet(1));
  const auto sent = sealed(two);
  ASSERT_EQ(sent.size(), 2U);
  const std::vector<Sent> copies{sent[1], sent[1], sent[0], sent[1]};
  EXPECT_EQ(receive(copies).opened.size(), 2U);
  EXPECT_EQ(counters(b_, 1).replayed, 2U);
  EXPECT_EQ(counters(b_, 1).packets, 2U);
}

TEST_F(EngineBatchTest, OfTwoCopiesUnderAhOneIsTaken) {
  up(1, [](SaSpec& sa) { sa.id.protocol = IpsecProtocol::ah; });
  const std::vector<Bytes> one(1, packet(1));
  const auto sent = sealed(one);
  ASSERT_EQ(sent.size(), 1U);
  const std::vector<Sent> copies{sent[0], sent[0]};
  EXPECT_EQ(receive(copies).opened.size(), 1U);
  EXPECT_EQ(counters(b_, 1, IpsecProtocol::ah).replayed, 1U);
}

TEST_F(EngineBatchTest, AForgedCopyDoesNotTakeTheGenuineOnesPlace) {
  up(1);
  const std::vector<Bytes> one(1, packet(1));
  const auto sent = sealed(one);
  ASSERT_EQ(sent.size(), 1U);
  Sent forged = sent[0];
  forged.bytes.back() ^= 1;
  const std::vector<Sent> both{forged, sent[0], forged};
  ASSERT_EQ(receive(both).opened.size(), 1U);
  EXPECT_EQ(to_bytes(out_.opened[0]), one[0]);
  EXPECT_EQ(counters(b_, 1).not_authentic, 1U);
  EXPECT_EQ(counters(b_, 1).replayed, 1U) << "its number is taken by then";
}

TEST_F(EngineBatchTest, AHardLimitIsKeptWithinABatch) {
  up(1, [](SaSpec& sa) { sa.hard_kilobytes = Kilobytes{1}; });
  const Bytes one = packet(1, 280);  // three of them are 900 bytes
  const std::vector<Bytes> five(5, one);
  const auto sent = sealed(five);
  EXPECT_EQ(sent.size(), 3U) << "what was decided on before the SA ended goes out";
  ASSERT_EQ(out_.expired.size(), 1U);
  EXPECT_EQ(a_.drops().no_sa, 2U);
  // The receiver has the same limit, and they are within it.
  ASSERT_EQ(receive(sent).opened.size(), 3U);
  EXPECT_EQ(counters(b_, 1).bytes, 3 * one.size());
}

TEST_F(EngineBatchTest, BehindTheInboundHardLimitTheSpiIsUnknown) {
  up(1, [](SaSpec& sa) {
    if (sa.direction == Direction::in) sa.hard_kilobytes = Kilobytes{1};
  });
  const std::vector<Bytes> five(5, packet(1, 280));
  const auto sent = sealed(five);
  ASSERT_EQ(sent.size(), 5U);
  const EngineOutput& out = receive(sent);
  EXPECT_EQ(out.opened.size(), 3U);
  EXPECT_EQ(out.expired.size(), 1U);
  ASSERT_EQ(out.unknown_spis.size(), 1U);
  EXPECT_EQ(out.unknown_spis[0].id.spi.value, 0x1001U);
  EXPECT_EQ(b_.drops().invalid_spi, 1U);
}

TEST_F(EngineBatchTest, WithoutUnpredictableBytesNothingLeavesAndNothingIsCounted) {
  up(1);
  up(2, [](SaSpec& sa) {
    sa.cipher = EspCipher::gcm_128;
    sa.integrity.reset();
  });
  random_fails_ = true;
  const std::vector<Bytes> both{packet(1), packet(2)};
  EXPECT_EQ(sealed(both).size(), 1U) << "a counter is IV enough for GCM";
  EXPECT_EQ(a_.drops().crypto_failed, 1U);
  EXPECT_EQ(counters(a_, 1).packets, 0U);
  EXPECT_EQ(counters(a_, 2).packets, 1U);
}

TEST_F(EngineBatchTest, EveryAlgorithmAtOnceInOrder) {
  int number = 0;
  for (const EspCipherInfo& cipher : esp_ciphers()) {
    up(++number, [&](SaSpec& sa) {
      sa.cipher = cipher.id;
      if (cipher.aead()) sa.integrity.reset();
    });
  }
  for (const IntegrityInfo& integrity : integrities()) {
    up(++number, [&](SaSpec& sa) { sa.integrity = integrity.id; });
    up(++number, [&](SaSpec& sa) {
      sa.id.protocol = IpsecProtocol::ah;
      sa.integrity = integrity.id;
    });
  }
  ASSERT_LT(number, 100);
  for (int round = 0; round < 40; ++round) {
    std::vector<Bytes> packets;
    for (std::size_t i = 0; i < PacketBatch::kCapacity; ++i) {
      // From all of them alike to one of them alone.
      const std::size_t few = 1 + random_() % static_cast<std::size_t>(number);
      packets.push_back(packet(1 + static_cast<int>(random_() % few), 4 + random_() % 1300));
    }
    const auto sent = sealed(packets);
    ASSERT_EQ(sent.size(), packets.size());
    const EngineOutput& out = receive(sent);
    ASSERT_EQ(out.opened.size(), packets.size());
    for (std::size_t i = 0; i < packets.size(); ++i) EXPECT_EQ(to_bytes(out.opened[i]), packets[i]) << i;
  }
}

}  // namespace
}  // namespace oakgate::soft
