// Private and public keys: what one makes the other undoes, for every size and kind we speak; files of every
// form; the bounds on modulus and exponent. What is decrypted is looked at in rsa_decrypt_test.cc.
#include "ike/crypto/private_key.h"

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <string>

#include "ike/crypto/pkcs1.h"

namespace oakgate::crypto {
namespace {

using Bio = Owned<BIO, BIO_free>;

PrivateKey make(int bits) {
  auto key = PrivateKey::generate_rsa(bits);
  EXPECT_TRUE(key) << key.error().text;
  return std::move(*key);
}

// One key serves all tests: making it is what takes long.
const PrivateKey& rsa_1024() {
  static const PrivateKey key = make(1024);
  return key;
}

SecretBytes drain(const Bio& bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return SecretBytes(as_bytes({data, static_cast<std::size_t>(size)}));
}

std::string text(const SecretBytes& secret) {
  return {secret.view().begin(), secret.view().end()};
}
SecretBytes secret(std::string_view text) {
  return SecretBytes(as_bytes(text));
}

// An RSA public key of any numbers, as DER.
Bytes spki(const BIGNUM* n, const BIGNUM* e) {
  const ParameterBuilder builder(OSSL_PARAM_BLD_new());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n);
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e);
  const Parameters parameters(OSSL_PARAM_BLD_to_param(builder.get()));
  const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
  EVP_PKEY* key = nullptr;
  EVP_PKEY_fromdata_init(context.get());
  EXPECT_EQ(EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters.get()), 1);
  const Key owned(key);
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key, &der);
  EXPECT_GT(size, 0);
  Bytes out(der, der + size);
  OPENSSL_free(der);
  return out;
}
BigNumber odd_number(int bits) {
  BigNumber n(BN_new());
  BN_set_bit(n.get(), bits - 1);
  BN_set_bit(n.get(), 0);
  return n;
}
BigNumber word(std::uint64_t value) {
  BigNumber n(BN_new());
  BN_set_word(n.get(), value);
  return n;
}

TEST(PrivateKey, SignsBareHashes) {
  for (const std::size_t size : {20U, 32U, 48U, 64U}) {
    const Bytes hash(size, 0x5a);
    const auto signature = rsa_1024().sign(hash);
    ASSERT_TRUE(signature) << signature.error().text;
    EXPECT_TRUE(verify_signature(rsa_1024().public_key(), AuthMethod::rsa_sig, hash, *signature));
    Bytes other = hash;
    other.back() ^= 1;
    const auto refused = verify_signature(rsa_1024().public_key(), AuthMethod::rsa_sig, other, *signature);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::signature_invalid);
  }
}

TEST(PrivateKey, SignsAsRfc4754) {
  struct Row {
    KeyKind curve;
    std::size_t hash;
    std::size_t signature;
  };
  for (const Row& row :
       {Row{KeyKind::ec_p256, 32, 64}, Row{KeyKind::ec_p384, 48, 96}, Row{KeyKind::ec_p521, 64, 132}}) {
    const auto key = PrivateKey::generate_ec(row.curve);
    ASSERT_TRUE(key) << key.error().text;
    const Bytes hash(row.hash, 0x77);
    // Numbers below a byte's worth are rare: enough signatures to meet some that begin with zeros.
    for (int i = 0; i < 40; ++i) {
      auto signature = key->sign(hash);
      ASSERT_TRUE(signature);
      ASSERT_EQ(signature->size(), row.signature);
      EXPECT_TRUE(verify_signature(key->public_key(), AuthMethod::ecdsa_sig, hash, *signature));
      EXPECT_FALSE(verify_signature(key->public_key(), AuthMethod::rsa_sig, hash, *signature));
      signature->back() ^= 1;
      EXPECT_FALSE(verify_signature(key->public_key(), AuthMethod::ecdsa_sig, hash, *signature));
    }
    EXPECT_FALSE(
        verify_signature(key->public_key(), AuthMethod::ecdsa_sig, Bytes(20, 1), Bytes(row.signature)));
    EXPECT_FALSE(key->decrypt(Bytes(64), 8, 16));
  }
}

