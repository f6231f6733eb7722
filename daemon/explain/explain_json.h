// `oakgate explain` as JSON: oakgate-control(7).
#pragma once

#include "conf/config.h"
#include "daemon/control_protocol.h"
#include "ike/failure_book.h"
#include "ike/snapshot.h"

namespace oakgate::explain {

struct ExplainInput {
  const conf::Config& config;
  const ike::FailureBook& failures;
  Now now;
};

// The last failure of a peer whole, earlier ones in short, and strangers who call, who may be it.
[[nodiscard]] Json explain_peer(const ExplainInput& input, const conf::PeerConfig& peer,
                                const ike::PeerSnapshot& snapshot);
// Who calls and is nobody's.
[[nodiscard]] Json explain_strangers(const ExplainInput& input);

}  // namespace oakgate::explain
