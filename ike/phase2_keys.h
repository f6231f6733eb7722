// From a negotiated Quick Mode to SAs: KEYMAT, SPIs, and what the data plane is given. RFC 2409 section 5.5.
#pragma once

#include <span>
#include <vector>

#include "ike/core.h"

namespace oakgate::ike {

// SPIs for the protocols of `sets` that no inbound SA of ours uses, chosen at random (RFC 2406 section 2.1:
// not below 256). A CPI is 0 if all are in use.
[[nodiscard]] ProtocolSpis new_spis(Core& core, std::span<const TransformSet> sets);
// They are free again.
void release_spis(Core& core, const ProtocolSpis& spis);
// Once a set is chosen: those of other protocols.
void drop_unused_spis(Core& core, QuickMode& quick);

// The SAs of a negotiation, as far as they have names: those of ours, and the peer's once chosen.
[[nodiscard]] std::vector<SaId> phase2_ids(const IkeSa& sa, const QuickMode& quick);

// The SAs of a chosen transform set, keys included: secret. Of a bundle ESP comes first, and
// IPComp last.
[[nodiscard]] Result<std::vector<SaSpec>> phase2_sas(const IkeSa& sa, const QuickMode& quick,
                                                     const Pair& pair, const TunnelConfig& tunnel,
                                                     bool inbound, bool outbound);
// The same without keys, limits and window.
[[nodiscard]] std::vector<SaSpec> bare_sas(const SaPair& pair, const SelectorPair& selectors);
// The same SAs as the books keep them, without keys; id and times are the caller's.
[[nodiscard]] SaPair phase2_pair(const IkeSa& sa, const QuickMode& quick, const Pair& pair);

}  // namespace oakgate::ike
