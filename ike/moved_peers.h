// A peer behind a NAT whose translation has changed: RFC 3948 section 4. Only a packet that proved authentic
// tells, of IKE or (by the data plane) of ESP; what has not been authenticated moves nothing.
//
// The IKE SA follows at once, and so do the SA pairs: the data plane has them go on at the peer's new address
// and port, with their keys and numbers, after the pair's policy (DataPlane::move). Pairs that it cannot
// move, in transport mode or ciphered by a network device, are renewed to the new place instead.
#pragma once

#include "ike/core.h"

namespace oakgate::ike {

// An authentic message of this SA came from `from`. Not from within a Quick Mode's handler: exchanges may be
// given up.
void follow_message(Core& core, IkeSa& sa, const Endpoint& from);
// The peer has proved itself anew, maybe from elsewhere than its SA pairs send to.
void follow_phase1(Core& core, Peer& peer);
// The data plane saw it.
void on_peer_moved(Core& core, const PeerMoved& moved);
// The answer to MoveSas.
void on_sas_moved(Core& core, SasMoved moved);

}  // namespace oakgate::ike
