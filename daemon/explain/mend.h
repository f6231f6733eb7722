// What mends a failure: the lines for our configuration, or commands here, and those for the device.
#pragma once

#include "daemon/explain/diagnosis.h"
#include "daemon/explain/facts.h"

namespace oakgate::explain {

// Both fill `out`, whose reason and attributes are known already. `peer`: nothing for a stranger.
void mend_here(const ike::Failure& failure, const conf::Config& config, const conf::PeerConfig* peer,
               const Values& values, Diagnosis& out);
void mend_there(const ike::Failure& failure, const conf::Config& config, const conf::PeerConfig* peer,
                const Values& values, Diagnosis& out);

}  // namespace oakgate::explain
