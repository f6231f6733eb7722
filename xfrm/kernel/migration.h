// SAs in UDP whose peer's NAT has given it another port (RFC 3948 section 4): they go on at once, with their
// keys, sequence numbers, windows and counts, while Quick Mode renews them, and also where it cannot (there
// is no IKE SA at the moment, or the peer does not answer).
//
// By XFRM_MSG_UPDSA, which takes from the message the ports and the limits and leaves all else alone. It
// cannot change addresses: those are an SA's name, IKEv1 knows no way to tell a peer of another one, and both
// sides of an SA must know it. A peer at another address is Quick Mode's business alone.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "ike/ports/data_plane.h"
#include "xfrm/netlink/netlink_socket.h"

namespace oakgate {

// What must be told to reach an SA of ours in the kernel, and to move it.
struct HeldSa {
  Reqid reqid;
  PacketMark mark;  // the state's own
  Direction direction{};
  // The peer's at negotiation, in UDP through a NAT that had changed it. 0: none such. A peer at the port
  // that is its own shows no NAT, and stays there unless the protocol, which knows, renews it to another.
  std::uint16_t translated_port = 0;
  // That of the kernel's state since it was moved. Of an inbound one kAnyPort.
  std::optional<std::uint16_t> moved_to{};
};
[[nodiscard]] HeldSa held(const SaSpec& sa);
using HeldSas = std::map<SaId, HeldSa>;

// No packet comes from it: of such a state the kernel says for each packet where that came from, so that a
// translation is followed back to what it was, too.
inline constexpr std::uint16_t kAnyPort = 0;

struct PortChange {
  SaId id;
  HeldSa sa;
  std::uint16_t port;
  friend bool operator==(const PortChange& one, const PortChange& other) {
    return one.id == other.id && one.port == other.port;
  }
};

// What changes after an authentic packet of the inbound SA `told` came from `remote`: the outbound SAs of its
// reqid that were negotiated with the same port of the same address, and itself. Of newer ones, which Quick
// Mode has brought to another port, a late packet of an old one changes nothing.
[[nodiscard]] std::vector<PortChange> port_changes(const HeldSas& sas, const SaId& told,
                                                   const Endpoint& remote);

// The request that changes the peer's port of the state that XFRM_MSG_GETSA has told of. Nothing: it is not
// in UDP, or a network device ciphers it, which would not hear of the change.
[[nodiscard]] std::optional<NetlinkMessage> change_port_message(const nlmsghdr& state, Direction direction,
                                                                std::uint16_t port);
// SAs that are gone meanwhile are no error.
[[nodiscard]] Result<void> change_ports(NetlinkSocket& xfrm, std::span<const PortChange> changes);

}  // namespace oakgate
