// Commands: what an operator, the configuration and the data plane ask of the core.
#pragma once

#include "ike/core.h"

namespace oakgate::ike {

void on_command(Core& core, Command command);

// Adds a peer and guards its selector pairs; nothing is started yet.
void add_peer(Core& core, PeerConfig config, std::vector<KeptPair> kept = {});
// Deletes its SAs at the peer, takes its guards away and forgets it.
void remove_peer(Core& core, Peer& peer);

}  // namespace oakgate::ike
