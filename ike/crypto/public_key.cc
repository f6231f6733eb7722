#include "ike/crypto/public_key.h"

#include <openssl/ecdsa.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "ike/crypto/key_files.h"
#include "ike/crypto/key_rules.h"
#include "ike/crypto/openssl.h"
#include "ike/crypto/pkcs1.h"

namespace oakgate::crypto {

namespace {

// 8192 bits of modulus, an exponent and the frame around them; whatever is longer is not looked at.
constexpr std::size_t kMaxSpkiBytes = 2048;
constexpr std::size_t kMaxPublicFileBytes = 65536;
constexpr unsigned kUsualExponent = 65537;

tl::unexpected<Error> no_key(std::string text) {
  drop_openssl_errors();
  return fail(ErrorCode::malformed, std::move(text), "a DER SubjectPublicKeyInfo of an RSA or EC key");
}

Result<Key> decode(ByteView spki) {
  if (spki.empty() || spki.size() > kMaxSpkiBytes) {
    return no_key("a public key of " + std::to_string(spki.size()) + " bytes");
  }
  const unsigned char* at = spki.data();
  Key key(d2i_PUBKEY(nullptr, &at, static_cast<long>(spki.size())));
  if (!key) return no_key("bytes that are no public key");
  if (at != spki.data() + spki.size()) return no_key("bytes behind a public key");
  return key;
}

struct Checked {
  Key key;
  PublicKeyInfo info;
};
Result<Checked> decode_and_check(ByteView spki) {
  auto key = decode(spki);
  if (!key) return fail(std::move(key.error()));
  auto checked = key_info(key->get());
  if (!checked) return fail(std::move(checked.error()));
  return Checked{std::move(*key), *checked};
}

// value^e mod n, `value` as long as the modulus; nothing if it is not below n.
std::optional<Bytes> raw_public(EVP_PKEY* key, ByteView value) {
  const KeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
  Bytes out(value.size());
  std::size_t size = out.size();
  const bool done = context && EVP_PKEY_encrypt_init(context.get()) == 1 &&
                    EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_NO_PADDING) == 1 &&
                    EVP_PKEY_encrypt(context.get(), out.data(), &size, value.data(), value.size()) == 1 &&
                    size == out.size();
  drop_openssl_errors();
  return done ? std::optional(std::move(out)) : std::nullopt;
}

tl::unexpected<Error> wrong_signature(std::string why) {
  drop_openssl_errors();
  return reject(NotifyType::invalid_signature, ErrorCode::signature_invalid,
                "the signature does not verify: " + std::move(why),
                "one made by the private key that belongs to the certificate");
}

// RFC 2409 section 5.1: "RSA signatures MUST be encoded as a private key encryption in PKCS #1 format and not
// as a signature in PKCS #1 format (which includes the OID of the hash algorithm)". Nothing of the recovered
// block is parsed: it is the expected one, all of it, or the signature is wrong.
Result<void> verify_rsa(const Checked& checked, ByteView hash, ByteView signature) {
  const Bytes expected = type1_block(hash, checked.info.block_bytes);
  if (expected.empty()) {
    return wrong_signature("a modulus of " + std::to_string(checked.info.bits) +
                           " bits is too short for the hash");
  }
  // RFC 8017 section 8.2.2 step 1: "If the length of the signature S is not k octets".
  if (signature.size() != checked.info.block_bytes) {
    return wrong_signature("it has " + std::to_string(signature.size()) + " bytes, the modulus " +
                           std::to_string(checked.info.block_bytes));
  }
  const auto recovered = raw_public(checked.key.get(), signature);
  if (!recovered) return wrong_signature("it is not below the modulus");
  if (!equal_constant_time(*recovered, expected))
    return wrong_signature("it is another hash or another key's");
  return {};
}

// RFC 4754 section 7: r | s, each as long as the order; OpenSSL wants them in DER.
Result<void> verify_ec(const Checked& checked, ByteView hash, ByteView signature) {
  if (signature.size() != checked.info.block_bytes) {
    return wrong_signature("it has " + std::to_string(signature.size()) + " bytes, the curve " +
                           std::to_string(checked.info.block_bytes));
  }
  const int half = static_cast<int>(signature.size() / 2);
  const EcSignature pair(ECDSA_SIG_new());
  BigNumber r(BN_bin2bn(signature.data(), half, nullptr));
  BigNumber s(BN_bin2bn(signature.data() + half, half, nullptr));
  if (!pair || !r || !s || ECDSA_SIG_set0(pair.get(), r.get(), s.get()) != 1) {
    return openssl_failure("read a signature");
  }
  (void)r.release();  // the pair's from now on
  (void)s.release();
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(pair.get(), &der);
  if (size <= 0) return openssl_failure("write a signature");
  const KeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, checked.key.get(), nullptr));
  const bool good =
      context && EVP_PKEY_verify_init(context.get()) == 1 &&
      EVP_PKEY_verify(context.get(), der, static_cast<std::size_t>(size), hash.data(), hash.size()) == 1;
  OPENSSL_free(der);
  if (!good) return wrong_signature("it is another hash or another key's");
  return {};
}

