// What the files of pki/scep/ share: OpenSSL's CMS objects as owners, and the signed attributes' numbers.
// Private to pki/scep/.
#pragma once

#include <openssl/cms.h>
#include <openssl/x509.h>

#include "pki/objects.h"
#include "pki/scep/algorithms.h"

namespace oakgate::pki::scep {

using CmsMessage = crypto::Owned<CMS_ContentInfo, CMS_ContentInfo_free>;
using Asn1Object = crypto::Owned<ASN1_OBJECT, ASN1_OBJECT_free>;
using X509Name = crypto::Owned<X509_NAME, X509_NAME_free>;
using X509Extension = crypto::Owned<X509_EXTENSION, X509_EXTENSION_free>;

inline void free_certificate_list(STACK_OF(X509) * list) {
  sk_X509_free(list);
}
// Borrows the certificates in it.
using CertificateList = crypto::Owned<STACK_OF(X509), free_certificate_list>;

// RFC 8894 table 2.
inline constexpr const char* kMessageTypeOid = "2.16.840.1.113733.1.9.2";
inline constexpr const char* kStatusOid = "2.16.840.1.113733.1.9.3";
inline constexpr const char* kFailInfoOid = "2.16.840.1.113733.1.9.4";
inline constexpr const char* kSenderNonceOid = "2.16.840.1.113733.1.9.5";
inline constexpr const char* kRecipientNonceOid = "2.16.840.1.113733.1.9.6";
inline constexpr const char* kTransactionOid = "2.16.840.1.113733.1.9.7";
inline constexpr const char* kFailTextOid = "1.3.6.1.5.5.7.24.1";

}  // namespace oakgate::pki::scep
