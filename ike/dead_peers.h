// Dead peers: RFC 3706. Who is silent although it should not be is asked for a sign of life (R-U-THERE); who
// gives none is dead: everything with it goes, and tunnels that start by themselves begin anew.
//
// A sign of life is what nobody can replay: an ESP packet (the data plane's counters grow, and it has a
// replay window), an R-U-THERE-ACK with the sequence number of a question of this round, a finished phase 1
// or Quick Mode. Other messages, authentic as they are, may be a year old.
//
// The core counts no packets: it asks (CountTraffic), and goes on when the answer comes (TrafficCounted).
#pragma once

#include "ike/core.h"
#include "ike/wire/payloads.h"

namespace oakgate::ike {

// An SA has been established: its peer's life is looked after from now on, if both sides know DPD.
void watch_for_silence(Core& core, IkeSa& sa);
void stop_watching(Core& core, IkeSa& sa);
// Something came that only a living peer can have sent.
void heard_from_peer(Core& core, IkeSa& sa);

// From timers and the data plane.
void on_dead_peer_due(Core& core, IkeSa& sa);
void on_silence_judged(Core& core, const TrafficCounted& counted);

// Of authenticated messages.
void answer_probe(Core& core, IkeSa& sa, const wire::NotifyPayload& notify);       // R-U-THERE
void take_probe_answer(Core& core, IkeSa& sa, const wire::NotifyPayload& notify);  // R-U-THERE-ACK
// INVALID-SPI: the peer has no SA for what we send with, so we have none either. False: it names none of
// ours.
bool take_invalid_spi(Core& core, IkeSa& sa, const wire::NotifyPayload& notify);

// Somebody, perhaps the peer, says in clear that it knows nothing of an SA. Never believed; at most it is
// asked, and not often (Limits::probe_pause).
void probe_on_hint(Core& core, IkeSa& sa);
// A packet came for an SPI that is not here. If its source has an IKE SA with us it is told so, under that
// SA, and not often (Limits::unknown_spi_pause).
void on_unknown_spi(Core& core, const UnknownSpi& unknown);

}  // namespace oakgate::ike
