#include "ike/crypto/key_rules.h"

#include <openssl/x509.h>

#include <string>

namespace oakgate::crypto {

namespace {

constexpr int kMaxExponentBits = 64;  // OpenSSL refuses longer ones for long moduli; so do old peers

struct Curve {
  std::string_view openssl;
  KeyKind kind;
  int bits;
  std::size_t signature_bytes;  // r | s, RFC 4754 section 7
};
constexpr Curve kCurves[] = {{"prime256v1", KeyKind::ec_p256, 256, 64},
                             {"secp384r1", KeyKind::ec_p384, 384, 96},
                             {"secp521r1", KeyKind::ec_p521, 521, 132}};

BigNumber number(EVP_PKEY* key, const char* name) {
  BIGNUM* value = nullptr;
  if (EVP_PKEY_get_bn_param(key, name, &value) != 1) drop_openssl_errors();
  return BigNumber(value);
}

Result<PublicKeyInfo> rsa_info(EVP_PKEY* key) {
  const BigNumber n = number(key, OSSL_PKEY_PARAM_RSA_N);
  const BigNumber e = number(key, OSSL_PKEY_PARAM_RSA_E);
  if (!n || !e) return fail(ErrorCode::malformed, "an RSA key without modulus or exponent");
  const int bits = BN_num_bits(n.get());
  if (bits < kMinRsaBits || bits > kMaxRsaBits) {
    return fail(ErrorCode::key_too_small, "an RSA key of " + std::to_string(bits) + " bits",
                std::to_string(kMinRsaBits) + " to " + std::to_string(kMaxRsaBits) + " bits",
                "make a key of 2048 bits");
  }
  if (BN_is_odd(n.get()) == 0) {
    return fail(ErrorCode::malformed, "an RSA key whose modulus is even", "the product of two odd primes");
  }
  if (BN_is_odd(e.get()) == 0 || BN_is_one(e.get()) || BN_num_bits(e.get()) > kMaxExponentBits) {
    return fail(ErrorCode::key_too_small, "an RSA key whose public exponent is even, 1 or above 64 bits",
                "3, 17 or, best, 65537", "make a new key");
  }
  return PublicKeyInfo{KeyKind::rsa, bits, static_cast<std::size_t>((bits + 7) / 8)};
}

}  // namespace

Result<PublicKeyInfo> key_info(EVP_PKEY* key) {
  if (EVP_PKEY_is_a(key, "RSA") == 1) return rsa_info(key);
  char name[32] = {};
  std::size_t size = 0;
  if (EVP_PKEY_is_a(key, "EC") == 1 && EVP_PKEY_get_group_name(key, name, sizeof name, &size) == 1) {
    for (const Curve& curve : kCurves) {
      if (curve.openssl == std::string_view(name)) {
        return PublicKeyInfo{curve.kind, curve.bits, curve.signature_bytes};
      }
    }
  }
  drop_openssl_errors();
  return fail(ErrorCode::unsupported, "a key of a kind that no peer of ours has",
              "RSA, or EC on P-256, P-384 or P-521");
}

Result<Bytes> encode_public(EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key, &der);
  if (size <= 0) return openssl_failure("write a public key");
  Bytes out(der, der + size);
  OPENSSL_free(der);
  return out;
}

}  // namespace oakgate::crypto