// The block is compared as a whole: signatures whose recovered block only looks right do not verify.
TEST(VerifySignature, ComparesTheWholeBlock) {
  const PrivateKey& key = rsa_1024();
  const Bytes hash(20, 0x42);
  const Bytes good = type1_block(hash, 128);
  const auto sign_raw = [&](const Bytes& block) {
    const KeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key.native(), nullptr));
    Bytes out(128);
    std::size_t size = out.size();
    EVP_PKEY_sign_init(context.get());
    EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_NO_PADDING);
    EXPECT_EQ(EVP_PKEY_sign(context.get(), out.data(), &size, block.data(), block.size()), 1);
    return out;
  };
  const auto verifies = [&](const Bytes& signature) {
    return verify_signature(key.public_key(), AuthMethod::rsa_sig, hash, signature).has_value();
  };
  EXPECT_TRUE(verifies(sign_raw(good)));
  for (std::size_t i = 0; i < good.size(); ++i) {
    Bytes bad = good;
    bad[i] ^= i == 0 ? 0x01 : 0x80;
    if (i == 0) continue;  // might exceed the modulus
    EXPECT_FALSE(verifies(sign_raw(bad))) << i;
  }
  // The hash early, garbage behind it: what broke verifiers that parse (CVE-2006-4339).
  Bytes forged(128, 0x33);
  const Bytes head = type1_block(hash, 20 + 11);
  std::copy(head.begin(), head.end(), forged.begin());
  EXPECT_FALSE(verifies(sign_raw(forged)));
  // A byte too long, too short, and s + n.
  Bytes longer = sign_raw(good);
  longer.insert(longer.begin(), 0);
  EXPECT_FALSE(verifies(longer));
  Bytes shorter = sign_raw(good);
  shorter.pop_back();
  EXPECT_FALSE(verifies(shorter));
  EXPECT_FALSE(verifies(Bytes(128, 0xff)));
  EXPECT_FALSE(verifies({}));
}

TEST(VerifySignature, RefusesAModulusTooShortForTheHash) {
  const PrivateKey key = make(512);
  EXPECT_TRUE(key.sign(Bytes(48, 1)));
  EXPECT_EQ(key.sign(Bytes(64, 1)).error().code, ErrorCode::key_too_small);
  EXPECT_FALSE(verify_signature(key.public_key(), AuthMethod::rsa_sig, Bytes(64, 1), Bytes(64, 1)));
}

TEST(PublicKeyInfo, BoundsModulusAndExponent) {
  const auto check = [](int bits, std::uint64_t e) {
    return public_key_info(spki(odd_number(bits).get(), word(e).get()));
  };
  for (const int bits : {512, 1024, 2048, 8192}) {
    const auto info = check(bits, 65537);
    ASSERT_TRUE(info) << bits;
    EXPECT_EQ(info->bits, bits);
    EXPECT_EQ(info->block_bytes, static_cast<std::size_t>(bits) / 8);
  }
  EXPECT_EQ(check(1023, 3)->block_bytes, 128U);
  EXPECT_TRUE(check(1024, 3));
  EXPECT_TRUE(check(1024, 0xffffffffffffffff));
  for (const int bits : {256, 511, 8193, 9000})
    EXPECT_EQ(check(bits, 65537).error().code, ErrorCode::key_too_small) << bits;
  for (const std::uint64_t e : {1U, 2U, 4U, 65536U})
    EXPECT_EQ(check(1024, e).error().code, ErrorCode::key_too_small) << e;
  EXPECT_EQ(public_key_info(spki(odd_number(1024).get(), odd_number(65).get())).error().code,
            ErrorCode::key_too_small);
  BigNumber even = odd_number(1024);
  BN_clear_bit(even.get(), 0);
  EXPECT_FALSE(public_key_info(spki(even.get(), word(3).get())));
}

TEST(PublicKeyInfo, RefusesWhatIsNoKey) {
  const Bytes& good = rsa_1024().public_key();
  Bytes behind = good;
  behind.push_back(0);
  EXPECT_EQ(public_key_info(behind).error().code, ErrorCode::malformed);
  for (std::size_t cut = 0; cut < good.size(); ++cut) {
    EXPECT_FALSE(public_key_info(ByteView(good).first(cut))) << cut;
  }
  EXPECT_FALSE(public_key_info(Bytes(70000, 0x30)));
  const Key x25519(EVP_PKEY_Q_keygen(nullptr, nullptr, "X25519"));
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(x25519.get(), &der);
  EXPECT_EQ(public_key_info({der, static_cast<std::size_t>(size)}).error().code, ErrorCode::unsupported);
  OPENSSL_free(der);
  const Key p224(EVP_EC_gen("P-224"));
  EXPECT_EQ(PrivateKey::adopt(Key(EVP_EC_gen("P-224"))).error().code, ErrorCode::unsupported);
}

