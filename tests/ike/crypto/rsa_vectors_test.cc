// Wycheproof's RSA PKCS#1 version 1.5 decryptions: valid ones give their message; invalid ones never an
// error, but bytes that have nothing to do with it, the same each time.
#include <gtest/gtest.h>

#include "ike/crypto/private_key.h"
#include "tests/support/json.h"

namespace oakgate::crypto {
namespace {

using oakgate::test::hex;
using oakgate::test::read_json;

struct Count {
  int valid = 0;
  int invalid = 0;
};

void check(const PrivateKey& key, const nlohmann::json& vector, Count& count) {
  const Bytes block = hex(vector, "ct");
  const Bytes message = hex(vector, "msg");
  const std::string what = vector.at("tcId").dump() + ": " + vector.at("comment").get<std::string>();
  // Nothing is left out: any length may come.
  const auto opened = key.decrypt(block, 0, 4096);
  ASSERT_TRUE(opened) << what << ": " << opened.error().text;
  if (vector.at("result") == "valid") {
    ++count.valid;
    EXPECT_EQ(to_hex(opened->view()), to_hex(message)) << what;
    // Within other bounds it would be refused, unseen.
    const auto bounded = key.decrypt(block, message.size() + 1, message.size() + 1);
    EXPECT_EQ(bounded.has_value(), message.size() + 11 < key.info().block_bytes) << what;
    if (bounded) {
      EXPECT_EQ(bounded->size(), message.size() + 1) << what;
    }
    return;
  }
  ++count.invalid;
  // 32 bytes at least, so that chance cannot make it the message.
  const auto substitute = key.decrypt(block, 32, 64);
  const auto exact = key.decrypt(block, 64, 64);
  ASSERT_TRUE(substitute && exact) << what;
  EXPECT_GE(substitute->size(), 32U) << what;
  EXPECT_LE(substitute->size(), 64U) << what;
  EXPECT_EQ(to_hex(substitute->view()), to_hex(exact->view().first(substitute->size()))) << what;
  EXPECT_EQ(*opened, *key.decrypt(block, 0, 4096)) << what;
}

TEST(RsaDecryption, Wycheproof) {
  Count count;
  for (const char* bits : {"2048", "3072"}) {
    const auto vectors = read_json("tests/vectors/wycheproof/rsa_pkcs1_" + std::string(bits) + "_test.json");
    for (const auto& group : vectors.at("testGroups")) {
      const auto key = PrivateKey::parse(SecretBytes(hex(group, "privateKeyPkcs8")));
      ASSERT_TRUE(key) << key.error().text;
      EXPECT_EQ(key->info().bits, std::stoi(bits));
      EXPECT_EQ(PrivateKey::parse(SecretBytes(as_bytes(group.at("privateKeyPem").get<std::string>())))
                    ->public_key(),
                key->public_key());
      for (const auto& vector : group.at("tests")) check(*key, vector, count);
    }
  }
  EXPECT_EQ(count.valid, 83);
  EXPECT_EQ(count.invalid, 51);
}

}  // namespace
}  // namespace oakgate::crypto
