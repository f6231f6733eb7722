// OCSP, RFC 6960: the request for one certificate, and what an answer says of it. No I/O here: the request
// goes out as RevocationSource::request, the answer comes back through TrustStore::add_answer.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ike/base/result.h"
#include "ike/base/types.h"
#include "pki/certificate.h"

namespace oakgate::pki {

inline constexpr std::size_t kMaxOcspBytes = 65536;

struct OcspStatus {
  bool revoked = false;  // else good; "unknown" is an error
  WallTime this_update{};
  std::optional<WallTime> next_update;
  WallTime revoked_at{};
  std::string reason;  // "keyCompromise"; empty: none given
  // Who signed it, if it is neither the CA itself nor trusted for the life of its certificate
  // (id-pkix-ocsp-nocheck): whether that certificate has been revoked is for the caller to find out.
  std::optional<Certificate> responder;
  // Of the answer, and of the responder's certificate if it has one of its own: "sha1", "sha256" ... Which
  // ones will do is the trustpoint's matter.
  std::vector<std::string> signature_digests;
};

// DER of an OCSPRequest for one certificate by SHA-1 CertID (RFC 6960 section 4.3), without nonce: answers
// may be made in advance. The same arguments give the same bytes.
[[nodiscard]] Result<Bytes> ocsp_request(const Certificate& subject, const Certificate& issuer);
// Signed by `issuer`, or by a responder whose certificate `issuer` signed for OCSPSigning (RFC 6960 section
// 4.2.2.2). An answer without nextUpdate is current for a day. ErrorCode::crl_invalid: not an answer, not
// successful, unsigned, not about this certificate, not yet valid or stale; ErrorCode::crl_unavailable: the
// responder does not know the certificate.
[[nodiscard]] Result<OcspStatus> read_ocsp_answer(ByteView der, const Certificate& subject,
                                                  const Certificate& issuer, WallTime now);

}  // namespace oakgate::pki
