#include "ike/crypto/private_key.h"

#include <openssl/ecdsa.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <array>

#include "ike/crypto/key_files.h"
#include "ike/crypto/key_rules.h"
#include "ike/crypto/pkcs1.h"
#include "ike/crypto/prf.h"

namespace oakgate::crypto {

namespace {

constexpr unsigned kPublicExponent = 65537;
constexpr std::size_t kMaxFileBytes = 65536;

using Bio = Owned<BIO, BIO_free>;

tl::unexpected<Error> bad_file(std::string text, std::string remedy) {
  drop_openssl_errors();
  return fail(ErrorCode::configuration, std::move(text),
              "an RSA or EC private key in PEM or DER, not encrypted", std::move(remedy));
}

tl::unexpected<Error> encrypted_file() {
  return bad_file("the private key is encrypted with a passphrase",
                  "decrypt it once: `openssl pkey -in FILE -out FILE`; a file of mode 0600 protects it");
}

// value^d mod n, `value` as long as the modulus and below it; OpenSSL blinds it. The result is secret.
Result<SecretBytes> raw_private(EVP_PKEY* key, ByteView value) {
  const KeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
  SecretBytes out(value.size());
  std::size_t size = out.size();
  if (!context || EVP_PKEY_decrypt_init(context.get()) != 1 ||
      EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_NO_PADDING) != 1 ||
      EVP_PKEY_decrypt(context.get(), out.mutable_view().data(), &size, value.data(), value.size()) != 1 ||
      size != out.size()) {
    return openssl_failure("decrypt with RSA");
  }
  return out;
}

Result<Bytes> modulus(EVP_PKEY* key, std::size_t bytes) {
  BIGNUM* n = nullptr;
  if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n) != 1) return openssl_failure("read a modulus");
  const BigNumber owned(n);
  Bytes out(bytes);
  if (BN_bn2binpad(n, out.data(), static_cast<int>(bytes)) < 0) return openssl_failure("write a modulus");
  return out;
}

// Depends on the private key alone, so that a block repeated, even after a restart, is answered alike.
Result<SecretBytes> derive_rejection_key(EVP_PKEY* key, std::size_t bytes) {
  BIGNUM* d = nullptr;
  if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_D, &d) != 1) return openssl_failure("read an exponent");
  const BigNumber owned(d);
  SecretBytes exponent(bytes);
  if (BN_bn2binpad(d, exponent.mutable_view().data(), static_cast<int>(bytes)) < 0) {
    return openssl_failure("write an exponent");
  }
  return prf(IkeHash::sha256, exponent.view(), {as_bytes("oakgate implicit rejection")});
}

// Whether private and public half belong together: what one encrypts the other decrypts.
Result<void> check_pair(const PrivateKey& key) {
  static constexpr std::array<std::uint8_t, 32> kSample{1, 2, 3, 4, 5, 6, 7, 8};
  if (key.info().kind != KeyKind::rsa) {
    const KeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key.native(), nullptr));
    if (context && EVP_PKEY_pairwise_check(context.get()) == 1) return {};
  } else if (const auto block = rsa_encrypt(key.public_key(), kSample)) {
    const auto opened = key.decrypt(*block, kSample.size(), kSample.size());
    if (opened && equal_constant_time(opened->view(), kSample)) return {};
  }
  return bad_file("the private key and its public half do not belong together",
                  "import the key again from where it was made");
}

// What stands in for content that is not there: `at_most` bytes and how many of them count, as random as
// those of a well-formed block, the same for the same block.
struct Substitute {
  SecretBytes bytes;
  std::size_t size = 0;
};
Result<Substitute> derive_substitute(const SecretBytes& rejection_key, ByteView block, std::size_t at_least,
                                     std::size_t at_most) {
  const auto seed = prf(IkeHash::sha256, rejection_key.view(), {block});
  if (!seed) return fail(seed.error());
  const auto length = prf(IkeHash::sha256, seed->view(), {as_bytes("length")});
  if (!length) return fail(length.error());
  std::uint32_t random = 0;
  for (int i = 0; i < 4; ++i) random = random << 8 | length->view()[static_cast<std::size_t>(i)];
  Substitute out{SecretBytes(at_most), 0};
  // A multiplication instead of a remainder: division takes a time that depends on its operands.
  out.size = at_least + static_cast<std::size_t>((std::uint64_t{random} * (at_most - at_least + 1)) >> 32);
  for (std::size_t done = 0; done < at_most;) {
    const std::array<std::uint8_t, 2> counter{static_cast<std::uint8_t>(done >> 8),
                                              static_cast<std::uint8_t>(done)};
    const auto part = prf(IkeHash::sha256, seed->view(), {as_bytes("content"), counter});
    if (!part) return fail(part.error());
    const std::size_t take = std::min(at_most - done, part->size());
    std::copy_n(part->view().begin(), take,
                out.bytes.mutable_view().begin() + static_cast<std::ptrdiff_t>(done));
    done += take;
  }
  return out;
}

