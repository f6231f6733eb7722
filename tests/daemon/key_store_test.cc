#include "daemon/key_store.h"

#include <gtest/gtest.h>

#include "ike/crypto/prf.h"

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

}  // namespace
}  // namespace oakgate
