#include "pki/pkcs12.h"

#include <openssl/err.h>
#include <openssl/provider.h>

#include <string>
#include <utility>

namespace oakgate::pki {
namespace {

using crypto::drop_openssl_errors;
using Pkcs12Object = crypto::Owned<PKCS12, PKCS12_free>;
using CertificateStack =
    crypto::Owned<STACK_OF(X509), [](STACK_OF(X509) * stack) { sk_X509_pop_free(stack, X509_free); }>;
using Library = crypto::Owned<OSSL_LIB_CTX, OSSL_LIB_CTX_free>;
using Provider = crypto::Owned<OSSL_PROVIDER, OSSL_PROVIDER_unload>;

constexpr std::size_t kMaxPkcs12Bytes = 4'000'000;
constexpr std::size_t kMaxPassphraseBytes = 1024;

tl::unexpected<Error> refuse(std::string text, std::string expected = {}, std::string remedy = {}) {
  drop_openssl_errors();
  return fail(ErrorCode::configuration, std::move(text), std::move(expected), std::move(remedy));
}

// A library context with the legacy provider beside the default one, which has to be named as well then: it
// is loaded by itself only where no other is. Destroyed in reverse order.
struct OldCiphers {
  Library library{OSSL_LIB_CTX_new()};
  Provider fallback{OSSL_PROVIDER_load(library.get(), "default")};
  Provider legacy{OSSL_PROVIDER_load(library.get(), "legacy")};
};

Pkcs12Object parse_der(ByteView file, const OldCiphers& ciphers) {
  PKCS12* object = PKCS12_init_ex(NID_pkcs7_data, ciphers.library.get(), nullptr);
  const unsigned char* cursor = file.data();
  PKCS12* parsed = object == nullptr ? nullptr : d2i_PKCS12(&object, &cursor, static_cast<long>(file.size()));
  // On failure d2i_PKCS12 has freed what it was given.
  return Pkcs12Object(parsed);
}

struct Parts {
  crypto::Key key;
  X509Object certificate;
  CertificateStack others;
};

Result<Parts> open(PKCS12& object, const SecretBytes& passphrase) {
  if (passphrase.size() > kMaxPassphraseBytes) return refuse("a passphrase longer than 1024 bytes");
  SecretBytes text(passphrase.size() + 1);  // with a NUL behind it
  std::copy(passphrase.view().begin(), passphrase.view().end(), text.mutable_view().begin());
  const char* pass = reinterpret_cast<const char*>(text.view().data());
  if (PKCS12_mac_present(&object) == 1 && PKCS12_verify_mac(&object, pass, -1) != 1 &&
      (!passphrase.empty() || PKCS12_verify_mac(&object, nullptr, 0) != 1)) {
    return refuse("the passphrase does not open the PKCS#12 file", "the passphrase it was exported with",
                  "Or the file is damaged: its MAC does not verify.");
  }
  EVP_PKEY* key = nullptr;
  X509* certificate = nullptr;
  STACK_OF(X509)* others = nullptr;
  const int parsed = PKCS12_parse(&object, pass, &key, &certificate, &others);
  Parts out{crypto::Key(key), X509Object(certificate), CertificateStack(others)};
  if (parsed != 1) {
    return refuse(
        "the PKCS#12 file cannot be opened: a wrong passphrase, a cipher nobody here knows, or damage",
        "PKCS#12 with RC2, 3DES or AES");
  }
  drop_openssl_errors();
  return out;
}

}  // namespace

Result<Pkcs12> read_pkcs12(ByteView file, const SecretBytes& passphrase) {
  if (file.empty() || file.size() > kMaxPkcs12Bytes)
    return refuse("no PKCS#12 file: " + std::to_string(file.size()) + " bytes");
  const OldCiphers ciphers;
  if (ciphers.fallback == nullptr || ciphers.legacy == nullptr) {
    return crypto::openssl_failure("load its legacy provider");
  }
  const Pkcs12Object object = parse_der(file, ciphers);
  if (object == nullptr) return refuse("what should be PKCS#12 is none", "the DER of a PFX, RFC 7292");
  auto parts = open(*object, passphrase);
  if (!parts) return tl::unexpected(parts.error());
  if (parts->key == nullptr)
    return refuse("no private key is in the PKCS#12 file", "a key with its certificate");
  if (parts->certificate == nullptr) {
    return refuse("no certificate of its key is in the PKCS#12 file", "a key with its certificate");
  }
  // Out of the context with the old ciphers, into the ordinary one: by its encoding, wiped behind it.
  unsigned char* der = nullptr;
  const int size = i2d_PrivateKey(parts->key.get(), &der);
  if (size <= 0) return crypto::openssl_failure("take a key out of PKCS#12");
  const SecretBytes encoded(ByteView(der, static_cast<std::size_t>(size)));
  OPENSSL_clear_free(der, static_cast<std::size_t>(size));
  auto key = crypto::PrivateKey::parse(encoded);
  if (!key) return tl::unexpected(key.error());
  const auto plain = [](X509* certificate) { return Certificate::parse(encode(certificate, i2d_X509)); };
  auto certificate = plain(parts->certificate.get());
  if (!certificate) return tl::unexpected(certificate.error());
  if (certificate->public_key() != key->public_key()) {
    return refuse("the key in the PKCS#12 file is not that of its certificate");
  }
  if (sk_X509_num(parts->others.get()) > static_cast<int>(kMaxBundleCertificates)) {
    return refuse("more than 200 certificates in the PKCS#12 file");
  }
  std::vector<Certificate> chain;
  for (int index = 0; index < sk_X509_num(parts->others.get()); ++index) {
    auto other = plain(sk_X509_value(parts->others.get(), index));
    if (!other) return tl::unexpected(other.error());
    chain.push_back(std::move(*other));
  }
  return Pkcs12{std::move(*key), std::move(*certificate), std::move(chain)};
}

}  // namespace oakgate::pki
