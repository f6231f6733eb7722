// The kernel data plane: SAs and policies in the kernel's own SAD and SPD, by XFRM netlink.
//
// Packets never pass through the daemon: it installs, removes, reads counters, and hears of acquires and hard
// limits. Differences the contract leaves open: `SaCounters::selector_mismatch` stays 0 (the kernel counts it
// for all SAs together, /proc/net/xfrm_stat); after an acquire the kernel itself keeps quiet for
// net.core.xfrm_acq_expires seconds (30) unless an SA comes; a policy whose peer address is unknown drops
// without acquire. Events that the kernel dropped for want of room (ENOBUFS) are made up for by one dump; so
// is an answer that was lost, or a state that the kernel had no memory to remove: each second, until it is
// done.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "ike/base/result.h"
#include "ike/ports/data_plane.h"

namespace oakgate {

// SAs of an earlier run that are to be carried on with, their keys empty; `stayed` is filled in: those that
// the kernel has.
struct KeptStates {
  std::vector<SaSpec> sas;
  std::vector<SaId> stayed;
};

// Tries first whether this kernel can do ESP with the algorithms of `sets`; the error says what it lacks, and
// nothing of ours is left behind then. (A set that comes later, with another configuration, fails at
// install() if the kernel lacks it.) In the calling thread's network namespace. What a killed run left is
// adopted: its policies and routes guard on until protect() replaces them or the first dispatch(), which fd()
// asks for, ends them. Its SAs go at once, but for those of `kept` that are there just so.
[[nodiscard]] Result<std::unique_ptr<DataPlane>> make_kernel_data_plane(std::span<const TransformSet> sets,
                                                                        KeptStates* kept = nullptr);

}  // namespace oakgate
