// What a certification authority answers: CertRep (RFC 8894 section 3.3.2), checked before anything in it is
// believed: who signed it, to which request it belongs, for whom it is encrypted; then the certificate or CRL
// within. Pure; every bound is explicit.
#pragma once

#include <string>
#include <vector>

#include "ike/crypto/private_key.h"
#include "pki/scep/authority.h"
#include "pki/scep/request.h"

namespace oakgate::pki::scep {

inline constexpr std::size_t kMaxReplyBytes = 1U << 20;       // with certificates
inline constexpr std::size_t kMaxCrlReplyBytes = 12'000'000;  // with a CRL of 10 MB
inline constexpr int kMaxMessageCertificates = 64;
inline constexpr int kMaxSignedAttributes = 32;
inline constexpr std::size_t kMaxFailText = 255;

enum class Status : std::uint8_t { success = 0, failure = 2, pending = 3 };  // RFC 8894 table 4

// What makes an answer ours.
struct Expected {
  std::string transaction;
  Nonce nonce{};
  const std::vector<Certificate>& signers;
  const Certificate& recipient;  // the certificate that signed the request
  const crypto::PrivateKey& key;
  Allowance allowance;
  std::size_t max_bytes = kMaxReplyBytes;
};
struct Reply {
  Status status = Status::failure;
  std::string
      reason;     // failure: "badRequest (transaction not permitted or supported): text of the CA", escaped
  Bytes content;  // success: degenerate SignedData, decrypted
};
// ErrorCode::malformed: no CertRep. ErrorCode::signature_invalid: signed by somebody else, or badly.
// ErrorCode::enrollment_failed: of another transaction, to another request (nonce), for another recipient, or
// encrypted so that our key does not open it; each in its own words. ErrorCode::configuration: weak and not
// waived.
[[nodiscard]] Result<Reply> read_reply(ByteView der, const Expected& expected);

// Our certificate first, then what stands between it and the trustpoint's certificates.
// ErrorCode::enrollment_failed: no certificate of `public_key` in it; ErrorCode::certificate_invalid: issued
// by somebody else; ErrorCode::certificate_expired.
[[nodiscard]] Result<std::vector<Certificate>> read_granted(ByteView content, const Bytes& public_key,
                                                            const Authority& authority, WallTime now);
// The one CRL in it, DER; not looked into. ErrorCode::crl_unavailable: there is none.
[[nodiscard]] Result<Bytes> read_crl(ByteView content);

}  // namespace oakgate::pki::scep
