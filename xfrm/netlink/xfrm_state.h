// XFRM states (the kernel's SAD): SaSpec <-> netlink messages, and the trial that finds out whether ESP works
// here.
//
// SPIs are chosen by the caller: XFRM_MSG_ALLOCSPI is never used (it is linear in the number of SAs on new
// kernels). Messages with keys are wiped by NetlinkMessage. Key and tag lengths come from
// ike/base/algorithms.h.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <string>
#include "ike/base/result.h"

#include "ike/ports/data_plane.h"
#include "xfrm/netlink/netlink_socket.h"

struct xfrm_usersa_info;

namespace oakgate {

[[nodiscard]] SaCounters counters_of(const xfrm_usersa_info& state, const SaId& id);

[[nodiscard]] NetlinkMessage add_state_message(const SaSpec& sa);  // exclusive: EEXIST if the SaId is taken
[[nodiscard]] NetlinkMessage remove_state_message(const SaId& id);
[[nodiscard]] NetlinkMessage query_state_message(const SaId& id);

// What the kernel says of one SA; no keys.
struct StateReport {
  SaId id;
  Reqid reqid;
  SaCounters counters;
  bool past_soft_limit = false;  // of bytes or packets
  bool larval = false;           // no SA: an acquire that waits for one
};
[[nodiscard]] std::optional<StateReport> parse_state(const nlmsghdr& message);
// Whether what the kernel holds is this SA, whatever its keys, limits and window: the same name, reqid,
// addresses, selectors, mode, algorithms, key lengths and encapsulation. `sa` needs no keys.
[[nodiscard]] bool is_state(const nlmsghdr& held, const SaSpec& sa);

// Those whose reqid is ours, by one dump, larval ones too; `each` sees the messages of the others.
[[nodiscard]] Result<std::vector<StateReport>> our_states(NetlinkSocket& xfrm,
                                                          const NetlinkHandler& each = {});

// What a kernel must have for a protocol, and what to do where it has not.
[[nodiscard]] std::string kernel_option(IpsecProtocol protocol);
[[nodiscard]] std::string kernel_remedy(IpsecProtocol protocol);

// Adds and removes ESP, AH and IPComp SAs of ours for each of the transform sets, and one with AES-CBC and
// HMAC-SHA-1 besides, over IPv4 and (where the machine has it) IPv6: kernels differ in the rarer ciphers, and
// what nobody configured need not be there. The error says in words what this kernel refused: the daemon's
// reason for `software`.
[[nodiscard]] Result<void> probe_esp(std::span<const TransformSet> sets);

}  // namespace oakgate
