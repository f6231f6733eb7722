#include "xfrm/soft/crypto_choice.h"

#include <gtest/gtest.h>

#include "xfrm/soft/crypto_engines.h"
#include "xfrm/soft/crypto_proof.h"
#include "xfrm/soft/esp_packet.h"

namespace oakgate::soft {
namespace {

class CryptoChoiceTest : public testing::Test {
 protected:
  ~CryptoChoiceTest() override { (void)use_crypto_engine("auto"); }
};

TEST_F(CryptoChoiceTest, EachAlgorithmHasItsReason) {
  const MultiBufferLibrary& library = multi_buffer_library();
  for (const CryptoAlgorithmInfo& row : crypto_algorithms()) {
    const CryptoChoice choice = crypto_choice(row.id);
    const bool des = row.id == CryptoAlgorithm::des || row.id == CryptoAlgorithm::des3;
    const bool ours = library.usable && row.id != CryptoAlgorithm::camellia && (library.des || !des);
    EXPECT_EQ(choice.backend == CryptoBackend::ipsec_mb, ours) << row.name << ": " << choice.why;
    EXPECT_EQ(choice.backend, crypto_backend(row.id)) << row.name;
    EXPECT_TRUE(choice.name.starts_with(ours ? "ipsec-mb " : "OpenSSL 3")) << choice.name;
    EXPECT_FALSE(choice.why.empty()) << row.name;
  }
}

TEST_F(CryptoChoiceTest, EveryAlgorithmOfTheTableIsOneOfThem) {
  for (const EspCipherInfo& cipher : esp_ciphers()) {
    EXPECT_EQ(crypto_algorithm(cipher.id).has_value(), cipher.kind != EspKind::null) << cipher.name;
  }
  EXPECT_EQ(crypto_algorithm(EspCipher::camellia_192), CryptoAlgorithm::camellia);
  EXPECT_EQ(crypto_algorithm(EspCipher::aes_192), CryptoAlgorithm::cbc);
  EXPECT_EQ(crypto_algorithm(EspCipher::gmac_256), CryptoAlgorithm::gcm);
  EXPECT_EQ(crypto_algorithm(Integrity::sha256_96), CryptoAlgorithm::sha256);
  EXPECT_EQ(crypto_algorithm(Integrity::aes_xcbc), CryptoAlgorithm::xcbc);
}

TEST_F(CryptoChoiceTest, OpensslAlone) {
  ASSERT_TRUE(use_crypto_engine("openssl"));
  for (const CryptoAlgorithmInfo& row : crypto_algorithms()) {
    EXPECT_EQ(crypto_backend(row.id), CryptoBackend::openssl) << row.name;
  }
  const auto engines = crypto_engines();
  ASSERT_EQ(engines.size(), 1U) << "one engine for one reason";
  EXPECT_NE(engines[0].why.find("OAKGATE_CRYPTO_ENGINE=openssl"), std::string::npos) << engines[0].why;
  EXPECT_NE(engines[0].algorithms.find("AES-GCM, AES-GMAC, AES-CBC"), std::string::npos);
  auto tag = IntegrityTag::create(Integrity::sha, SecretBytes(Bytes(20)));
  ASSERT_TRUE(tag);
  EXPECT_FALSE(tag->together());
}

TEST_F(CryptoChoiceTest, RefusesAnEngineThatIsNone) {
  const auto refused = use_crypto_engine("qat");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::configuration);
  EXPECT_EQ(refused.error().expected, "auto or openssl");
  EXPECT_NE(refused.error().text.find("qat"), std::string::npos);
}

TEST_F(CryptoChoiceTest, TheProofsHoldWhereTheLibraryIsUsable) {
  const MultiBufferLibrary& library = multi_buffer_library();
  EXPECT_EQ(gcm_agrees_with_openssl(), library.usable);
  for (std::size_t lane = 0; lane < kTagLanes; ++lane) {
    EXPECT_EQ(agrees_with_openssl(static_cast<TagLane>(lane)), library.usable) << lane;
  }
  for (std::size_t lane = 0; lane < kCipherLanes; ++lane) {
    const bool des =
        static_cast<CipherLane>(lane) == CipherLane::des3 || static_cast<CipherLane>(lane) == CipherLane::des;
    EXPECT_EQ(agrees_with_openssl(static_cast<CipherLane>(lane)), library.usable && (library.des || !des))
        << lane;
  }
}

TEST(MultiBuffer, IsAskedForNothingItCannotDo) {
  if (!multi_buffer_library().usable) return;
  EXPECT_FALSE(MultiBufferTag::create(TagLane::sha1, Bytes(65))) << "longer than the block";
  EXPECT_FALSE(MultiBufferTag::create(TagLane::xcbc, Bytes(20)));
  EXPECT_FALSE(MultiBufferCipher::create(CipherLane::cbc_128, Bytes(24), CryptDirection::encrypt));
  EXPECT_FALSE(MultiBufferGcm::create(Bytes(20)));
  const MultiBufferTag mac = MultiBufferTag::create(TagLane::sha1, Bytes(20));
  Bytes tag(kMaxTag);
  const Bytes large(kMaxMultiBuffer + 1);
  for (const ByteView data : {ByteView(), ByteView(large)}) {
    const MultiBufferTag::Job job{&mac, data, tag.data()};
    EXPECT_FALSE(MultiBufferTag::run({&job, 1})) << data.size();
  }
  EXPECT_EQ(tag, Bytes(kMaxTag));
}

}  // namespace
}  // namespace oakgate::soft
