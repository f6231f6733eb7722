#include "ike/crypto/key_files.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>

#include <algorithm>
#include <limits>

namespace oakgate::crypto {

namespace {

using Bio = Owned<BIO, BIO_free>;
using Certificate = Owned<X509, X509_free>;
using EncryptedKey = Owned<X509_SIG, X509_SIG_free>;

struct SecureFree {
  std::size_t size;
  void operator()(void* data) const { OPENSSL_secure_clear_free(data, size); }
};

bool fits_long(ByteView bytes) {
  return bytes.size() <= static_cast<std::size_t>(std::numeric_limits<int>::max());
}

}  // namespace

bool looks_like_pem(ByteView file) {
  static constexpr std::string_view kBegin = "-----BEGIN ";
  return std::search(file.begin(), file.end(), kBegin.begin(), kBegin.end()) != file.end();
}

std::optional<PemBlock> find_pem_block(ByteView file, std::span<const std::string_view> labels) {
  if (!fits_long(file)) return std::nullopt;
  const Bio bio(BIO_new_mem_buf(file.data(), static_cast<int>(file.size())));
  for (int blocks = 0; bio && blocks < kMaxPemBlocks; ++blocks) {
    char* label = nullptr;
    char* header = nullptr;
    unsigned char* data = nullptr;
    long size = 0;
    // Memory that is wiped when it is freed.
    if (PEM_read_bio_ex(bio.get(), &label, &header, &data, &size, PEM_FLAG_SECURE) != 1) break;
    const std::unique_ptr<char, SecureFree> owned_label(label, SecureFree{0});
    const std::unique_ptr<char, SecureFree> owned_header(header, SecureFree{0});
    const std::unique_ptr<unsigned char, SecureFree> owned(data, SecureFree{static_cast<std::size_t>(size)});
    const std::string_view found(label);
    if (std::find(labels.begin(), labels.end(), found) == labels.end()) continue;
    drop_openssl_errors();
    return PemBlock{std::string(found),
                    std::string_view(header).find("ENCRYPTED") != std::string_view::npos ||
                        found.starts_with("ENCRYPTED"),
                    SecretBytes(ByteView(data, static_cast<std::size_t>(size)))};
  }
  drop_openssl_errors();
  return std::nullopt;
}

Key decode_public_der(ByteView der) {
  if (der.empty() || !fits_long(der)) return nullptr;
  const auto size = static_cast<long>(der.size());
  const unsigned char* const end = der.data() + der.size();
  const unsigned char* at = der.data();
  Key key(d2i_PUBKEY(nullptr, &at, size));
  if (!key) {
    at = der.data();
    key.reset(d2i_PublicKey(EVP_PKEY_RSA, nullptr, &at, size));
  }
  if (!key) {
    at = der.data();
    const Certificate certificate(d2i_X509(nullptr, &at, size));
    if (certificate) key.reset(X509_get_pubkey(certificate.get()));
  }
  drop_openssl_errors();
  return key && at == end ? std::move(key) : nullptr;
}

Key decode_private_der(ByteView der) {
  if (der.empty() || !fits_long(der)) return nullptr;
  const unsigned char* at = der.data();
  Key key(d2i_AutoPrivateKey(nullptr, &at, static_cast<long>(der.size())));
  drop_openssl_errors();
  return key && at == der.data() + der.size() ? std::move(key) : nullptr;
}

bool is_encrypted_der(ByteView der) {
  if (der.empty() || !fits_long(der)) return false;
  const unsigned char* at = der.data();
  const EncryptedKey encrypted(d2i_X509_SIG(nullptr, &at, static_cast<long>(der.size())));
  drop_openssl_errors();
  return encrypted != nullptr;
}

}  // namespace oakgate::crypto
