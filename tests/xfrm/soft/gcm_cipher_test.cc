#include "xfrm/soft/gcm_cipher.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/xfrm/soft/crypto_backends.h"

namespace oakgate::soft {
namespace {

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_(seed) {}
  std::size_t below(std::size_t bound) { return engine_() % bound; }
  Bytes bytes(std::size_t size) {
    Bytes out(size);
    for (std::uint8_t& byte : out) byte = static_cast<std::uint8_t>(engine_());
    return out;
  }

 private:
  std::mt19937_64 engine_;
};

TEST(GcmCipher, TakesIpsecMbWhereItIsUsable) {
  const CryptoChoice choice = crypto_choice(CryptoAlgorithm::gcm);
  EXPECT_EQ(choice.backend == CryptoBackend::ipsec_mb, multi_buffer_library().usable) << choice.why;
  EXPECT_FALSE(choice.why.empty());
  EXPECT_TRUE(choice.name.starts_with(multi_buffer_library().usable ? "ipsec-mb " : "OpenSSL 3"))
      << choice.name;
}

// What one of them seals the other opens: random keys, sizes and tags, GMAC among them.
TEST(GcmCipher, BackendsGiveTheSameBytes) {
  constexpr std::array kNames{"AES-128-GCM", "AES-192-GCM", "AES-256-GCM"};
  constexpr std::array<std::size_t, 3> kTags{8, 12, 16};
  const CryptoBackend other = crypto_backends().back();
  Dice dice(1);
  for (int round = 0; round < 1000; ++round) {
    const std::size_t size = dice.below(kNames.size());
    const Bytes key = dice.bytes(16 + 8 * size);
    auto sealer = GcmCipher::create(kNames.at(size), key, CryptDirection::encrypt, CryptoBackend::openssl);
    auto opener = GcmCipher::create(kNames.at(size), key, CryptDirection::decrypt, other);
    auto back_sealer = GcmCipher::create(kNames.at(size), key, CryptDirection::encrypt, other);
    auto back_opener =
        GcmCipher::create(kNames.at(size), key, CryptDirection::decrypt, CryptoBackend::openssl);
    ASSERT_TRUE(sealer && opener && back_sealer && back_opener);
    for (int packet = 0; packet < 100; ++packet) {
      const bool gmac = dice.below(10) == 0;
      const Bytes aad = dice.bytes(gmac ? dice.below(1600) : 8 + 4 * dice.below(2));
      const Bytes plain = gmac ? Bytes{} : dice.bytes(dice.below(1600));
      const Bytes nonce = dice.bytes(GcmCipher::kNonceBytes);
      Bytes tag(kTags.at(dice.below(kTags.size())));
      GcmCipher& seals = *(packet % 2 == 0 ? sealer : back_sealer);
      GcmCipher& opens = *(packet % 2 == 0 ? opener : back_opener);
      Bytes data = plain;
      ASSERT_TRUE(seals.seal(nonce, aad, data, tag));
      Bytes spoiled = data;
      ASSERT_TRUE(opens.open(nonce, aad, data, tag)) << "round " << round << ", packet " << packet;
      ASSERT_EQ(data, plain);
      tag[dice.below(tag.size())] ^= 0x10;
      ASSERT_FALSE(opens.open(nonce, aad, spoiled, tag));
    }
  }
}

class EachBackend : public testing::TestWithParam<CryptoBackend> {};
INSTANTIATE_TEST_SUITE_P(GcmCipher, EachBackend, testing::ValuesIn(crypto_backends()));

TEST_P(EachBackend, RefusesWrongLengths) {
  const Bytes key(16, 1);
  auto cipher = GcmCipher::create("AES-128-GCM", key, CryptDirection::encrypt, GetParam());
  ASSERT_TRUE(cipher);
  Bytes data(16);
  Bytes tag(16);
  EXPECT_FALSE(cipher->seal(Bytes(11), {}, data, tag));
  EXPECT_FALSE(cipher->seal(Bytes(13), {}, data, tag));
  for (const std::size_t size : {0, 4, 7, 11, 15, 17}) {
    Bytes odd(size);
    EXPECT_FALSE(cipher->seal(Bytes(12), {}, data, odd)) << size;
    EXPECT_FALSE(cipher->open(Bytes(12), {}, data, odd)) << size;
  }
  EXPECT_FALSE(GcmCipher::create("AES-128-GCM", Bytes(24), CryptDirection::encrypt, GetParam()));
  EXPECT_FALSE(GcmCipher::create("AES-256-GCM", key, CryptDirection::encrypt, GetParam()));
}

}  // namespace
}  // namespace oakgate::soft
