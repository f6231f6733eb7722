// Certificates in phase 1: which policies our own make possible, who we claim to be with them, and the CERT
// and CERT_REQ payloads of both sides. RFC 2408 sections 3.9 and 3.10, RFC 2409 section 5.1, RFC 4945
// section 3. Nothing is checked here: what a peer sends goes to the PeerVerifier (signatures.cc).
#pragma once

#include <string>
#include <vector>

#include "ike/exchange.h"

namespace oakgate::ike {

inline constexpr std::size_t kMaxCertificates = 16;             // CERT payloads of one message
inline constexpr std::size_t kMaxCertificateBytes = 48 * 1024;  // and of all of them
inline constexpr std::size_t kMaxAuthorities = 16;              // CERT_REQ payloads we send

// What we sign with for this peer, if its key fits the policy: RSA keys for rsa-sig; for ecdsa-sig the curve
// that the hash names (RFC 4754 section 3). ErrorCode::no_certificate otherwise.
[[nodiscard]] Result<const OwnCertificate*> own_certificate(Core& core, const Peer& peer,
                                                            const IsakmpPolicy& policy);
// The peer's policies without those that we have no certificate or RSA keys for; if none is left, why.
[[nodiscard]] Result<std::vector<IsakmpPolicy>> usable_policies(Core& core, const Peer& peer);
// No policy in common: names the first one that was left out, too. It may have been the one.
[[nodiscard]] Error with_unusable(Core& core, const Peer& peer, Error error);

// Who we say we are, as a certificate can prove it: an address it does not hold becomes its first host name,
// as IOS does it; what else it does not hold is sent all the same, and told.
[[nodiscard]] Result<Identity> own_identity(Run& run, const OwnCertificate& own);

// CERT_REQ in any of the peer's messages: whether it wants our certificate.
void read_certificate_requests(Run& run);
// One for each authority of the trustpoint, if the policy is one of signatures.
void append_certificate_requests(Run& run, const IsakmpPolicy& policy, std::vector<wire::Payload>& payloads);
// Our certificate and those behind it, as `send_certificate` says.
void append_certificates(Run& run, const OwnCertificate& own, std::vector<wire::Payload>& payloads);
// The peer's CERT payloads of the encodings that mean something to us.
[[nodiscard]] Result<std::vector<CertificateBlob>> read_certificates(const Run& run);

}  // namespace oakgate::ike
