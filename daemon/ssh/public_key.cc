#include "daemon/ssh/public_key.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "ike/crypto/openssl.h"
#include "ike/crypto/public_key.h"

namespace oakgate::ssh {

namespace {

using Number = crypto::Owned<BIGNUM, BN_free>;
using Key = crypto::Owned<EVP_PKEY, EVP_PKEY_free>;

struct Curve {
  crypto::KeyKind kind;
  const char* name;
  int bytes;  // of a coordinate
};
constexpr Curve kCurves[] = {{crypto::KeyKind::ec_p256, "nistp256", 32},
                             {crypto::KeyKind::ec_p384, "nistp384", 48},
                             {crypto::KeyKind::ec_p521, "nistp521", 66}};

// RFC 4251 section 5: `string`.
void put(Bytes& out, ByteView content) {
  const auto size = static_cast<std::uint32_t>(content.size());
  for (const int shift : {24, 16, 8, 0}) out.push_back(static_cast<std::uint8_t>(size >> shift));
  out.insert(out.end(), content.begin(), content.end());
}

// RFC 4251 section 5: `mpint`, with a zero byte before a set first bit.
Bytes mpint(const BIGNUM* number) {
  Bytes out(static_cast<std::size_t>(BN_num_bytes(number)) + 1);
  BN_bn2bin(number, out.data() + 1);
  if (out.size() < 2 || (out[1] & 0x80) == 0) out.erase(out.begin());
  return out;
}

Number number_of(const EVP_PKEY* key, const char* name) {
  BIGNUM* number = nullptr;
  if (EVP_PKEY_get_bn_param(key, name, &number) != 1) crypto::drop_openssl_errors();
  return Number(number);
}

std::string base64(const Bytes& bytes) {
  std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), bytes.data(),
                                   static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(size));
  return out;
}

}  // namespace

Result<PublicKey> public_key(ByteView spki) {
  const Result<crypto::PublicKeyInfo> info = crypto::public_key_info(spki);
  if (!info) return fail(info.error());
  const unsigned char* cursor = spki.data();
  const Key key(d2i_PUBKEY(nullptr, &cursor, static_cast<long>(spki.size())));
  const auto unreadable = [] { return fail(ErrorCode::internal, "OpenSSL does not give the key's numbers"); };
  if (!key) return unreadable();
  PublicKey out;
  Bytes blob;
  if (info->kind == crypto::KeyKind::rsa) {
    out.type = "ssh-rsa";
    const Number exponent = number_of(key.get(), OSSL_PKEY_PARAM_RSA_E);
    const Number modulus = number_of(key.get(), OSSL_PKEY_PARAM_RSA_N);
    if (!exponent || !modulus) return unreadable();
    put(blob, as_bytes(out.type));
    put(blob, mpint(exponent.get()));
    put(blob, mpint(modulus.get()));
  } else {
    const Curve* curve = kCurves;
    while (curve->kind != info->kind) ++curve;
    out.type = std::string("ecdsa-sha2-") + curve->name;
    const Number x = number_of(key.get(), OSSL_PKEY_PARAM_EC_PUB_X);
    const Number y = number_of(key.get(), OSSL_PKEY_PARAM_EC_PUB_Y);
    if (!x || !y) return unreadable();
    const auto size = static_cast<std::size_t>(curve->bytes);
    Bytes point(1 + 2 * size);
    point[0] = 4;  // SEC 1 section 2.3.3: not compressed
    BN_bn2binpad(x.get(), point.data() + 1, curve->bytes);
    BN_bn2binpad(y.get(), point.data() + 1 + size, curve->bytes);
    put(blob, as_bytes(out.type));
    put(blob, as_bytes(std::string_view(curve->name)));
    put(blob, point);
  }
  out.blob = base64(blob);
  return out;
}

}  // namespace oakgate::ssh
