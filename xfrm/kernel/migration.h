// SAs in UDP that go on at another place of their peer's: a NAT has given it another port or address (RFC
// 3948 section 4). They keep keys, sequence numbers, windows, counts and limits, and nobody has to negotiate.
//
// Another port: XFRM_MSG_UPDSA, which takes from the message the ports and the limits and leaves all else
// alone. Another address is part of an outbound SA's name, and nothing that can be updated: the state is made
// anew with what XFRM_MSG_GETSA says of the old one, its keys among them, and takes its place.
//
// XFRM_MSG_MIGRATE does not serve: it moves one state of a template, where a renewal has two, gives the two
// directions the same UDP ports, which through a NAT they do not have, does not look at marks, and lets the
// old state send while the new one begins with the same numbers. What guards here against that and against
// replays is the order: the policies name the new place before (DataPlane::move), so that no packet takes an
// old outbound state any more and what an old inbound one opens is dropped.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "ike/ports/data_plane.h"
#include "xfrm/netlink/netlink_socket.h"

namespace oakgate {

// What must be told to reach an SA of ours in the kernel, and what the kernel has forgotten of it.
struct HeldSa {
  Reqid reqid;
  PacketMark mark;  // the state's own
  Direction direction{};
  // That states before this one counted: those numbers cannot be given to a new one.
  std::uint64_t replayed = 0;
  std::uint64_t not_authentic = 0;
};
[[nodiscard]] HeldSa held(const SaSpec& sa);
using HeldSas = std::map<SaId, HeldSa>;

// A packet that was under way in the kernel while the old outbound state was read may have taken a number
// that is not seen: so many are left out. To the peer that is like as many lost packets.
inline constexpr std::uint32_t kSkippedNumbers = 1024;

// The SA's name at its peer's new place.
[[nodiscard]] SaId name_at(const SaId& id, Direction direction, const Endpoint& remote);

// The requests that move the state which XFRM_MSG_GETSA has told of, in their order: an update, or the old
// one's end and the new one's beginning. None: it is no state of ours, or a network device ciphers it, which
// would not hear of the change. With keys: secret.
[[nodiscard]] std::vector<NetlinkMessage> move_messages(const nlmsghdr& state, Direction direction,
                                                        const PacketMark& mark, const Endpoint& remote);

// DataPlane::move, and `sas` follow. What could not be made anew is out of `sas` and of the kernel.
[[nodiscard]] Result<void> move_states(NetlinkSocket& xfrm, HeldSas& sas, std::span<const SaMove> moves);

}  // namespace oakgate