int report_progress(EVP_PKEY_CTX* context) {
  const auto* progress = static_cast<const std::function<void()>*>(EVP_PKEY_CTX_get_app_data(context));
  (*progress)();
  return 1;
}

}  // namespace

Result<PrivateKey> PrivateKey::parse(const SecretBytes& file) {
  static constexpr std::array<std::string_view, 4> kLabels{"PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY",
                                                           "ENCRYPTED PRIVATE KEY"};
  if (file.size() > kMaxFileBytes)
    return bad_file("a key file of more than 65536 bytes", "name another file");
  Key key;
  if (looks_like_pem(file.view())) {
    const auto block = find_pem_block(file.view(), kLabels);
    if (!block)
      return bad_file("a PEM file without a private key", "name the key's file, not the certificate's");
    if (block->encrypted) return encrypted_file();
    key = decode_private_der(block->data.view());
  } else {
    key = decode_private_der(file.view());
    if (!key && is_encrypted_der(file.view())) return encrypted_file();
  }
  if (!key) return bad_file("the file holds no private key that can be read", "import the key again");
  return adopt(std::move(key));
}

Result<PrivateKey> PrivateKey::adopt(Key key) {
  PrivateKey out;
  if (!key) return fail(ErrorCode::internal, "no key to adopt");
  auto checked = key_info(key.get());
  if (!checked) return fail(std::move(checked.error()));
  out.info_ = *checked;
  auto spki = encode_public(key.get());
  if (!spki) return fail(std::move(spki.error()));
  out.public_key_ = std::move(*spki);
  if (out.info_.kind == KeyKind::rsa) {
    auto rejection = derive_rejection_key(key.get(), out.info_.block_bytes);
    auto n = modulus(key.get(), out.info_.block_bytes);
    if (!rejection) return fail(std::move(rejection.error()));
    if (!n) return fail(std::move(n.error()));
    out.rejection_key_ = std::move(*rejection);
    out.modulus_ = std::move(*n);
  }
  out.key_ = std::move(key);
  if (auto pair = check_pair(out); !pair) return fail(std::move(pair.error()));
  return out;
}

Result<PrivateKey> PrivateKey::generate_rsa(int bits, const std::function<void()>& progress) {
  if (bits < kMinRsaBits || bits > kMaxRsaBits) {
    return fail(ErrorCode::key_too_small, "an RSA key of " + std::to_string(bits) + " bits",
                std::to_string(kMinRsaBits) + " to " + std::to_string(kMaxRsaBits) + " bits");
  }
  const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
  const BigNumber exponent(BN_new());
  EVP_PKEY* made = nullptr;
  if (!context || !exponent || BN_set_word(exponent.get(), kPublicExponent) != 1 ||
      EVP_PKEY_keygen_init(context.get()) != 1 ||
      EVP_PKEY_CTX_set_rsa_keygen_bits(context.get(), bits) != 1 ||
      EVP_PKEY_CTX_set1_rsa_keygen_pubexp(context.get(), exponent.get()) != 1) {
    return openssl_failure("prepare an RSA key");
  }
  if (progress) {
    // OpenSSL hands the pointer back, nothing more.
    EVP_PKEY_CTX_set_app_data(context.get(), const_cast<std::function<void()>*>(&progress));
    EVP_PKEY_CTX_set_cb(context.get(), report_progress);
  }
  if (EVP_PKEY_generate(context.get(), &made) != 1) return openssl_failure("make an RSA key");
  return adopt(Key(made));
}

