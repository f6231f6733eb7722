// Main Mode with pre-shared keys: RFC 2409 section 5.4. Phase 1, from the first message to an established IKE
// SA.
//
//   Initiator                       Responder
//   HDR, SA                   -->
//                             <--   HDR, SA
//   HDR, KE, Ni, NAT-D, NAT-D -->
//                             <--   HDR, KE, Nr, NAT-D, NAT-D
//   HDR*, IDii, HASH_I        -->
//                             <--   HDR*, IDir, HASH_R
#pragma once

#include <span>

#include "ike/exchange.h"

namespace oakgate::ike {

[[nodiscard]] std::span<const Step> main_mode_steps(Role role);

// Initiator: message 1, with the peer's policies.
[[nodiscard]] Result<void> send_first_offer(Core& core, IkeSa& sa, const Peer& peer);

}  // namespace oakgate::ike
