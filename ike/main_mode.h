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

// Sends message 1 to a peer whose addresses are known.
void start_main_mode(Core& core, Peer& peer);
// Message 1 from a peer: an SA is made only if the step took it.
void answer_main_mode(Core& core, Received& message);

// The negotiation is over for good.
void main_mode_failed(Core& core, IkeSa& sa, Error error);
void main_mode_timed_out(Core& core, IkeSa& sa);
// A message was refused, but the negotiation goes on: what an operator should see meanwhile.
void main_mode_hint(Core& core, IkeSa& sa, const Error& error);

}  // namespace oakgate::ike
