// The kernel data plane: SAs and policies in the kernel's own SAD and SPD, by XFRM netlink.
//
// Packets never pass through the daemon: it installs, removes, reads counters, and hears of acquires and hard
// limits. Differences the contract leaves open: `SaCounters::selector_mismatch` stays 0 (the kernel counts it
// for all SAs together, /proc/net/xfrm_stat); after an acquire the kernel itself keeps quiet for
// net.core.xfrm_acq_expires seconds (30) unless an SA comes; a policy whose peer address is unknown drops
// without acquire. Does not do: AH, transport mode, XFRM interfaces, offload (not yet).
#pragma once

#include <memory>
#include <span>

#include "ike/base/result.h"
#include "ike/ports/data_plane.h"

namespace oakgate {

// Tries first whether this kernel can do ESP with the algorithms of `sets`; the error says what it lacks, and
// nothing of ours is left behind then. (A set that comes later, with another configuration, fails at
// install() if the kernel lacks it.) In the calling thread's network namespace. What a killed run left is
// adopted: its policies and routes guard on until protect() replaces them or the first dispatch(), which fd()
// asks for, ends them.
[[nodiscard]] Result<std::unique_ptr<DataPlane>> make_kernel_data_plane(std::span<const TransformSet> sets);

}  // namespace oakgate
