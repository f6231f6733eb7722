// Making snapshots (snapshot.h) of the core's books.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ike/core.h"
#include "ike/snapshot.h"

namespace oakgate::ike {

[[nodiscard]] std::vector<PeerSnapshot> take_snapshot(const EngineState& state, WallTime now,
                                                      std::string_view only);
[[nodiscard]] std::optional<SaPairSnapshot> take_pair_snapshot(const EngineState& state,
                                                               const std::string& peer, Spi in);
[[nodiscard]] std::string proved_identity(const EngineState& state, const std::string& peer);

}  // namespace oakgate::ike
