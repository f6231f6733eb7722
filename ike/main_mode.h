// Main Mode: RFC 2409 section 5. The first two messages choose a policy, the same way for every
// authentication method; what follows is the method's. Here: the first two, and pre-shared keys, section 5.4.
// Signatures: signatures.h.
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

// An initiator's leads to State::mm_i_generating, where a Diffie-Hellman key pair is under way; a responder's
// to State::mm_r_sent_sa.
[[nodiscard]] std::span<const Step> main_mode_first_steps(Role role);
[[nodiscard]] std::span<const Step> pre_shared_key_steps(Role role);

// Initiator: message 1, with the peer's policies.
[[nodiscard]] Result<void> send_first_offer(Core& core, IkeSa& sa, const Peer& peer);

}  // namespace oakgate::ike
