// Phase 1 as a whole, whatever its exchange: beginning as initiator or responder, being established, failing.
// RFC 2409 section 5; the messages are in main_mode.cc and the files of
// the authentication methods.
#pragma once

#include "ike/exchange.h"

namespace oakgate::ike {

// Begins with a peer whose addresses are known.
void start_phase1(Core& core, Peer& peer);
// Message 1 from a peer: an SA is made only if the step took it.
void answer_phase1(Core& core, Received& message);

// The last message was authentic, and keep_proof() knows it: the SA is there, older ones of the peer go as
// they must, waiting pairs go on.
void phase1_established(Run& run, Identity proved);

// The negotiation is over for good.
void phase1_failed(Core& core, IkeSa& sa, Error error);
void phase1_timed_out(Core& core, IkeSa& sa);
// A message was refused, but the negotiation goes on: what an operator should see meanwhile.
void phase1_hint(Core& core, IkeSa& sa, const Error& error);

}  // namespace oakgate::ike
