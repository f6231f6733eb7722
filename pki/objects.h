// OpenSSL's X.509 objects as owners, and how their encodings, names and times become plain values.
#pragma once

#include <openssl/ocsp.h>
#include <openssl/pkcs12.h>
#include <openssl/pkcs7.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <optional>
#include <string>

#include "ike/base/bytes.h"
#include "ike/base/types.h"
#include "ike/crypto/openssl.h"

namespace oakgate::pki {

using X509Object = crypto::Owned<X509, X509_free>;
using X509Crl = crypto::Owned<X509_CRL, X509_CRL_free>;
using Pkcs7Object = crypto::Owned<PKCS7, PKCS7_free>;
using X509Store = crypto::Owned<X509_STORE, X509_STORE_free>;
using X509StoreContext = crypto::Owned<X509_STORE_CTX, X509_STORE_CTX_free>;
using MemoryBio = crypto::Owned<BIO, BIO_free_all>;

// A view over `bytes`, valid as long as they are; null if OpenSSL has no memory.
[[nodiscard]] MemoryBio memory_bio(ByteView bytes);
// Seconds as ASN.1 has them; nothing if the time is not valid.
[[nodiscard]] std::optional<WallTime> wall_time(const ASN1_TIME* time);
// "2002-01-11 04:43:45 UTC", for errors.
[[nodiscard]] std::string time_text(WallTime time);
// DER by one of OpenSSL's i2d functions; empty if it failed.
template <typename T, typename Encode>
[[nodiscard]] Bytes encode(const T* object, Encode i2d) {
  unsigned char* der = nullptr;
  const int size = object == nullptr ? -1 : i2d(object, &der);
  if (size <= 0) {
    crypto::drop_openssl_errors();
    return {};
  }
  Bytes out(der, der + size);
  OPENSSL_free(der);
  return out;
}
[[nodiscard]] std::string hex_serial(const ASN1_INTEGER* serial);  // "0" if it is zero; '-' before a negative
// The digest of a signature algorithm: "sha1" of sha1WithRSAEncryption, that of its parameters for
// RSASSA-PSS, "none" for EdDSA; empty if it is unknown.
[[nodiscard]] std::string digest_of_signature(const X509_ALGOR* algorithm);
// RFC 5280 section 5.3.1: "keyCompromise"; empty if it is none of them.
[[nodiscard]] std::string reason_text(long reason);
// A digest by OpenSSL's name of it; empty if there is none.
[[nodiscard]] Bytes digest(const char* name, ByteView data);

}  // namespace oakgate::pki
