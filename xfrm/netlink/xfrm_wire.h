// Our addresses and selectors <-> the structs of linux/xfrm.h, whose addresses and ports are in network
// order.
#pragma once

#include <linux/xfrm.h>

#include <cstdint>
#include <optional>

#include "ike/base/net.h"
#include "ike/base/policy.h"
#include "xfrm/netlink/netlink_message.h"

namespace oakgate {

[[nodiscard]] std::uint16_t xfrm_family(Family family);  // AF_INET, AF_INET6
[[nodiscard]] xfrm_address_t to_xfrm(const IpAddress& address);
[[nodiscard]] IpAddress from_xfrm(const xfrm_address_t& address, std::uint16_t family);

// Both sides must be of one family; the protocol is the source's. Of a range the narrowest subnet around it.
[[nodiscard]] xfrm_selector to_xfrm(const Selector& source, const Selector& destination);
struct XfrmSelectors {
  Selector source;
  Selector destination;
};
[[nodiscard]] std::optional<XfrmSelectors> from_xfrm(const xfrm_selector& selector);

// XFRMA_MARK; nothing is put for a mark that all packets have.
void put_mark(NetlinkMessage& message, const PacketMark& mark);
[[nodiscard]] PacketMark mark_of(const NetlinkAttributes& attributes);

// No byte, packet or time limit.
[[nodiscard]] xfrm_lifetime_cfg unlimited_lifetime();

}  // namespace oakgate
