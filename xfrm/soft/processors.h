// How many processors this process may use (taskset(1), a unit's CPUAffinity=), not how many there are.
#pragma once

#include <sched.h>

#include <algorithm>

namespace oakgate {

// From 1 to `most`.
[[nodiscard]] inline unsigned usable_processors(unsigned most) {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::clamp(static_cast<unsigned>(CPU_COUNT(&set)), 1U, most);
}

}  // namespace oakgate
