// Between pki/ and the core: a trustpoint's facts as the core takes them.
#pragma once

#include <vector>

#include "conf/config.h"
#include "ike/config.h"
#include "pki/trust_store.h"

namespace oakgate {

[[nodiscard]] ike::TrustpointState trustpoint_state(pki::TrustpointFacts facts);

// Those that a peer proves itself by, or an operator who logs in.
[[nodiscard]] std::vector<TrustpointConfig> trustpoints_in_use(const conf::Config& config);

}  // namespace oakgate
