#include "ike/crypto/prf.h"

#include <gtest/gtest.h>

namespace oakgate::crypto {
namespace {

TEST(Hash, ConcatenatesItsParts) {
  // FIPS 180: SHA-1("abc"), SHA-256("").
  EXPECT_EQ(to_hex(hash(IkeHash::sha, {as_bytes("a"), {}, as_bytes("bc")}).value()),
            "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(to_hex(hash(IkeHash::sha256, {}).value()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Prf, ConcatenatesItsParts) {
  const Bytes key(20, 0x0b);
  EXPECT_EQ(prf(IkeHash::sha256, key, {as_bytes("Hi "), {}, as_bytes("There")}).value(),
            prf(IkeHash::sha256, key, {as_bytes("Hi There")}).value());
}

TEST(Prf, AnEmptyKeyIsAnEmptyKey) {
  // HMAC-SHA-1 and HMAC-SHA-256 of nothing with an empty key, and after another key was used.
  ASSERT_TRUE(prf(IkeHash::sha, Bytes(20, 1), {}));
  EXPECT_EQ(to_hex(prf(IkeHash::sha, {}, {}).value().view()), "fbdb1d1b18aa6c08324b7d64b71fb76370690e1d");
  EXPECT_EQ(to_hex(prf(IkeHash::sha256, {}, {}).value().view()),
            "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

TEST(Prf, IsAsLongAsTheTableSays) {
  for (const IkeHashInfo& row : ike_hashes()) {
    EXPECT_EQ(prf(row.id, as_bytes("key"), {}).value().size(), row.bytes) << row.name;
    EXPECT_EQ(hash(row.id, {}).value().size(), row.bytes) << row.name;
  }
}

}  // namespace
}  // namespace oakgate::crypto
