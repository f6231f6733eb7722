// Where a data plane's functions end for want of memory: what was half done has been taken back below, and
// the caller hears of it as of any other failure.
#pragma once

#include <new>

#include "ike/base/result.h"

namespace oakgate {

[[nodiscard]] inline Error out_of_memory() {
  return {ErrorCode::internal,
          "the data plane has no memory left for it",
          "memory for some kilobytes more",
          "see what takes the memory, or raise the unit's MemoryMax",
          {}};
}

// `work` gives a Result.
template <typename Work>
[[nodiscard]] auto within_memory(Work work) -> decltype(work()) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return tl::unexpected(out_of_memory());
  }
}

}  // namespace oakgate
