// RESPONDER-LIFETIME, RFC 2407 section 4.6.3.1: a responder whose life is shorter than the one offered takes
// the offer as it stands, as RFC 2408 section 4.2 wants, and says its own beside it: for an SA pair in
// message 2 of Quick Mode, for an IKE SA in a message of its own right after phase 1. The smaller life then
// holds at both ends. Nothing is lost with the message: the responder's SA ends first, and says so by DELETE.
#pragma once

#include "ike/attributes.h"
#include "ike/core.h"

namespace oakgate::ike {

// For message 2; `spi` is our inbound one. Only if `shortened` says anything.
[[nodiscard]] wire::NotifyPayload phase2_life_notice(std::uint8_t protocol, Spi spi,
                                                     const OfferedLife& shortened);
// What a peer's says, about phase 1 or 2: nothing, if it cannot be read.
[[nodiscard]] OfferedLife told_life(const wire::NotifyPayload& notify);

// Responder, established: tells the peer, if our life is the shorter one.
void tell_phase1_life(Core& core, IkeSa& sa);
// From an authenticated Informational message: of its own IKE SA, or of the SA pair whose SPI it names. A
// longer life changes nothing, nor do kilobytes of an SA that the data plane has already: the peer ends it.
void take_responder_lifetime(Core& core, IkeSa& sa, const wire::NotifyPayload& notify);

}  // namespace oakgate::ike