// RFC 4754 section 4: each number of the Authentication Method stands for a curve and its hash.
bool fits(AuthMethod method, KeyKind kind, std::size_t hash_bytes) {
  switch (kind) {
    case KeyKind::rsa:
      return method == AuthMethod::rsa_sig;
    case KeyKind::ec_p256:
      return method == AuthMethod::ecdsa_sig && hash_bytes == 32;
    case KeyKind::ec_p384:
      return method == AuthMethod::ecdsa_sig && hash_bytes == 48;
    case KeyKind::ec_p521:
      return method == AuthMethod::ecdsa_sig && hash_bytes == 64;
  }
  return false;
}

}  // namespace

Result<PublicKeyInfo> public_key_info(ByteView spki) {
  auto checked = decode_and_check(spki);
  if (!checked) return fail(std::move(checked.error()));
  return checked->info;
}

Result<Bytes> parse_public_key(ByteView file) {
  if (file.size() > kMaxPublicFileBytes) return no_key("a file of more than 65536 bytes");
  Key key;
  if (looks_like_pem(file)) {
    static constexpr std::array<std::string_view, 3> kLabels{"PUBLIC KEY", "RSA PUBLIC KEY", "CERTIFICATE"};
    const auto block = find_pem_block(file, kLabels);
    if (!block) {
      drop_openssl_errors();
      return fail(ErrorCode::malformed, "a PEM file without a public key",
                  "a PUBLIC KEY, RSA PUBLIC KEY or CERTIFICATE block");
    }
    key = decode_public_der(block->data.view());
  } else {
    key = decode_public_der(file);
  }
  if (!key) return no_key("a file that holds no public key");
  if (auto checked = key_info(key.get()); !checked) return fail(std::move(checked.error()));
  return encode_public(key.get());
}

std::string ios_hex(ByteView der) {
  constexpr std::size_t kGroup = 4;          // bytes
  constexpr std::size_t kLine = 9 * kGroup;  // nine groups
  static constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (std::size_t i = 0; i < der.size(); ++i) {
    if (i != 0 && i % kGroup == 0) out += i % kLine == 0 ? '\n' : ' ';
    out += kDigits[der[i] >> 4];
    out += kDigits[der[i] & 15];
  }
  return out;
}

Result<void> verify_signature(ByteView spki, AuthMethod method, ByteView hash, ByteView signature) {
  const auto checked = decode_and_check(spki);
  if (!checked) return fail(checked.error());
  if (!fits(method, checked->info.kind, hash.size())) {
    return wrong_signature("the key is of another kind than " + std::string(info(method).name) +
                           " with this hash");
  }
  return checked->info.kind == KeyKind::rsa ? verify_rsa(*checked, hash, signature)
                                            : verify_ec(*checked, hash, signature);
}

Result<Bytes> rsa_encrypt(ByteView spki, ByteView content) {
  const auto checked = decode_and_check(spki);
  if (!checked) return fail(checked.error());
  if (checked->info.kind != KeyKind::rsa) {
    return fail(ErrorCode::unsupported, "an EC key cannot encrypt", "an RSA key");
  }
  const std::size_t room = checked->info.block_bytes - kPkcs1Overhead;
  if (content.size() > room) {
    return fail(ErrorCode::key_too_small,
                std::to_string(content.size()) + " bytes do not fit an RSA key of " +
                    std::to_string(checked->info.bits) + " bits",
                "at most " + std::to_string(room), "use a longer RSA key at the peer");
  }
  const KeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, checked->key.get(), nullptr));
  Bytes out(checked->info.block_bytes);
  std::size_t size = out.size();
  static constexpr std::uint8_t kEmpty = 0;  // a null pointer would ask for the size alone
  if (!context || EVP_PKEY_encrypt_init(context.get()) != 1 ||
      EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_PADDING) != 1 ||
      EVP_PKEY_encrypt(context.get(), out.data(), &size, content.empty() ? &kEmpty : content.data(),
                       content.size()) != 1 ||
      size != out.size()) {
    return openssl_failure("encrypt with RSA");
  }
  return out;
}

Result<Bytes> decoy_public_key(int bits, ByteView random) {
  const BigNumber n(BN_bin2bn(random.data(), static_cast<int>(random.size()), nullptr));
  const BigNumber e(BN_new());
  const ParameterBuilder builder(OSSL_PARAM_BLD_new());
  const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
  // As a modulus is: odd, and exactly so many bits long.
  if (!n || !e || !builder || !context || BN_set_word(e.get(), kUsualExponent) != 1 ||
      BN_set_bit(n.get(), bits) != 1 || BN_mask_bits(n.get(), bits) != 1 ||
      BN_set_bit(n.get(), bits - 1) != 1 || BN_set_bit(n.get(), 0) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1) {
    return openssl_failure("make a modulus");
  }
  const Parameters parameters(OSSL_PARAM_BLD_to_param(builder.get()));
  EVP_PKEY* made = nullptr;
  if (!parameters || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &made, EVP_PKEY_PUBLIC_KEY, parameters.get()) != 1) {
    return openssl_failure("make a public key");
  }
  const Key key(made);
  return encode_public(key.get());
}

}  // namespace oakgate::crypto
