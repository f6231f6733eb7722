// Where the sequence numbers of one XFRM state are, read and set without its keys: the kernel's "async
// events", XFRM_MSG_GETAE and XFRM_MSG_NEWAE. With them a state made anew goes on where another one of the
// same keys has stopped: no number is used twice, and what that one has taken is not taken again (RFC 4303
// sections 2.2 and 3.4.3).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "ike/base/policy.h"
#include "ike/base/result.h"
#include "ike/ports/data_plane.h"
#include "xfrm/netlink/netlink_socket.h"

namespace oakgate {

struct ReplayState {
  std::uint64_t sent = 0;      // the last number used
  std::uint64_t received = 0;  // the highest that was authentic
  // Packets, of a state whose window is XFRMA_REPLAY_ESN_VAL (ESN, or a window of more than 32); 0: the state
  // has the old form of at most 32, whose size is the state's own and cannot be set.
  std::uint32_t window = 0;
  // The window's bits as the kernel keeps them: ceil(window / 32) words; one in the old form.
  std::vector<std::uint32_t> seen;
  // What its limits count. Nothing: left as it is.
  struct Used {
    std::uint64_t bytes = 0;
    std::uint64_t packets = 0;
    std::uint64_t added = 0;  // seconds since 1970
    std::uint64_t used = 0;   // likewise, first; 0: never
    friend bool operator==(const Used&, const Used&) = default;
  };
  std::optional<Used> used;
  friend bool operator==(const ReplayState&, const ReplayState&) = default;
};

// `mark`: as remove_state_message has it.
[[nodiscard]] NetlinkMessage query_replay_message(const SaId& id, const PacketMark& mark = {});
// A state takes only a window of its own form and size (EINVAL).
[[nodiscard]] NetlinkMessage set_replay_message(const SaId& id, const ReplayState& state,
                                                const PacketMark& mark = {});
[[nodiscard]] std::optional<ReplayState> parse_replay_state(const nlmsghdr& message);

// ErrorCode::not_found: there is no such SA.
[[nodiscard]] Result<ReplayState> read_replay_state(NetlinkSocket& xfrm, const SaId& id,
                                                    const PacketMark& mark = {});
[[nodiscard]] Result<void> set_replay_state(NetlinkSocket& xfrm, const SaId& id, const ReplayState& state,
                                            const PacketMark& mark = {});

}  // namespace oakgate
