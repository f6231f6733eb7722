// `oakgate debug crypto ...`: prints what happens until Ctrl-C, which is its end and no failure.
#pragma once

#include "daemon/cli/arguments.h"

namespace oakgate::cli {

[[nodiscard]] bool is_debug(Verb verb);
// Which `debug crypto` it is.
[[nodiscard]] Facility debug_facility(Verb verb);
enum class DebugEnds : std::uint8_t { with_ctrl_c, with_the_shell };
// Returns when the daemon ends, or refuses. `begun`, if it is one, is a descriptor that is closed once it is
// said that debugging is on.
int debug(const Arguments& arguments, DebugEnds ends = DebugEnds::with_ctrl_c, int begun = -1);

}  // namespace oakgate::cli
