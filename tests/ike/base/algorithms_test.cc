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
    EXPECT_EQ(find_integrity(row.name), row.id);
    EXPECT_EQ(find_integrity(row.wire), row.id);
  }
  for (const auto& row : dh_groups()) EXPECT_EQ(find_dh_group(static_cast<std::uint32_t>(row.id)), row.id);
  for (const auto& row : ike_hashes()) EXPECT_EQ(find_ike_hash(row.wire), row.id);
}

TEST(Algorithms, UnknownNamesAndNumbersFindNothing) {
  EXPECT_FALSE(find_ike_cipher("aes-512"));
  EXPECT_FALSE(find_ike_cipher(7, 0));  // AES without a key length
  EXPECT_FALSE(find_ike_cipher(7, 129));
  EXPECT_FALSE(find_dh_group(0x1000e));  // must not be cut to 16 bits
  EXPECT_FALSE(find_esp_cipher(0, 0));
}

// RFC 4868 section 2.3: the integrity check value is half the output; RFC 2404: SHA-1 is cut to 96 bits.
TEST(Algorithms, IntegritySizesFollowTheRfcs) {
  EXPECT_EQ(info(Integrity::sha).icv_bytes, 12);
  for (const Integrity id : {Integrity::sha256, Integrity::sha384, Integrity::sha512}) {
    EXPECT_EQ(info(id).icv_bytes * 2, info(id).key_bytes);
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
