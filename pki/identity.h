// Who a peer says it is, against its certificate and against what it has to be. Exact: no prefixes, no
// wildcards, no name of one kind for another; only DNS names fold case. RFC 4945 section 5.1.3.6, RFC 5280
// section 7; the refusals are in IOS's words.
#pragma once

#include <string>
#include <string_view>

#include "ike/base/policy.h"
#include "ike/base/result.h"
#include "ike/ports/peer_verifier.h"
#include "pki/certificate.h"

namespace oakgate::pki {

// Host names as they may stand in an ID payload or a certificate: labels of graphic ASCII, none of them empty
// (so no dot at the end), no wildcard.
[[nodiscard]] bool is_host_name(std::string_view text);
[[nodiscard]] bool same_host_name(std::string_view a,
                                  std::string_view b);  // false unless both are host names
// user@host; the user's part is compared as it is.
[[nodiscard]] bool same_user_name(std::string_view a, std::string_view b);
// Peers' text for an error: what is not printable ASCII escaped, and not longer than 200 characters.
[[nodiscard]] std::string printable(std::string_view text);

// `proof.claimed` stands in the certificate, and is what `proof.wanted` says. ErrorCode::identity_mismatch:
// "%CRYPTO-6-IKMP_NO_ID_CERT_ADDR_MATCH: ..." and its like, or another identity than the one configured:
// "the peer proved to be IDENTITY", as the core says it of a pre-shared key; IDENTITY is not escaped.
[[nodiscard]] Result<void> check_identity(const PeerProof& proof, const Certificate& leaf);

}  // namespace oakgate::pki