TEST(ParsePublicKey, ReadsEveryForm) {
  const Bytes& expected = rsa_1024().public_key();
  EXPECT_EQ(parse_public_key(expected).value(), expected);
  EVP_PKEY* key = rsa_1024().native();
  {
    const Bio bio(BIO_new(BIO_s_mem()));
    PEM_write_bio_PUBKEY(bio.get(), key);
    EXPECT_EQ(parse_public_key(drain(bio).view()).value(), expected);
  }
  {
    unsigned char* der = nullptr;
    const int size = i2d_PublicKey(key, &der);
    EXPECT_EQ(parse_public_key({der, static_cast<std::size_t>(size)}).value(), expected);
    const Bio bio(BIO_new(BIO_s_mem()));
    PEM_write_bio(bio.get(), "RSA PUBLIC KEY", "", der, size);
    EXPECT_EQ(parse_public_key(drain(bio).view()).value(), expected);
    OPENSSL_free(der);
  }
  const Owned<X509, X509_free> certificate(X509_new());
  X509_set_pubkey(certificate.get(), key);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), 0);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
  ASSERT_GT(X509_sign(certificate.get(), key, EVP_sha256()), 0);
  const Bio bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(bio.get(), certificate.get());
  EXPECT_EQ(parse_public_key(drain(bio).view()).value(), expected);
  EXPECT_FALSE(parse_public_key(as_bytes("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")));
  EXPECT_FALSE(parse_public_key(as_bytes("no key")));
  EXPECT_FALSE(parse_public_key({}));
}

TEST(PrivateKeyFile, ReadsEveryForm) {
  EVP_PKEY* key = rsa_1024().native();
  const auto is_same = [&](const SecretBytes& file) {
    const auto parsed = PrivateKey::parse(file);
    EXPECT_TRUE(parsed) << parsed.error().text;
    return parsed && parsed->public_key() == rsa_1024().public_key();
  };
  const auto pem = rsa_1024().to_pem();
  ASSERT_TRUE(pem);
  EXPECT_TRUE(text(*pem).starts_with("-----BEGIN PRIVATE KEY-----\n"));
  EXPECT_TRUE(is_same(*pem));
  {
    const Bio bio(BIO_new(BIO_s_mem()));
    PEM_write_bio_PrivateKey_traditional(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
    const SecretBytes traditional = drain(bio);
    EXPECT_TRUE(text(traditional).starts_with("-----BEGIN RSA PRIVATE KEY-----\n"));
    EXPECT_TRUE(is_same(traditional));
    // Behind other blocks, as in a file that holds everything.
    EXPECT_TRUE(is_same(
        secret("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" + text(traditional))));
  }
  unsigned char* der = nullptr;
  const int size = i2d_PrivateKey(key, &der);
  const SecretBytes plain(ByteView(der, static_cast<std::size_t>(size)));
  OPENSSL_free(der);
  EXPECT_TRUE(is_same(plain));
  Bytes behind = to_bytes(plain.view());
  behind.push_back(0);
  EXPECT_FALSE(PrivateKey::parse(SecretBytes(std::move(behind))));
  for (std::size_t cut = 0; cut < plain.size(); cut += 7)
    EXPECT_FALSE(PrivateKey::parse(plain.slice(0, cut)));
}

TEST(PrivateKeyFile, ReadsEcKeysBehindTheirParameters) {
  const auto key = PrivateKey::generate_ec(KeyKind::ec_p256);
  ASSERT_TRUE(key);
  const Bio bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PrivateKey_traditional(bio.get(), key->native(), nullptr, nullptr, 0, nullptr, nullptr);
  const auto parsed = PrivateKey::parse(secret(
      "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n" + text(drain(bio))));
  ASSERT_TRUE(parsed) << parsed.error().text;
  EXPECT_EQ(parsed->public_key(), key->public_key());
}

TEST(PrivateKeyFile, RefusesEncryptedOnesClearly) {
  EVP_PKEY* key = rsa_1024().native();
  const auto expect_refused = [](const SecretBytes& file) {
    const auto parsed = PrivateKey::parse(file);
    ASSERT_FALSE(parsed);
    EXPECT_EQ(parsed.error().code, ErrorCode::configuration);
    EXPECT_NE(parsed.error().text.find("encrypted with a passphrase"), std::string::npos)
        << parsed.error().text;
    EXPECT_EQ(parsed.error().remedy.find("openssl pkey"), std::string("decrypt it once: `").size());
  };
  char passphrase[] = "passphrase";
  const auto* bytes = reinterpret_cast<const unsigned char*>(passphrase);
  {
    const Bio bio(BIO_new(BIO_s_mem()));
    PEM_write_bio_PKCS8PrivateKey(bio.get(), key, EVP_aes_128_cbc(), passphrase, 10, nullptr, nullptr);
    expect_refused(drain(bio));
  }
  {
    const Bio bio(BIO_new(BIO_s_mem()));
    PEM_write_bio_PrivateKey_traditional(bio.get(), key, EVP_aes_128_cbc(), bytes, 10, nullptr, nullptr);
    expect_refused(drain(bio));
  }
  const Bio bio(BIO_new(BIO_s_mem()));
  i2d_PKCS8PrivateKey_bio(bio.get(), key, EVP_aes_128_cbc(), passphrase, 10, nullptr, nullptr);
  expect_refused(drain(bio));
}

TEST(PrivateKeyFile, RefusesHalvesThatDoNotBelongTogether) {
  const PrivateKey other = make(1024);
  BIGNUM* n = nullptr;
  BIGNUM* e = nullptr;
  BIGNUM* d = nullptr;
  EVP_PKEY_get_bn_param(rsa_1024().native(), OSSL_PKEY_PARAM_RSA_N, &n);
  EVP_PKEY_get_bn_param(rsa_1024().native(), OSSL_PKEY_PARAM_RSA_E, &e);
  EVP_PKEY_get_bn_param(other.native(), OSSL_PKEY_PARAM_RSA_D, &d);
  const BigNumber owned_n(n);
  const BigNumber owned_e(e);
  const BigNumber owned_d(d);
  const ParameterBuilder builder(OSSL_PARAM_BLD_new());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n);
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e);
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_D, d);
  const Parameters parameters(OSSL_PARAM_BLD_to_param(builder.get()));
  const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
  EVP_PKEY* made = nullptr;
  EVP_PKEY_fromdata_init(context.get());
  ASSERT_EQ(EVP_PKEY_fromdata(context.get(), &made, EVP_PKEY_KEYPAIR, parameters.get()), 1);
  const auto adopted = PrivateKey::adopt(Key(made));
  ASSERT_FALSE(adopted);
  EXPECT_EQ(adopted.error().code, ErrorCode::configuration);
}

