// XFRM states (the kernel's SAD): SaSpec <-> netlink messages.
//
// SPIs are chosen by the caller: XFRM_MSG_ALLOCSPI is never used (it is linear in the number of SAs on new
// kernels). Messages with keys are wiped by NetlinkMessage. Key and tag lengths come from
// ike/base/algorithms.h.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "ike/base/result.h"

#include "ike/ports/data_plane.h"
#include "xfrm/netlink/netlink_socket.h"

struct xfrm_usersa_id;
struct xfrm_usersa_info;

namespace oakgate {

[[nodiscard]] xfrm_usersa_id kernel_id(const SaId& id);
[[nodiscard]] SaCounters counters_of(const xfrm_usersa_info& state, const SaId& id);

// Exclusive: EEXIST if the SaId is taken. `offload_ifindex`: the device of `ties.offload`; 0: none.
[[nodiscard]] NetlinkMessage add_state_message(const SaSpec& sa, unsigned offload_ifindex = 0);
// `mark`: the state's own (outbound ones of a tunnel with a mark), else the kernel does not find it.
[[nodiscard]] NetlinkMessage remove_state_message(const SaId& id, const PacketMark& mark = {});
[[nodiscard]] NetlinkMessage query_state_message(const SaId& id, const PacketMark& mark = {});

// XFRMA_OFFLOAD_DEV of states and policies; `flags`: kOffload*.
inline constexpr std::uint8_t kOffloadIpv6 = 1;
inline constexpr std::uint8_t kOffloadInbound = 2;
inline constexpr std::uint8_t kOffloadPacket = 4;  // Linux 6.2 and later
void put_offload(NetlinkMessage& message, unsigned ifindex, std::uint8_t flags);

// What the kernel says of one SA; no keys.
struct StateReport {
  SaId id;
  Reqid reqid;
  SaCounters counters;
  PacketMark mark;
  bool offloaded = false;        // by a network device
  bool past_soft_limit = false;  // of bytes or packets
  bool larval = false;           // no SA: an acquire that waits for one
};
[[nodiscard]] std::optional<StateReport> parse_state(const nlmsghdr& message);
// Whether what the kernel holds is this SA, whatever its keys, limits and window: the same name, reqid,
// addresses, selectors, mode, algorithms, key lengths, encapsulation, mark and interface. `sa` needs no keys.
// The peer's UDP port may be another: states follow it.
[[nodiscard]] bool is_state(const nlmsghdr& held, const SaSpec& sa);

// Those whose reqid is ours, by one dump, larval ones too; `each` sees the messages of the others.
[[nodiscard]] Result<std::vector<StateReport>> our_states(NetlinkSocket& xfrm,
                                                          const NetlinkHandler& each = {});

}  // namespace oakgate
