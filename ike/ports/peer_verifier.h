// PeerVerifier: whether a peer that signs is who it must be: signature, chain to the trustpoint, identity,
// revocation. Plain values in and out, so that it can live in another process. It never fetches: it says
// what it misses, and is asked again.
#pragma once

#include <string>
#include <vector>

#include "ike/base/algorithms.h"
#include "ike/base/bytes.h"
#include "ike/base/net.h"
#include "ike/base/policy.h"
#include "ike/base/result.h"
#include "ike/base/types.h"

namespace oakgate {

// A CERT payload: RFC 2408 section 3.9; `encoding` is its number (1: PKCS#7, 4: X.509 signature, 7: CRL).
struct CertificateBlob {
  std::uint8_t encoding = 0;
  Bytes data;
  friend bool operator==(const CertificateBlob&, const CertificateBlob&) = default;
};

// What a peer sent to prove itself, and what it has to prove. Nothing in it is secret.
struct PeerProof {
  std::string peer;         // configured name
  std::string trustpoint;   // its certificate has to chain to this one
  Identity wanted;          // kind `address` with the any-address: `source`
  IpAddress source;         // where it sends from
  bool behind_nat = false;  // then an address it claims may be its inner one: its certificate has to hold it
  Identity claimed;         // its ID payload
  std::vector<CertificateBlob> certificates;  // in the order received
  AuthMethod method{};
  Bytes hash;       // HASH_I or HASH_R, what it had to sign
  Bytes signature;  // its SIG payload
};

struct VerifiedPeer {
  Identity identity;
  std::string subject;  // of its certificate, RFC 4514
  std::string issuer;
  std::string serial;  // hexadecimal
  WallTime not_after{};
  std::vector<Bytes> chain;  // DER, leaf first, trust anchor last: to look again when a CRL is new
  friend bool operator==(const VerifiedPeer&, const VerifiedPeer&) = default;
};

struct PeerVerdict {
  // The signature verifies with the key of the certificate that came: the message is the sender's, whoever
  // that is. While it is false, anybody on the path may have spoilt the message.
  bool signature_good = false;
  Result<VerifiedPeer> peer = fail(ErrorCode::internal, "not verified");
};

// Where revocation information may be had; `url` is http:, https: or ldap: (RFC 4516).
struct RevocationSource {
  // scep: the authority that our certificate of `trustpoint` comes from answers GetCRL (RFC 8894 section
  // 3.3.4): a last resort, asked with our key.
  enum class Kind : std::uint8_t { crl, ocsp, scep };
  Kind kind = Kind::crl;
  std::string url;
  // False: a certificate names it; private, loopback and link-local addresses are not fetched from then.
  bool configured = false;
  Bytes request;           // OCSP: what to post
  std::string trustpoint;  // whose cache takes the answer
  friend auto operator<=>(const RevocationSource&, const RevocationSource&) = default;
};

struct Verification {
  PeerVerdict verdict;
  // Not empty: the chain is good, and the verdict stands on missing revocation information. Fetch these, any
  // order (`scep` last), and ask again; each is asked for once.
  std::vector<RevocationSource> missing;
};

class PeerVerifier {
 public:
  virtual ~PeerVerifier() = default;
  // Takes time (RSA): for worker threads; safe to call from several. `last`: nothing more can be fetched, the
  // verdict is final and `missing` empty.
  [[nodiscard]] virtual Verification verify(const PeerProof& proof, WallTime now, bool last) const = 0;
};

}  // namespace oakgate