TEST(PrivateKey, ShowsProgressAndKeepsBounds) {
  int calls = 0;
  const auto key = PrivateKey::generate_rsa(1024, [&calls] { ++calls; });
  ASSERT_TRUE(key);
  EXPECT_GT(calls, 0);
  EXPECT_EQ(key->info().bits, 1024);
  EXPECT_EQ(PrivateKey::generate_rsa(511).error().code, ErrorCode::key_too_small);
  EXPECT_EQ(PrivateKey::generate_rsa(8200).error().code, ErrorCode::key_too_small);
}

TEST(RsaEncrypt, RefusesWhatDoesNotFit) {
  const PrivateKey key = make(512);
  for (const std::size_t size : {0U, 1U, 52U, 53U}) {
    const auto block = rsa_encrypt(key.public_key(), Bytes(size, 7));
    ASSERT_TRUE(block) << size;
    EXPECT_EQ(block->size(), 64U);
    EXPECT_EQ(key.decrypt(*block, 0, 53)->size(), size);
  }
  const auto refused = rsa_encrypt(key.public_key(), Bytes(54, 7));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::key_too_small);
  EXPECT_FALSE(rsa_encrypt(PrivateKey::generate_ec(KeyKind::ec_p256)->public_key(), Bytes(8)));
}

TEST(IosHex, PrintsNineGroupsALine) {
  EXPECT_EQ(ios_hex(from_hex("305c300d06092a").value()), "305C300D 06092A");
  const std::string text = ios_hex(Bytes(40, 0xab));
  EXPECT_EQ(text.find('\n'), 9U * 9U - 1);
  EXPECT_EQ(from_hex("ABABABAB").value(), Bytes(4, 0xab));
  EXPECT_EQ(ios_hex({}), "");
}

}  // namespace
}  // namespace oakgate::crypto