Result<PrivateKey> PrivateKey::generate_ec(KeyKind curve) {
  const char* name = curve == KeyKind::ec_p256   ? "P-256"
                     : curve == KeyKind::ec_p384 ? "P-384"
                     : curve == KeyKind::ec_p521 ? "P-521"
                                                 : nullptr;
  if (name == nullptr) return fail(ErrorCode::internal, "RSA is no curve");
  Key made(EVP_EC_gen(name));
  if (!made) return openssl_failure("make an EC key");
  return adopt(std::move(made));
}

Result<SecretBytes> PrivateKey::to_pem() const {
  const Bio bio(BIO_new(BIO_s_secmem()));
  char* data = nullptr;
  if (!bio ||
      PEM_write_bio_PKCS8PrivateKey(bio.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return openssl_failure("write a private key");
  }
  const long size = BIO_get_mem_data(bio.get(), &data);
  if (size <= 0) return openssl_failure("write a private key");
  return SecretBytes(as_bytes({data, static_cast<std::size_t>(size)}));
}

Result<Bytes> PrivateKey::sign(ByteView hash) const {
  const bool rsa = info_.kind == KeyKind::rsa;
  if (rsa && hash.size() + kPkcs1Overhead > info_.block_bytes) {
    return fail(ErrorCode::key_too_small,
                "an RSA key of " + std::to_string(info_.bits) + " bits cannot sign a hash of " +
                    std::to_string(hash.size()) + " bytes",
                "a longer key or a shorter hash");
  }
  // Without a digest set, PKCS#1 type 1 goes over the bare hash (RFC 2409 section 5.1).
  const KeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key_.get(), nullptr));
  std::size_t size = 0;
  if (!context || EVP_PKEY_sign_init(context.get()) != 1 ||
      (rsa && EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_PADDING) != 1) ||
      EVP_PKEY_sign(context.get(), nullptr, &size, hash.data(), hash.size()) != 1) {
    return openssl_failure("prepare a signature");
  }
  Bytes signature(size);
  if (EVP_PKEY_sign(context.get(), signature.data(), &size, hash.data(), hash.size()) != 1) {
    return openssl_failure("sign");
  }
  signature.resize(size);
  if (rsa) return signature;

  // RFC 4754 section 7: "The bit lengths of r and s are enforced, if necessary, by pre-pending the value with
  // zeros."
  const unsigned char* at = signature.data();
  const EcSignature pair(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(size)));
  Bytes out(info_.block_bytes);
  const int half = static_cast<int>(out.size() / 2);
  if (!pair || BN_bn2binpad(ECDSA_SIG_get0_r(pair.get()), out.data(), half) != half ||
      BN_bn2binpad(ECDSA_SIG_get0_s(pair.get()), out.data() + half, half) != half) {
    return openssl_failure("write a signature");
  }
  return out;
}

Result<SecretBytes> PrivateKey::decrypt(ByteView block, std::size_t at_least, std::size_t at_most) const {
  if (info_.kind != KeyKind::rsa)
    return fail(ErrorCode::no_public_key, "an EC key cannot decrypt", "an RSA key");
  const std::size_t size = info_.block_bytes;
  at_most = std::min(at_most, size - kPkcs1Overhead);
  if (at_least > at_most) {
    return fail(ErrorCode::key_too_small, "an RSA key of " + std::to_string(info_.bits) +
                                              " bits has no room for " + std::to_string(at_least) + " bytes");
  }
  const auto substitute = derive_substitute(rejection_key_, block, at_least, at_most);
  if (!substitute) return fail(substitute.error());
  // What is no ciphertext of this key is decrypted all the same, cut to the length and below the modulus: it
  // takes the same time, and is then refused like bad padding.
  Bytes input(size);
  const std::size_t common = std::min(size, block.size());
  const ByteView last = block.last(common);
  std::copy(last.begin(), last.end(), input.end() - static_cast<std::ptrdiff_t>(common));
  const std::uint32_t usable = mask_if_below(input, modulus_) & (block.size() == size ? ~0U : 0U);
  input[0] &= static_cast<std::uint8_t>(usable);
  const auto opened = raw_private(key_.get(), input);
  if (!opened) return fail(opened.error());
  return open_type2_block(opened->view(), ~usable, substitute->bytes.view(), substitute->size, at_least,
                          at_most);
}

}  // namespace oakgate::crypto
