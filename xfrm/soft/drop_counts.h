// The engine's own counts in the reasons that both planes share (ike/ports/drop_reasons.h).
#pragma once

#include "ike/ports/drop_reasons.h"
#include "xfrm/soft/esp_engine.h"

namespace oakgate::soft {

[[nodiscard]] DropCounts drop_counts(const Drops& drops);

}  // namespace oakgate::soft
