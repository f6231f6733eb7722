#include "xfrm/soft/hmac_tag.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <numeric>
#include <string>

namespace oakgate::soft {
namespace {

Bytes counting(std::size_t size, std::uint8_t from) {
  Bytes made(size);
  std::iota(made.begin(), made.end(), from);
  return made;
}

Bytes by_openssl(const char* digest, const Bytes& key, const Bytes& data) {
  Bytes tag(EVP_MAX_MD_SIZE);
  unsigned written = 0;
  HMAC(EVP_get_digestbyname(digest), key.data(), static_cast<int>(key.size()), data.data(), data.size(),
       tag.data(), &written);
  tag.resize(written);
  return tag;
}

class EachDigest : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Hmac, EachDigest, testing::Values("MD5", "SHA1", "SHA256", "SHA384", "SHA512"),
                         [](const auto& one) { return std::string(one.param); });

// Around the blocks' bounds, of keys and of data; each key is used for all of the data.
TEST_P(EachDigest, IsWhatOpensslMakes) {
  for (const std::size_t key_size : {1, 16, 20, 63, 64, 65, 127, 128, 129, 300}) {
    const Bytes key = counting(key_size, 3);
    const auto hmac = HmacTag::create(GetParam(), key);
    ASSERT_TRUE(hmac);
    for (const std::size_t size : {0, 1, 55, 56, 63, 64, 65, 111, 112, 127, 128, 129, 1408, 9000}) {
      const Bytes data = counting(size, 9);
      const Bytes expected = by_openssl(GetParam(), key, data);
      Bytes tag(expected.size());
      ASSERT_TRUE(hmac->compute(data, tag));
      EXPECT_EQ(tag, expected) << key_size << " " << size;
      Bytes cut(12);
      ASSERT_TRUE(hmac->compute(data, cut));
      EXPECT_TRUE(std::equal(cut.begin(), cut.end(), expected.begin()));
    }
  }
}

TEST_P(EachDigest, GivesNoMoreThanItHas) {
  const auto hmac = HmacTag::create(GetParam(), counting(20, 1));
  ASSERT_TRUE(hmac);
  Bytes longer(by_openssl(GetParam(), counting(20, 1), {}).size() + 1, 0x5a);
  const Bytes before = longer;
  EXPECT_FALSE(hmac->compute(counting(64, 0), longer));
  EXPECT_EQ(longer, before);
}

TEST(Hmac, NamesTheDigestItDoesNotKnow) {
  const auto hmac = HmacTag::create("SM3", counting(20, 1));
  ASSERT_FALSE(hmac);
  EXPECT_EQ(hmac.error().code, ErrorCode::unsupported);
  EXPECT_NE(hmac.error().text.find("SM3"), std::string::npos);
}

}  // namespace
}  // namespace oakgate::soft
