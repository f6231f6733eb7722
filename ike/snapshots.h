// Making snapshots (snapshot.h) of the core's books.
#pragma once

#include <string_view>
#include <vector>

#include "ike/core.h"
#include "ike/snapshot.h"

namespace oakgate::ike {

[[nodiscard]] std::vector<PeerSnapshot> take_snapshot(const EngineState& state, WallTime now,
                                                      std::string_view only);

}  // namespace oakgate::ike
