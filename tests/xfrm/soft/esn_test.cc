// Extended sequence numbers: RFC 4303 section 2.2.1 and appendix A, RFC 4302 section 2.5.1, and the end of
// those that are not extended (section 3.3.3 of both).
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "packets.h"
#include "xfrm/soft/esp_engine.h"

namespace oakgate::soft {
namespace {

constexpr std::uint64_t kHalf = std::uint64_t{1} << 32;

// ---- The window

// RFC 4303 appendix A2.2, by trying each high half there may be.
std::uint64_t by_definition(std::uint64_t top, std::uint64_t size, std::uint32_t low) {
  const std::uint64_t bottom = top >= size - 1 ? top - (size - 1) : 0;
  for (std::uint64_t high = (top >> 32) == 0 ? 0 : (top >> 32) - 1; high <= (top >> 32) + 1; ++high) {
    const std::uint64_t whole = high << 32 | low;
    if (whole >= bottom) return top < size - 1 && low > top + (kHalf - (size - 1)) ? 0 : whole;
  }
  return 0;
}

TEST(ReplayWindowEsn, TheHighHalfIsThatWhichFitsTheWindow) {
  std::mt19937_64 random(7);
  for (const std::uint32_t size : {32U, 64U, 4096U}) {
    for (const std::uint64_t near : {std::uint64_t{0}, kHalf, 5 * kHalf, kHalf / 2, 0xffff'0000 * kHalf}) {
      for (int i = 0; i < 2000; ++i) {
        const std::uint64_t top = near + random() % (4 * size) - (near == 0 ? 0 : 2 * size);
        const ReplayWindow window(size, top);
        const auto low = i % 2 == 0 ? static_cast<std::uint32_t>(top + random() % (4 * size) - 2 * size)
                                    : static_cast<std::uint32_t>(random());
        const std::uint64_t whole = window.whole_number(low);
        if (whole == 0) {
          // 0 itself, or it would have to be of a time before the first packet.
          EXPECT_TRUE(low == 0 || (top < size - 1 && low > top)) << top << " " << low;
          continue;
        }
        EXPECT_EQ(static_cast<std::uint32_t>(whole), low);
        EXPECT_EQ(whole, by_definition(top, size, low)) << "top " << top << " size " << size;
      }
    }
  }
}

TEST(ReplayWindowEsn, CrossesAMultipleOf2To32) {
  ReplayWindow window(64, kHalf - 3);
  std::uint64_t expected = kHalf - 2;
  for (const std::uint32_t low : {0xffff'fffeU, 0xffff'ffffU, 0U, 1U, 2U}) {
    EXPECT_EQ(window.whole_number(low), expected) << low;
    ASSERT_TRUE(window.acceptable(expected)) << low;
    window.accept(expected);
    EXPECT_FALSE(window.acceptable(expected)) << low;
    ++expected;
  }
  EXPECT_EQ(window.top(), kHalf + 2);
  // A late one from the other side of it.
  EXPECT_EQ(window.whole_number(0xffff'fff0U), kHalf - 16);
  EXPECT_TRUE(window.acceptable(kHalf - 16));
  EXPECT_FALSE(window.acceptable(window.whole_number(0xffff'fffeU))) << "seen";
}

TEST(ReplayWindowEsn, BeforeTheFirstNumberThereIsNone) {
  ReplayWindow window(64);
  window.accept(5);
  EXPECT_EQ(window.whole_number(0xffff'ffffU), 0U);
  EXPECT_FALSE(window.acceptable(0));
  EXPECT_EQ(window.whole_number(6), 6U);
  EXPECT_EQ(window.whole_number(0x7fff'ffffU), 0x7fff'ffffU);
}

// ---- The ICV

struct Algorithms {
  EspCipher cipher{};
  std::optional<Integrity> integrity;
};

std::vector<Algorithms> algorithms() {
  std::vector<Algorithms> out;
  for (const EspCipherInfo& cipher : esp_ciphers()) {
    if (cipher.aead()) out.push_back({cipher.id, std::nullopt});
  }
  for (const IntegrityInfo& integrity : integrities()) out.push_back({EspCipher::aes_128, integrity.id});
  for (const EspCipherInfo& cipher : esp_ciphers()) {
    if (!cipher.aead()) out.push_back({cipher.id, Integrity::sha256});
  }
  return out;
}

Bytes counting(std::size_t size, std::uint8_t first) {
  Bytes out(size);
  for (std::uint8_t& byte : out) byte = first++;
  return out;
}

struct Keys {
  explicit Keys(const Algorithms& of)
      : encryption(counting(info(of.cipher).key_bytes + std::size_t{info(of.cipher).salt_bytes}, 1)),
        integrity(counting(of.integrity ? info(*of.integrity).key_bytes : 0, 0x80)) {}
  Bytes encryption;
  Bytes integrity;
};

constexpr std::uint64_t kSequence = 0x0000'0003'0000'0007;

Bytes seal(const Algorithms& of, std::size_t inner, SequenceNumbers numbers, std::uint64_t sequence) {
  const Keys keys(of);
  auto sealer =
      EspSealer::create(of.cipher, of.integrity, SecretBytes(keys.encryption), SecretBytes(keys.integrity));
  EXPECT_TRUE(sealer);
  if (numbers == SequenceNumbers::bits_64) sealer->extend_numbers();
  Bytes packet(sealer->layout().sealed_size(inner), 0x5a);
  EXPECT_TRUE(sealer->seal(packet, {Spi{0x1122'3344}, sequence}, Bytes(sealer->layout().iv, 0x77), inner, 4));
  return packet;
}

TEST(EspEsn, TheIcvCoversTheHalfThatDoesNotTravel) {
  for (const Algorithms& of : algorithms()) {
    const Keys keys(of);
    auto opener =
        EspOpener::create(of.cipher, of.integrity, SecretBytes(keys.encryption), SecretBytes(keys.integrity));
    ASSERT_TRUE(opener);
    opener->extend_numbers();
    for (std::size_t inner = 0; inner < 70; ++inner) {
      Bytes packet = seal(of, inner, SequenceNumbers::bits_64, kSequence);
      EXPECT_EQ(packet.size(), opener->layout().sealed_size(inner)) << "the high half does not travel";
      EXPECT_EQ(read_esp_header(packet)->sequence, 7U);
      Bytes other = packet;
      EXPECT_EQ(opener->open(other, kSequence + kHalf).verdict, OpenVerdict::not_authentic);
      other = packet;
      EXPECT_EQ(opener->open(other, 7).verdict, OpenVerdict::not_authentic);
      const Opened opened = opener->open(packet, kSequence);
      ASSERT_EQ(opened.verdict, OpenVerdict::ok) << info(of.cipher).name << " " << inner;
      EXPECT_EQ(to_bytes(opened.inner), Bytes(inner, 0x5a));
    }
    EXPECT_NE(seal(of, 40, SequenceNumbers::bits_64, 7), seal(of, 40, SequenceNumbers::bits_32, 7))
        << "a high half of zero is covered, too";
  }
}

// RFC 4303 section 2.2.1: behind the packet, whatever the algorithm.
TEST(EspEsn, AnIntegrityAlgorithmReadsTheHighHalfBehindThePacket) {
  for (const IntegrityInfo& row : integrities()) {
    const Algorithms of{EspCipher::null, row.id};
    for (std::size_t inner = 0; inner < 70; ++inner) {
      const Bytes packet = seal(of, inner, SequenceNumbers::bits_64, kSequence);
      Bytes covered(packet.begin(), packet.end() - row.icv_bytes);
      covered.insert(covered.end(), {0, 0, 0, 3});
      auto tag = IntegrityTag::create(row.id, SecretBytes(Keys(of).integrity));
      Bytes expected(row.icv_bytes);
      ASSERT_TRUE(tag->compute(covered, expected));
      EXPECT_TRUE(std::equal(expected.begin(), expected.end(), packet.end() - row.icv_bytes)) << row.name;
    }
  }
}

// RFC 4106 section 5 figure 4 and RFC 4543 figure 3: SPI, high half, low half.
TEST(EspEsn, AnAeadHasItInItsAad) {
  for (const EspCipher cipher : {EspCipher::gcm_128, EspCipher::gmac_256}) {
    const Algorithms of{cipher, std::nullopt};
    const bool gmac = info(cipher).kind == EspKind::gmac;
    Bytes packet = seal(of, 50, SequenceNumbers::bits_64, kSequence);
    const Bytes key = Keys(of).encryption;
    const std::size_t key_bytes = info(cipher).key_bytes;
    auto gcm =
        GcmCipher::create(info(cipher).openssl, ByteView(key).first(key_bytes), CryptDirection::decrypt);
    ASSERT_TRUE(gcm);
    Bytes nonce(key.begin() + static_cast<std::ptrdiff_t>(key_bytes), key.end());
    nonce.insert(nonce.end(), 8, 0x77);
    const std::size_t icv = info(cipher).icv_bytes;
    Bytes aad{0x11, 0x22, 0x33, 0x44, 0, 0, 0, 3, 0, 0, 0, 7};
    const std::span<std::uint8_t> behind =
        std::span(packet).subspan(kEspHeader, packet.size() - kEspHeader - icv);
    if (gmac) aad.insert(aad.end(), behind.begin(), behind.end());
    EXPECT_TRUE(gcm->open(nonce, aad, gmac ? std::span<std::uint8_t>() : behind.subspan(8),
                          std::span(packet).last(icv)))
        << info(cipher).name;
  }
}

TEST(AhEsn, TheIcvCoversTheHalfThatDoesNotTravel) {
  for (const IntegrityInfo& row : integrities()) {
    const SecretBytes key(Bytes(row.key_bytes, 9));
    auto ah = AhAuthenticator::create(row.id, key);
    ASSERT_TRUE(ah);
    ah->extend_numbers();
    const std::size_t size = ah->header_size(Family::ipv4);
    Bytes packet(20 + size + 33, 0x42);
    const Bytes ip{0x45, 0, 0, 0, 0, 1, 0, 0, 64, 51, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2};
    std::copy(ip.begin(), ip.end(), packet.begin());
    ASSERT_TRUE(ah->protect(packet, 20, {Spi{0x1234}, kSequence, 4, 0}));
    EXPECT_EQ(ah->verify(packet, 20, kSequence), AhVerdict::ok) << row.name;
    EXPECT_EQ(ah->verify(packet, 20, kSequence - kHalf), AhVerdict::not_authentic) << row.name;
    auto plain = AhAuthenticator::create(row.id, key);
    EXPECT_EQ(plain->verify(packet, 20, kSequence), AhVerdict::not_authentic) << row.name;
  }
}

// ---- The engine

class EsnEngineTest : public testing::Test {
 protected:
  SaSpec spec(Direction direction, std::uint64_t last) const {
    SaSpec sa;
    sa.direction = direction;
    sa.id = {test::address("192.0.2.2"), protocol_, Spi{0x1000}};
    sa.source = test::address("192.0.2.1");
    sa.reqid = {kReqidBase + 1};
    const Selector left{*Subnet::parse("10.1.0.0/24"), 0, 0};
    const Selector right{*Subnet::parse("10.2.0.0/24"), 0, 0};
    sa.selectors = direction == Direction::out ? SelectorPair{left, right} : SelectorPair{right, left};
    sa.cipher = cipher_;
    if (protocol_ == IpsecProtocol::ah || !info(cipher_).aead()) sa.integrity = Integrity::sha256;
    sa.encryption_key =
        SecretBytes(Bytes(info(cipher_).key_bytes + std::size_t{info(cipher_).salt_bytes}, 0x11));
    if (sa.integrity) sa.integrity_key = SecretBytes(Bytes(32, 0x22));
    sa.esn = esn_;
    sa.last_sequence = last;
    return sa;
  }
  void up(std::uint64_t last) {
    const SaSpec out = spec(Direction::out, last);
    ASSERT_TRUE(a_.protect({out.reqid, out.selectors, out.source, out.id.destination}));
    ASSERT_TRUE(a_.install({&out, 1}, {}));
    const SaSpec in = spec(Direction::in, last);
    ASSERT_TRUE(b_.install({&in, 1}, {}));
  }
  // What b gets out of one packet that a sent; the packet itself in `wire_`.
  std::size_t carry() {
    const Bytes packet = test::make_packet({});
    PacketBatch batch;
    EngineOutput out;
    std::copy(packet.begin(), packet.end(), batch.next_room().begin());
    batch.add(batch.next_room().first(packet.size()));
    a_.outbound(batch, {}, out);
    sent_ = out;
    if (out.sealed.empty()) return 0;
    wire_ = to_bytes(out.sealed[0].bytes);
    return receive(wire_);
  }
  std::size_t receive(const Bytes& wire) {
    PacketBatch batch;
    EngineOutput out;
    std::copy(wire.begin(), wire.end(), batch.next_room().begin());
    const bool ah = protocol_ == IpsecProtocol::ah;
    const std::size_t ip = ah ? 20 : 0;
    BatchPacket& packet = batch.add(batch.next_room().first(wire.size()).subspan(ip));
    packet.destination = test::address("192.0.2.2");
    packet.source = {test::address("192.0.2.1"), 0};
    packet.protocol = protocol_;
    packet.ip_header = ip;
    b_.inbound(batch, out);
    return out.opened.size();
  }
  static bool random(std::span<std::uint8_t> iv) {
    std::fill(iv.begin(), iv.end(), std::uint8_t{0x33});
    return true;
  }

  IpsecProtocol protocol_ = IpsecProtocol::esp;
  EspCipher cipher_ = EspCipher::aes_128;
  bool esn_ = true;
  EspEngine a_{{[](const OuterPath&) { return std::size_t{1500}; }, random}};
  EspEngine b_{{[](const OuterPath&) { return std::size_t{1500}; }, random}};
  EngineOutput sent_;
  Bytes wire_;
};

TEST_F(EsnEngineTest, TrafficGoesOnBeyond2To32) {
  for (const EspCipher cipher : {EspCipher::aes_128, EspCipher::gcm_128, EspCipher::gmac_128}) {
    cipher_ = cipher;
    EspEngine fresh_a{{[](const OuterPath&) { return std::size_t{1500}; }, random}};
    EspEngine fresh_b{{[](const OuterPath&) { return std::size_t{1500}; }, random}};
    a_ = std::move(fresh_a);
    b_ = std::move(fresh_b);
    up(kHalf - 3);
    Bytes before;
    for (int i = 0; i < 6; ++i) {
      ASSERT_EQ(carry(), 1U) << info(cipher).name << " " << i;
      if (i == 0) before = wire_;
    }
    EXPECT_EQ(receive(before), 0U);
    EXPECT_EQ(b_.drops().replayed, 1U);
    EXPECT_EQ(a_.drops().expired, 0U);
  }
}

TEST_F(EsnEngineTest, AhGoesOnBeyond2To32) {
  protocol_ = IpsecProtocol::ah;
  up(kHalf - 2);
  for (int i = 0; i < 5; ++i) ASSERT_EQ(carry(), 1U) << i;
  EXPECT_EQ(receive(wire_), 0U);
}

TEST_F(EsnEngineTest, ItNeverWraps) {
  up(UINT64_MAX - 2);
  EXPECT_EQ(carry(), 1U);
  EXPECT_EQ(carry(), 1U);
  EXPECT_EQ(carry(), 0U);
  ASSERT_EQ(sent_.expired.size(), 1U);
}

// Section 3.3.3: "the sender MUST NOT send a packet on an SA if doing so would cause the sequence number to
// cycle".
TEST_F(EsnEngineTest, WithoutItAnSaEndsWithItsNumbers) {
  esn_ = false;
  up(kHalf - 3);
  EXPECT_EQ(carry(), 1U);
  EXPECT_EQ(carry(), 1U);
  EXPECT_EQ(read_esp_header(wire_)->sequence, 0xffff'ffffU);
  EXPECT_EQ(carry(), 0U);
  ASSERT_EQ(sent_.expired.size(), 1U);
  EXPECT_EQ(sent_.expired[0].reqid, Reqid{kReqidBase + 1});
  EXPECT_EQ(a_.drops().expired, 1U);
  EXPECT_EQ(carry(), 0U) << "the SA is gone";
  EXPECT_EQ(a_.drops().no_sa, 1U);
}

TEST_F(EsnEngineTest, TheSoftLimitOfPacketsIsToldOnce) {
  esn_ = false;
  SaSpec out = spec(Direction::out, 0);
  out.soft_packets = 3;
  out.soft_kilobytes = Kilobytes{1000};
  ASSERT_TRUE(a_.protect({out.reqid, out.selectors, out.source, out.id.destination}));
  ASSERT_TRUE(a_.install({&out, 1}, {}));
  std::size_t told = 0;
  for (int i = 1; i <= 6; ++i) {
    carry();
    told += sent_.soft_limits.size();
    EXPECT_EQ(told, i < 3 ? 0U : 1U) << i;
  }
}

}  // namespace
}  // namespace oakgate::soft
