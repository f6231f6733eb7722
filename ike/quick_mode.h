// Quick Mode: RFC 2409 section 5.5. Phase 2, one SA pair for one selector pair.
//
//   Initiator                                     Responder
//   HDR*, HASH(1), SA, Ni [, KE], IDci, IDcr -->
//                                            <--  HDR*, HASH(2), SA, Nr [, KE], IDci, IDcr
//   HDR*, HASH(3)                            -->
//
// The responder receives on its new SA before message 2 is out, the initiator on its own before message 3 is;
// the responder sends on its new SA only after message 3. Other responders receive on theirs only after
// message 3: in a renewal the initiator therefore sends on its new SA a little later (tunnels.h, "Make before
// break"). So no packet meets an SA that is not there yet. A peer that sets the commit bit tells by itself
// when it receives: commit_bit.h.
#pragma once

#include <optional>
#include <span>

#include "ike/exchange.h"

namespace oakgate::ike {

[[nodiscard]] std::span<const Step> quick_mode_steps(Role role);

// Our own exchange for a pair while it is under way.
struct OwnQuickMode {
  IkeSa* sa;
  QuickMode* quick;
};
[[nodiscard]] std::optional<OwnQuickMode> own_quick_mode(Core& core, const Pair& pair);

// Whether the peer's for a pair is under way and waits for message 3 alone: what it sends under it may be
// here before that, and so may answers. It ends by itself if message 3 never comes.
[[nodiscard]] bool expects_message_3(Core& core, const Peer& peer, Reqid reqid);

// Begins one for a selector pair under an established SA.
void start_quick_mode(Core& core, IkeSa& sa, Peer& peer, Pair& pair);
// Message 1 of a peer's: the exchange is kept only if HASH(1) verified.
void answer_quick_mode(Core& core, IkeSa& sa, Received& message);

// Over: the peer is told what `error.notify` says, the pair learns of it, nothing of the exchange stays.
void quick_mode_failed(Core& core, IkeSa& sa, QuickMode& quick, Error error);
void quick_mode_timed_out(Core& core, IkeSa& sa, QuickMode& quick);
// The responder repeated message 2: it does not have message 3.
void quick_mode_repeated(Core& core, const QuickMode& quick);
// Its IKE SA goes away: our own is wanted again elsewhere, a peer's is forgotten.
void abandon_quick_mode(Core& core, IkeSa& sa, QuickMode& quick);

}  // namespace oakgate::ike
