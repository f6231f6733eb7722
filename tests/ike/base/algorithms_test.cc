#include "ike/base/algorithms.h"

#include <gtest/gtest.h>

#include <set>

namespace oakgate {
namespace {

// info() indexes the tables by enumerator, so the rows must stand in that order.
TEST(Algorithms, RowsStandInTheOrderOfTheirEnumerators) {
  for (const auto& row : ike_ciphers()) EXPECT_EQ(info(row.id).name, row.name);
  for (const auto& row : ike_hashes()) EXPECT_EQ(info(row.id).name, row.name);
  for (const auto& row : dh_groups()) EXPECT_EQ(info(row.id).name, row.name);
  for (const auto& row : auth_methods()) EXPECT_EQ(info(row.id).name, row.name);
  for (const auto& row : esp_ciphers()) EXPECT_EQ(info(row.id).name, row.name);
  for (const auto& row : integrities()) EXPECT_EQ(info(row.id).name, row.name);
  for (const auto& row : compressions()) EXPECT_EQ(info(row.id).name, row.name);
}

TEST(Algorithms, EveryNameAndWireNumberFindsItsOwnRow) {
  for (const auto& row : ike_ciphers()) {
    EXPECT_EQ(find_ike_cipher(row.name), row.id);
    EXPECT_EQ(find_ike_cipher(row.ios_name), row.id);
    EXPECT_EQ(find_ike_cipher(row.wire, row.wire_key_bits), row.id);
  }
  for (const auto& row : esp_ciphers()) {
    EXPECT_EQ(find_esp_cipher(row.name), row.id);
    EXPECT_EQ(find_esp_cipher(row.ios_name), row.id);
    EXPECT_EQ(find_esp_cipher(row.wire, row.wire_key_bits), row.id);
  }
  for (const auto& row : integrities()) {
    EXPECT_EQ(find_integrity(row.name), row.configurable ? std::optional(row.id) : std::nullopt);
    if (row.configurable) {
      EXPECT_EQ(find_integrity(row.wire), row.id);
    }
  }
  for (const auto& row : compressions()) {
    EXPECT_EQ(find_compression(row.wire), row.id);
    EXPECT_EQ(find_compression(row.name), row.kernel != nullptr ? std::optional(row.id) : std::nullopt);
  }
  for (const auto& row : dh_groups()) EXPECT_EQ(find_dh_group(static_cast<std::uint32_t>(row.id)), row.id);
  for (const auto& row : ike_hashes()) EXPECT_EQ(find_ike_hash(row.wire), row.id);
}

TEST(Algorithms, UnknownNamesAndNumbersFindNothing) {
  EXPECT_FALSE(find_ike_cipher("aes-512"));
  EXPECT_FALSE(find_ike_cipher(5, 192));  // 3DES takes no Key Length, RFC 2409 Appendix A
  EXPECT_FALSE(find_ike_cipher(7, 129));
  EXPECT_FALSE(find_dh_group(0x1000e));  // must not be cut to 16 bits
  EXPECT_FALSE(find_esp_cipher(0, 0));
}

// A peer that proposes AES or Camellia without Key Length means 128 bits, whether or not it answers so to
// ours.
TEST(Algorithms, WithoutAKeyLengthItIs128Bits) {
  EXPECT_EQ(find_ike_cipher(7, 0), IkeCipher::aes_128);
  EXPECT_EQ(find_ike_cipher(8, 0), IkeCipher::camellia_128);
  EXPECT_EQ(find_esp_cipher(12, 0), EspCipher::aes_128);
  EXPECT_EQ(find_esp_cipher(13, 0), EspCipher::ctr_128);
  EXPECT_EQ(find_esp_cipher(20, 0), EspCipher::gcm_128);
  EXPECT_EQ(find_esp_cipher(23, 0), EspCipher::gmac_128);
  EXPECT_EQ(find_esp_cipher(3, 0), EspCipher::des3);
}

// RFC 4868 section 2.3: the integrity check value is half the output; RFC 2403, 2404 and 3566: cut to 96
// bits.
TEST(Algorithms, IntegritySizesFollowTheRfcs) {
  for (const Integrity id : {Integrity::md5, Integrity::sha, Integrity::sha256_96, Integrity::aes_xcbc})
    EXPECT_EQ(info(id).icv_bytes, 12);
  for (const Integrity id : {Integrity::sha256, Integrity::sha384, Integrity::sha512}) {
    EXPECT_EQ(info(id).icv_bytes * 2, info(id).key_bytes);
  }
}

// RFC 4106 section 6: ICVs of 8, 12 and 16 bytes under 18, 19 and 20; RFC 4543 section 3.4: never truncated.
TEST(Algorithms, AeadSizesFollowTheRfcs) {
  for (const auto& row : esp_ciphers()) {
    EXPECT_EQ(row.aead(), row.kind == EspKind::gcm || row.kind == EspKind::gmac) << row.name;
    if (row.kind == EspKind::gcm) {
      EXPECT_EQ(row.icv_bytes, 8 + 4 * (row.wire - 18)) << row.name;
    }
    if (row.kind == EspKind::gmac) {
      EXPECT_EQ(row.icv_bytes, 16) << row.name;
    }
    if (row.kind != EspKind::cbc && row.kind != EspKind::null) {
      EXPECT_EQ(row.salt_bytes + row.iv_bytes, 12) << row.name;
    }
  }
}

TEST(Algorithms, EachWeakOneNeedsItsWord) {
  EXPECT_EQ(info(IkeCipher::des).weak, Weak::des);
  EXPECT_EQ(info(EspCipher::des).weak, Weak::des);
  EXPECT_EQ(info(IkeHash::md5).weak, Weak::md5);
  EXPECT_EQ(info(Integrity::md5).weak, Weak::md5);
  for (const auto& [group, weak] :
       {std::pair{DhGroup::modp768, Weak::group1}, std::pair{DhGroup::modp1024, Weak::group2},
        std::pair{DhGroup::modp1536, Weak::group5}, std::pair{DhGroup::modp1024_160, Weak::group22},
        std::pair{DhGroup::modp2048_224, Weak::group23}, std::pair{DhGroup::modp2048_256, Weak::group24}}) {
    EXPECT_EQ(info(group).weak, weak) << info(group).name;
  }
}

TEST(Algorithms, WeakWordsRoundTripAndAreDistinct) {
  std::set<std::string_view> seen;
  for (const std::string_view word : weak_words()) {
    ASSERT_TRUE(find_weak(word)) << word;
    EXPECT_EQ(weak_word(*find_weak(word)), word);
    EXPECT_TRUE(seen.insert(word).second) << word;
  }
  EXPECT_FALSE(find_weak("group14"));
}

}  // namespace
}  // namespace oakgate
