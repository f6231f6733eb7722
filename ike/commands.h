// Commands: what an operator, the configuration and the data plane ask of the core.
#pragma once

#include <map>
#include <vector>

#include "ike/core.h"

namespace oakgate::ike {

void on_command(Core& core, Command command);

// Adds a peer and guards its selector pairs, some of which are `guarded` already; nothing is started yet.
void add_peer(Core& core, PeerConfig config, std::vector<KeptPair> kept = {},
              const std::map<Reqid, ProtectPolicy>& guarded = {});

}  // namespace oakgate::ike
