// Where revocation information for a path may be had, in the order it is asked for: configured URLs, the
// distribution points that certificates name, OCSP responders. What an authority answers by SCEP:
// pki/trustpoint.h.
#pragma once

#include <string>
#include <vector>

#include "ike/base/trust.h"
#include "ike/ports/peer_verifier.h"
#include "pki/certificate.h"

namespace oakgate::pki {

// RFC 4516: the CRL of the directory's entry `name` (DER) at `server` ("ldap://ca.example").
[[nodiscard]] std::string directory_url(const std::string& server, ByteView name);
// The CRLs of the issuers of `certificates`; doubles are left out, and URLs that are not http:, https: or
// ldap:.
[[nodiscard]] std::vector<RevocationSource> crl_sources(const TrustpointConfig& trustpoint,
                                                        const std::vector<Certificate>& certificates);
// OCSP responders for the certificates of a path (leaf first, anchor last).
[[nodiscard]] std::vector<RevocationSource> ocsp_sources(const TrustpointConfig& trustpoint,
                                                         const std::vector<Certificate>& path);

}  // namespace oakgate::pki
