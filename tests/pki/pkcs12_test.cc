#include "pki/pkcs12.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/provider.h>

#include "tests/pki/support/ca.h"

namespace oakgate::pki {
namespace {

using testing::HasSubstr;
using CertificateStack = crypto::Owned<STACK_OF(X509), [](STACK_OF(X509) * stack) { sk_X509_free(stack); }>;
using Pkcs12Object = crypto::Owned<PKCS12, PKCS12_free>;

struct Made {
  test::TestCa ca;
  Bytes leaf = ca.issue();
  // NIDs: 0 for OpenSSL's choice (AES), -1 for no encryption.
  [[nodiscard]] Bytes file(int key_cipher, int certificate_cipher, EVP_PKEY* key = test::rsa_key(1)) const {
    const crypto::Owned<OSSL_LIB_CTX, OSSL_LIB_CTX_free> library(OSSL_LIB_CTX_new());
    const crypto::Owned<OSSL_PROVIDER, OSSL_PROVIDER_unload> plain(
        OSSL_PROVIDER_load(library.get(), "default"));
    const crypto::Owned<OSSL_PROVIDER, OSSL_PROVIDER_unload> old(OSSL_PROVIDER_load(library.get(), "legacy"));
    const Certificate own = Certificate::parse(leaf).value();
    const Certificate root = Certificate::parse(ca.certificate()).value();
    const CertificateStack others(sk_X509_new_null());
    sk_X509_push(others.get(), root.native());
    const Pkcs12Object object(PKCS12_create_ex("pass phrase", "name", key, own.native(), others.get(),
                                               key_cipher, certificate_cipher, 2000, 2000, 0, library.get(),
                                               nullptr));
    EXPECT_NE(object, nullptr) << ERR_reason_error_string(ERR_peek_last_error());
    return encode(object.get(), i2d_PKCS12);
  }
};

SecretBytes passphrase(std::string_view text = "pass phrase") {
  return SecretBytes(as_bytes(text));
}

std::string refusal(const Result<Pkcs12>& result) {
  EXPECT_FALSE(result);
  EXPECT_EQ(ERR_peek_error(), 0UL);
  if (result) return {};
  EXPECT_EQ(result.error().code, ErrorCode::configuration);
  return result.error().text;
}

TEST(Pkcs12, NewAndOldFilesOpen) {
  const Made made;
  const int kRc2 = NID_pbe_WithSHA1And40BitRC2_CBC;
  const int kTripleDes = NID_pbe_WithSHA1And3_Key_TripleDES_CBC;
  for (const auto& [key, certificate] :
       {std::pair(0, 0), std::pair(kTripleDes, kRc2), std::pair(kTripleDes, -1)}) {
    const auto opened = read_pkcs12(made.file(key, certificate), passphrase());
    ASSERT_TRUE(opened) << opened.error().text;
    EXPECT_EQ(opened->certificate.der(), made.leaf);
    EXPECT_EQ(opened->key.public_key(), test::public_key_der(test::rsa_key(1)));
    ASSERT_EQ(opened->chain.size(), 1U);
    EXPECT_EQ(opened->chain[0].der(), made.ca.certificate());
    EXPECT_TRUE(opened->key.sign(Bytes(20, 7)));  // usable outside the old ciphers' context
  }
  // They stay out of everybody else's reach.
  EXPECT_EQ(OSSL_PROVIDER_available(nullptr, "legacy"), 0);
}

TEST(Pkcs12, RefusalsSayWhatIsWrong) {
  const Made made;
  const Bytes good = made.file(0, 0);
  EXPECT_THAT(refusal(read_pkcs12(good, passphrase("wrong"))), HasSubstr("passphrase"));
  EXPECT_THAT(refusal(read_pkcs12(good, passphrase(""))), HasSubstr("passphrase"));
  EXPECT_THAT(refusal(read_pkcs12(good, SecretBytes(Bytes(2000, 'x')))), HasSubstr("1024"));
  EXPECT_THAT(refusal(read_pkcs12(Bytes{}, passphrase())), HasSubstr("0 bytes"));
  EXPECT_THAT(refusal(read_pkcs12(made.leaf, passphrase())), HasSubstr("none"));
  EXPECT_THAT(refusal(read_pkcs12(made.file(0, 0, nullptr), passphrase())), HasSubstr("no private key"));
  for (std::size_t size = 1; size < good.size(); size += 97) {
    static_cast<void>(refusal(read_pkcs12(ByteView(good).first(size), passphrase())));
  }
}

}  // namespace
}  // namespace oakgate::pki
