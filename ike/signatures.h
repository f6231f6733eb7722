// Main Mode with signatures: RFC 2409 section 5.1 (RSA), RFC 4754 (ECDSA). The policy has been chosen
// (main_mode.h). What the peer sends to prove itself goes to the PeerVerifier; ours is signed where the key
// is.
//
//   Initiator                                 Responder
//   HDR, KE, Ni, CERT_REQ, NAT-D, NAT-D -->
//                                       <--   HDR, KE, Nr, CERT_REQ, NAT-D, NAT-D
//   HDR*, IDii, CERT, SIG_I             -->
//                                       <--   HDR*, IDir, CERT, SIG_R
#pragma once

#include <span>

#include "ike/exchange.h"

namespace oakgate::ike {

[[nodiscard]] std::span<const Step> signature_steps(Role role);

// ---- for Aggressive Mode too
// SKEYID = prf(Ni_b | Nr_b, g^xy), and all that derives from it. The job that is done brought g^xy.
[[nodiscard]] Result<void> derive_signature_keys(Run& run);
// Our ID and certificates are chosen and kept, HASH_I or HASH_R goes to be signed.
[[nodiscard]] Result<void> start_signing(Run& run);
// The kept certificates and SIG, the job's result.
[[nodiscard]] std::vector<wire::Payload> signed_payloads(Run& run);
// The peer's proof goes to be verified: who it claims to be decides among several peers of its address.
[[nodiscard]] Result<void> start_verifying(Run& run, const wire::IdPayload& id,
                                           std::vector<CertificateBlob> certificates, Bytes signature);
// The verdict: an error of a message that may be anybody's sends the exchange back, of one that is the peer's
// ends it. Good: the peer is kept, and told of.
[[nodiscard]] Result<void> take_verdict(Run& run);

}  // namespace oakgate::ike
