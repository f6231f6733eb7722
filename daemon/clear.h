// `clear crypto`: from what a client asks to the core's commands, by a snapshot of one peer. Pure.
#pragma once

#include <vector>

#include "daemon/control_protocol.h"
#include "daemon/status_json.h"
#include "ike/effects.h"
#include "ike/snapshot.h"

namespace oakgate {

struct Cleared {
  std::vector<ike::Command> commands;
  Json sas = Json::array();  // what goes, as oakgate-control(7) describes `cleared`
};

// clear_sas: of `request` the tunnel, or the one SA. clear_isakmp: all, or the one connection.
// clear_connection: an ISAKMP SA or an IPsec one, whichever has the number. With `remote` only SAs with that
// address: a peer may be called by several.
[[nodiscard]] Cleared cleared_by(const ControlRequest& request, const std::optional<IpAddress>& remote,
                                 const ike::PeerSnapshot& peer, const ConnectionNumbers& numbers);

}  // namespace oakgate
