// Whether a certificate of a path has been revoked: RFC 5280 section 6.3, from the CRLs and OCSP answers at
// hand. It fetches nothing: what it misses is an error of its own kind, for its caller to mend.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "ike/base/policy.h"
#include "ike/base/result.h"
#include "pki/crl.h"
#include "pki/ocsp.h"
#include "pki/path.h"

namespace oakgate::pki {

struct RevocationInput {
  std::vector<Certificate> path;  // leaf first, anchor last: as build_path gives it
  // Its certificates may sign CRLs as well (a CA with several keys), if they lead to the same anchor.
  PathSettings settings;
  std::vector<Crl> crls;
  // OCSP answers that were checked when they came, and are current. OcspStatus::responder is looked at here,
  // by CRLs alone.
  std::function<std::optional<OcspStatus>(const Certificate& subject, const Certificate& issuer)> ocsp;
};

struct RevocationFinding {
  std::optional<Error> revoked;  // certificate_revoked, by information that is current
  // crl_unavailable, or crl_invalid: what is wrong with the only CRL there is. Of the first such certificate.
  std::optional<Error> unknown;
  // If nothing newer can be had: revoked by a CRL that is stale now. Revocations seldom end.
  std::optional<Error> was_revoked;
  // Responders whose OCSP answers would do, were it known that their own certificates are not revoked.
  std::vector<Certificate> responders;
};

[[nodiscard]] RevocationFinding check_revocation(const RevocationInput& input, WallTime now);

}  // namespace oakgate::pki
