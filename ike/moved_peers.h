// A peer behind a NAT whose translation has changed: RFC 3948 section 4. Only a packet that proved authentic
// tells, of IKE or (by the data plane) of ESP; what has not been authenticated moves nothing.
//
// The IKE SA follows at once; SA pairs are renewed to the new place under it, and the old ones end as after
// any renewal.
#pragma once

#include "ike/core.h"

namespace oakgate::ike {

// An authentic message of this SA came from `from`. Not from within a Quick Mode's handler: exchanges may be
// given up.
void follow_message(Core& core, IkeSa& sa, const Endpoint& from);
// The data plane saw it.
void on_peer_moved(Core& core, const PeerMoved& moved);

}  // namespace oakgate::ike
