#include "daemon/key_store.h"

#include <gtest/gtest.h>

#include "ike/crypto/prf.h"
#include "ike/crypto/public_key.h"

namespace oakgate {
namespace {

TEST(MemoryKeyStore, ComputesThePrfWithThePeersKey) {
  MemoryKeyStore store;
  PreSharedKeys keys;
  keys.emplace("branch-7", SecretBytes(as_bytes("first key")));
  keys.emplace("branch-8", SecretBytes(as_bytes("second key")));
  store.replace(std::move(keys));
  const auto skeyid = store.prf_with_pre_shared_key("branch-8", IkeHash::sha256, as_bytes("nonces"));
  ASSERT_TRUE(skeyid);
  EXPECT_EQ(*skeyid, *crypto::prf(IkeHash::sha256, as_bytes("second key"), {as_bytes("nonces")}));
}

TEST(MemoryKeyStore, KnowsOnlyItsPeers) {
  MemoryKeyStore store;
  PreSharedKeys keys;
  keys.emplace("branch-7", SecretBytes(as_bytes("a key")));
  store.replace(std::move(keys));
  store.replace({});
  const auto skeyid = store.prf_with_pre_shared_key("branch-7", IkeHash::sha, as_bytes("nonces"));
  ASSERT_FALSE(skeyid);
  EXPECT_EQ(skeyid.error().code, ErrorCode::not_found);
  EXPECT_NE(skeyid.error().text.find("branch-7"), std::string::npos);
}

crypto::PrivateKey make_key() {
  auto key = crypto::PrivateKey::generate_rsa(512);
  EXPECT_TRUE(key) << key.error().text;
  return std::move(*key);
}

class PrivateKeysInStore : public ::testing::Test {
 protected:
  PrivateKeysInStore() {
    PrivateKeys keys;
    keys.emplace("general", StoredKey{make_key()});
    keys.emplace("signs", StoredKey{make_key(), KeyUsage::signature});
    keys.emplace("decrypts", StoredKey{make_key(), KeyUsage::encryption});
    for (const auto& [name, stored] : keys) public_keys_[name] = stored.key.public_key();
    EXPECT_TRUE(store_.replace_private_keys(std::move(keys)));
  }
  bool signs(const std::string& key) {
    const auto signature = store_.sign(key, Bytes(20, 1));
    if (!signature) {
      EXPECT_EQ(signature.error().code, ErrorCode::no_public_key);
    }
    return signature &&
           crypto::verify_signature(public_keys_[key], AuthMethod::rsa_sig, Bytes(20, 1), *signature);
  }
  bool decrypts(const std::string& key) {
    const auto opened = store_.decrypt(key, *crypto::rsa_encrypt(public_keys_[key], Bytes(20, 2)), 8, 40);
    if (!opened) {
      EXPECT_EQ(opened.error().code, ErrorCode::no_public_key);
    }
    return opened && to_bytes(opened->view()) == Bytes(20, 2);
  }
  MemoryKeyStore store_;
  std::map<std::string, Bytes> public_keys_;
};

TEST_F(PrivateKeysInStore, KeepEachToItsPurpose) {
  EXPECT_TRUE(signs("signs"));
  EXPECT_FALSE(decrypts("signs"));
  EXPECT_TRUE(decrypts("decrypts"));
  EXPECT_FALSE(signs("decrypts"));
  EXPECT_TRUE(decrypts("general"));  // the first use decides
  EXPECT_FALSE(signs("general"));
  EXPECT_TRUE(decrypts("general"));
  const auto missing = store_.sign("another", Bytes(20, 1));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::no_public_key);
  EXPECT_NE(missing.error().text.find("another"), std::string::npos);
}

TEST_F(PrivateKeysInStore, RefuseOneKeyUnderTwoNamesForBothPurposes) {
  const auto key = make_key();
  PrivateKeys keys;
  keys.emplace("one", StoredKey{std::move(*crypto::PrivateKey::parse(*key.to_pem())), KeyUsage::signature});
  keys.emplace("two", StoredKey{std::move(*crypto::PrivateKey::parse(*key.to_pem())), KeyUsage::encryption});
  const auto refused = store_.replace_private_keys(std::move(keys));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::configuration);
  EXPECT_TRUE(signs("signs"));  // those from before are still there
}

}  // namespace
}  // namespace oakgate
