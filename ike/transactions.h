// What a peer may ask for under an established IKE SA that we answer with a refusal: configuration and
// extended authentication (draft-dukes-ike-mode-cfg-02, draft-beaulieu-ike-xauth-02), and groups of its own
// (New Group Mode, RFC 2409 section 5.6). Phase 1 and Quick Mode go on as if nothing had been asked.
//
//   Peer                        Us
//   HDR*, HASH, ATTR      -->
//                         <--   HDR*, HASH, ATTR      each message of a Transaction
//   HDR*, HASH(1), SA     -->
//                         <--   HDR*, HASH(1), N      New Group Mode: in an Informational exchange
//
// Requests get an empty reply, those for XAUTH one that says FAIL; sets are acknowledged with nothing
// accepted. We never begin such an exchange, whatever vendor IDs the peer sent.
#pragma once

#include <span>

#include "ike/exchange.h"

namespace oakgate::ike {

// `kind`: transaction or new_group.
[[nodiscard]] std::span<const Step> transaction_steps(ExchangeKind kind);

// The first message of one, under an SA that is established: the exchange is kept only if its hash verified.
void answer_transaction(Core& core, IkeSa& sa, Received& message);

}  // namespace oakgate::ike
