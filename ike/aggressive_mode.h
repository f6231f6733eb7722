// Aggressive Mode: RFC 2409 sections 5, 5.1 and 5.4, with pre-shared keys or signatures. Identities travel in
// clear and come first, so a responder can choose the pre-shared key by name; the price is that HASH_R, seen
// by anybody, can be tried against guessed keys. Only with peers that allow it (`aggressive: true`).
//
//   Initiator                                         Responder
//   HDR, SA, KE, Ni, IDii [, CERT_REQ]          -->
//                                               <--   HDR, SA, KE, Nr, IDir, [CERT,] HASH_R or SIG_R, NAT-D,
//                                               NAT-D
//   HDR*, [CERT,] HASH_I or SIG_I, NAT-D, NAT-D -->
//
// One group and one method are offered: message 1 holds a public value of that group already.
#pragma once

#include <span>

#include "ike/exchange.h"

namespace oakgate::ike {

// Messages 1 and 2, up to where the initiator knows the method: it has checked the choice, and g^xy is under
// way (ag_i_sharing, ag_r_sharing).
[[nodiscard]] std::span<const Step> aggressive_first_steps(Role role);
// What follows. Nothing for methods that encrypt.
[[nodiscard]] std::span<const Step> aggressive_steps(Role role, AuthMethod method);

// Initiator: our key pair is begun; message 1 follows.
[[nodiscard]] Result<void> begin_aggressive(Core& core, IkeSa& sa, const Peer& peer);

// Responder, message 1 before there is an SA: the identity in it, if it has one that we understand.
[[nodiscard]] Result<Identity> claimed_identity(Received& message);
// Responder: the initiator seems to be done while message 3 is still missing: message 2 is sent again, so
// that it repeats it. (Message 2 is not repeated unasked: message 1's sender may be anybody.)
void ask_for_message_3(Core& core, IkeSa& sa);

}  // namespace oakgate::ike
