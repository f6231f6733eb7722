#include "xfrm/soft/esp_packet.h"

#include <gtest/gtest.h>

#include <random>

namespace oakgate::soft {
namespace {

struct Algorithms {
  EspCipher cipher{};
  std::optional<Integrity> integrity;
};

std::vector<Algorithms> all_algorithms() {
  std::vector<Algorithms> out;
  for (const EspCipherInfo& cipher : esp_ciphers()) {
    if (cipher.aead()) {
      out.push_back({cipher.id, std::nullopt});
      continue;
    }
    for (const IntegrityInfo& integrity : integrities()) out.push_back({cipher.id, integrity.id});
  }
  return out;
}

class EspPacket : public testing::TestWithParam<Algorithms> {
 protected:
  Bytes random_bytes(std::size_t size) {
    Bytes out(size);
    for (std::uint8_t& byte : out) byte = static_cast<std::uint8_t>(random_());
    return out;
  }
  void SetUp() override {
    const auto [cipher, integrity] = GetParam();
    encryption_key_ = SecretBytes(random_bytes(info(cipher).key_bytes + info(cipher).salt_bytes));
    if (integrity) integrity_key_ = SecretBytes(random_bytes(info(*integrity).key_bytes));
    auto sealer = EspSealer::create(cipher, integrity, encryption_key_, integrity_key_);
    auto opener = EspOpener::create(cipher, integrity, encryption_key_, integrity_key_);
    ASSERT_TRUE(sealer && opener);
    sealer_.emplace(std::move(*sealer));
    opener_.emplace(std::move(*opener));
  }
  Bytes seal(const Bytes& inner, std::uint32_t sequence, std::uint8_t next_header) {
    const EspLayout& layout = sealer_->layout();
    Bytes packet(layout.sealed_size(inner.size()));
    std::copy(inner.begin(), inner.end(), packet.begin() + static_cast<std::ptrdiff_t>(layout.prefix()));
    EXPECT_TRUE(sealer_->seal(packet, {Spi{0x1234'5678}, sequence}, random_bytes(layout.iv), inner.size(),
                              next_header));
    return packet;
  }
  std::mt19937 random_{42};
  SecretBytes encryption_key_;
  SecretBytes integrity_key_;
  std::optional<EspSealer> sealer_;
  std::optional<EspOpener> opener_;
};

TEST_P(EspPacket, OpensWhatWasSealed) {
  for (int round = 0; round < 200; ++round) {
    const Bytes inner = random_bytes(round < 70 ? static_cast<std::size_t>(round) : random_() % 9000);
    const auto next_header = static_cast<std::uint8_t>(random_());
    Bytes packet = seal(inner, static_cast<std::uint32_t>(round), next_header);
    const auto header = read_esp_header(packet);
    ASSERT_TRUE(header);
    EXPECT_EQ(header->spi.value, 0x1234'5678U);
    EXPECT_EQ(header->sequence, static_cast<std::uint32_t>(round));
    const Opened opened = opener_->open(packet);
    ASSERT_EQ(opened.verdict, OpenVerdict::ok) << inner.size();
    EXPECT_EQ(to_bytes(opened.inner), inner);
    EXPECT_EQ(opened.next_header, next_header);
  }
}

TEST_P(EspPacket, RefusesEachFlippedBit) {
  const Bytes packet = seal(random_bytes(41), 7, 4);
  for (std::size_t bit = 0; bit < packet.size() * 8; ++bit) {
    Bytes flipped = packet;
    flipped[bit / 8] = static_cast<std::uint8_t>(flipped[bit / 8] ^ (1U << (bit % 8)));
    EXPECT_EQ(opener_->open(flipped).verdict, OpenVerdict::not_authentic) << bit;
  }
  Bytes whole = packet;
  EXPECT_EQ(opener_->open(whole).verdict, OpenVerdict::ok) << "a refused packet leaves the opener as it was";
}

TEST_P(EspPacket, RefusesEachCut) {
  const Bytes packet = seal(random_bytes(41), 7, 4);
  for (std::size_t size = 0; size < packet.size(); ++size) {
    Bytes cut(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_NE(opener_->open(cut).verdict, OpenVerdict::ok) << size;
  }
}

TEST_P(EspPacket, MaxInnerIsTheLargestThatFits) {
  const EspLayout& layout = sealer_->layout();
  for (std::size_t budget = 0; budget < 1600; ++budget) {
    const std::size_t inner = layout.max_inner(budget);
    if (inner == 0) {
      EXPECT_GT(layout.sealed_size(1), budget);
      continue;
    }
    EXPECT_LE(layout.sealed_size(inner), budget);
    EXPECT_GT(layout.sealed_size(inner + 1), budget);
  }
}

std::string name_of(const Algorithms& algorithms) {
  std::string name(info(algorithms.cipher).name.substr(4));
  if (algorithms.integrity) name += "_" + std::string(info(*algorithms.integrity).name);
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(All, EspPacket, testing::ValuesIn(all_algorithms()),
                         [](const auto& test) { return name_of(test.param); });

TEST(EspTrailer, PaddingIsChecked) {
  EXPECT_EQ(read_trailer(*from_hex("aabb01020204"))->inner_size, 2U);
  EXPECT_EQ(read_trailer(*from_hex("aabb01020204"))->next_header, 4);
  EXPECT_FALSE(read_trailer(*from_hex("aabb01030204"))) << "wrong filler";
  EXPECT_FALSE(read_trailer(*from_hex("0102030504"))) << "longer than the payload";
  EXPECT_EQ(read_trailer(*from_hex("0102030304"))->inner_size, 0U);
  EXPECT_FALSE(read_trailer(*from_hex("04")));
  EXPECT_FALSE(read_trailer({}));
}

// An authentic packet with wrong padding is told from one that is not authentic.
TEST(EspOpener, AuthenticGarbageHasBadPadding) {
  const SecretBytes key(*from_hex("000102030405060708090a0b0c0d0e0f10111213"));
  auto opener = EspOpener::create(EspCipher::gcm_128, std::nullopt, key, {});
  auto gcm = GcmCipher::create("AES-128-GCM", key.view().first(16), CryptDirection::encrypt);
  ASSERT_TRUE(opener && gcm);
  Bytes packet = *from_hex(
      "00000001000000010000000000000001aaaaaaaa"
      "00000000000000000000000000000000");
  const Bytes nonce = *from_hex("101112130000000000000001");
  ASSERT_TRUE(gcm->seal(nonce, ByteView(packet).first(8), std::span(packet).subspan(16, 4),
                        std::span(packet).last(16)));
  EXPECT_EQ(opener->open(packet).verdict, OpenVerdict::bad_padding);
}

// RFC 2410, RFC 4543: what travels is what was given. The ICV of GMAC covers the IV too.
TEST(EspSealer, NullAndGmacDoNotEncrypt) {
  for (const auto& [cipher, integrity] :
       {Algorithms{EspCipher::null, Integrity::sha}, Algorithms{EspCipher::gmac_128, std::nullopt}}) {
    const SecretBytes key(Bytes(info(cipher).key_bytes + info(cipher).salt_bytes, 1));
    auto sealer = EspSealer::create(cipher, integrity, key, SecretBytes(Bytes(integrity ? 20 : 0)));
    ASSERT_TRUE(sealer);
    Bytes packet(sealer->layout().sealed_size(6));
    const auto at = static_cast<std::ptrdiff_t>(sealer->layout().prefix());
    const Bytes inner = *from_hex("450000060102");
    std::copy(inner.begin(), inner.end(), packet.begin() + at);
    ASSERT_TRUE(sealer->seal(packet, {Spi{256}, 1}, Bytes(sealer->layout().iv), inner.size(), 4));
    EXPECT_EQ(to_hex(ByteView(packet).subspan(static_cast<std::size_t>(at), 8)), "4500000601020004");
  }
}

// RFC 4106 section 6: the shorter ICVs are the front of the whole one.
TEST(EspSealer, GcmIcvsAreCutFromOneTag) {
  const SecretBytes key(*from_hex("000102030405060708090a0b0c0d0e0f10111213"));
  std::vector<std::string> tags;
  for (const EspCipher cipher : {EspCipher::gcm_128, EspCipher::gcm12_128, EspCipher::gcm8_128}) {
    auto sealer = EspSealer::create(cipher, std::nullopt, key, {});
    ASSERT_TRUE(sealer);
    Bytes packet(sealer->layout().sealed_size(6));
    ASSERT_TRUE(sealer->seal(packet, {Spi{256}, 1}, Bytes(8), 6, 4));
    tags.push_back(to_hex(ByteView(packet).last(sealer->layout().icv)));
  }
  EXPECT_EQ(tags[0].size(), 32U);
  EXPECT_EQ(tags[1], tags[0].substr(0, 24));
  EXPECT_EQ(tags[2], tags[0].substr(0, 16));
}

TEST(EspSealer, RefusesWrongKeysAndChoices) {
  const SecretBytes k16(Bytes(16));
  const SecretBytes k20(Bytes(20));
  EXPECT_TRUE(EspSealer::create(EspCipher::aes_128, Integrity::sha, k16, k20));
  EXPECT_FALSE(EspSealer::create(EspCipher::aes_128, std::nullopt, k16, {}));
  EXPECT_FALSE(EspSealer::create(EspCipher::gcm_128, Integrity::sha, k20, k20));
  EXPECT_FALSE(EspSealer::create(EspCipher::gcm_128, std::nullopt, k16, {})) << "the salt is missing";
  EXPECT_FALSE(EspSealer::create(EspCipher::aes_256, Integrity::sha, k16, k20));
  const auto wrong = EspSealer::create(EspCipher::aes_128, Integrity::sha256, k16, k20);
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, ErrorCode::unsupported);
  EXPECT_EQ(wrong.error().expected, "32 bytes");
}

}  // namespace
}  // namespace oakgate::soft
