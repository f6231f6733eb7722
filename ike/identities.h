// Identities on the wire and in the configuration: RFC 2407 section 4.6.2. Phase 1: who a gateway is. Phase
// 2: which traffic an SA pair carries (client identities; IOS calls them proxy identities).
#pragma once

#include <string>

#include "ike/base/net.h"
#include "ike/base/policy.h"
#include "ike/base/result.h"
#include "ike/wire/payloads.h"

namespace oakgate::ike {

// `own` stands in for an identity of kind address that is the any-address. A distinguished name needs `der`.
[[nodiscard]] wire::IdPayload phase1_id(const Identity& identity, const IpAddress& own);
// RFC 2407 section 4.6.2, of phase 1: "the ID port and protocol fields MUST be set to zero or to UDP port
// 500".
[[nodiscard]] bool names_ike(const wire::IdPayload& id);
// Addresses, host names, user names and distinguished names; anything else is INVALID-ID-INFORMATION.
[[nodiscard]] Result<Identity> parse_phase1_id(const wire::IdPayload& id);
// Whether a configured identity allows a claimed one, whatever proves it. An any-address stands for `source`,
// and behind a NAT for every address: a peer knows only its inner one there.
[[nodiscard]] bool identity_fits(const Identity& wanted, const Identity& claimed, const IpAddress& source,
                                 bool behind_nat);

// A host becomes an address, a network a subnet: the forms IOS sends and expects. A range becomes a range.
[[nodiscard]] wire::IdPayload client_id(const Selector& selector);
// Address, subnet or range; anything else is INVALID-ID-INFORMATION.
[[nodiscard]] Result<Selector> parse_client_id(const wire::IdPayload& id);

// For events: type and content, e.g. "10.1.0.0/24" or "ID_KEY_ID 0a0b".
[[nodiscard]] std::string describe(const wire::IdPayload& id);

}  // namespace oakgate::ike
