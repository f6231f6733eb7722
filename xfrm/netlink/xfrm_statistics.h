// /proc/net/xfrm_stat: what the kernel's XFRM has dropped, in the reasons of ike/ports/drop_reasons.h. It
// counts for the whole network namespace, and the same number for a wrong encapsulation as for selectors that
// do not match.
#pragma once

#include <string_view>

#include "ike/base/result.h"
#include "ike/ports/drop_reasons.h"

namespace oakgate {

// The file's text. Rows that later kernels may have count as crypto_failed: something was dropped.
[[nodiscard]] DropCounts parse_xfrm_statistics(std::string_view text);

// Of the calling thread's network namespace. ErrorCode::unsupported: the kernel does not count
// (CONFIG_XFRM_STATISTICS).
[[nodiscard]] Result<DropCounts> read_xfrm_statistics();

// What came since `before`.
[[nodiscard]] DropCounts since(const DropCounts& before, const DropCounts& now);

}  // namespace oakgate
