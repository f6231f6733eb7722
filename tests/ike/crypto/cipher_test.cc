#include "ike/crypto/cipher.h"

#include <gtest/gtest.h>

namespace oakgate::crypto {
namespace {

class EachCipher : public testing::TestWithParam<IkeCipherInfo> {
 protected:
  SecretBytes key_{Bytes(GetParam().key_bytes, 0x5a)};
  Bytes iv_ = Bytes(GetParam().block_bytes, 0xa5);
};

TEST_P(EachCipher, DecryptsWhatItEncryptedWithoutPadding) {
  for (std::size_t blocks = 0; blocks < 5; ++blocks) {
    const Bytes plain(blocks * GetParam().block_bytes, 7);
    const auto secret = encrypt(GetParam().id, key_, iv_, plain);
    ASSERT_TRUE(secret);
    EXPECT_EQ(secret->size(), plain.size());
    EXPECT_EQ(*secret != plain, blocks != 0);
    EXPECT_EQ(decrypt(GetParam().id, key_, iv_, *secret).value(), plain);
  }
}

TEST_P(EachCipher, RefusesWhatIsNotWholeBlocks) {
  for (std::size_t size = 1; size < 3U * GetParam().block_bytes; ++size) {
    if (size % GetParam().block_bytes == 0) continue;
    for (const auto& result :
         {encrypt(GetParam().id, key_, iv_, Bytes(size)), decrypt(GetParam().id, key_, iv_, Bytes(size))}) {
      ASSERT_FALSE(result) << size;
      EXPECT_EQ(result.error().code, ErrorCode::malformed);
      EXPECT_EQ(result.error().notify, NotifyType::payload_malformed);
    }
  }
}

TEST_P(EachCipher, RefusesKeysAndIvsOfAnotherSize) {
  const Bytes block(GetParam().block_bytes);
  for (const int change : {-1, 1}) {
    const SecretBytes key(Bytes(static_cast<std::size_t>(GetParam().key_bytes + change)));
    const Bytes iv(static_cast<std::size_t>(GetParam().block_bytes + change));
    EXPECT_EQ(encrypt(GetParam().id, key, iv_, block).error().code, ErrorCode::internal);
    EXPECT_EQ(decrypt(GetParam().id, key_, iv, block).error().code, ErrorCode::internal);
  }
}

INSTANTIATE_TEST_SUITE_P(Table, EachCipher, testing::ValuesIn(ike_ciphers().begin(), ike_ciphers().end()),
                         [](const auto& cipher) {
                           std::string name(cipher.param.name);
                           for (char& c : name) c = c == '-' ? '_' : c;
                           return name;
                         });

}  // namespace
}  // namespace oakgate::crypto
