// From a negotiated Quick Mode to SAs: KEYMAT, SPIs, and what the data plane is given. RFC 2409 section 5.5.
#pragma once

#include <vector>

#include "ike/core.h"

namespace oakgate::ike {

// A SPI that no inbound SA of ours uses, chosen at random (RFC 2406 section 2.1: not below 256).
[[nodiscard]] Spi new_spi(Core& core);

// The SAs of a chosen transform, keys included: secret.
[[nodiscard]] Result<std::vector<SaSpec>> phase2_sas(const IkeSa& sa, const QuickMode& quick,
                                                     const Pair& pair, const TunnelConfig& tunnel,
                                                     bool inbound, bool outbound);
// The same two SAs as the books keep them, without keys; id and times are the caller's.
[[nodiscard]] SaPair phase2_pair(const IkeSa& sa, const QuickMode& quick, const Pair& pair);

}  // namespace oakgate::ike
