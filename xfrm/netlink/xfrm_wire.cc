#include "xfrm/netlink/xfrm_wire.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

namespace oakgate {

std::uint16_t xfrm_family(Family family) {
  return family == Family::ipv4 ? AF_INET : AF_INET6;
}

xfrm_address_t to_xfrm(const IpAddress& address) {
  xfrm_address_t out{};
  std::copy(address.bytes().begin(), address.bytes().end(), reinterpret_cast<std::uint8_t*>(&out));
  return out;
}

IpAddress from_xfrm(const xfrm_address_t& address, std::uint16_t family) {
  const std::size_t size = family == AF_INET ? 4 : 16;
  return IpAddress::from_bytes({reinterpret_cast<const std::uint8_t*>(&address), size}).value_or(IpAddress{});
}

xfrm_selector to_xfrm(const Selector& source, const Selector& destination) {
  xfrm_selector out{};
  out.family = xfrm_family(source.subnet.family());
  out.saddr = to_xfrm(source.subnet.address());
  out.daddr = to_xfrm(destination.subnet.address());
  out.prefixlen_s = static_cast<std::uint8_t>(source.subnet.prefix());
  out.prefixlen_d = static_cast<std::uint8_t>(destination.subnet.prefix());
  out.proto = source.protocol;
  out.sport = htons(source.port);
  out.sport_mask = source.port == 0 ? 0 : 0xffff;
  out.dport = htons(destination.port);
  out.dport_mask = destination.port == 0 ? 0 : 0xffff;
  return out;
}

std::optional<XfrmSelectors> from_xfrm(const xfrm_selector& selector) {
  if (selector.family != AF_INET && selector.family != AF_INET6) return std::nullopt;
  const auto side = [&](const xfrm_address_t& address, int prefix,
                        std::uint16_t port) -> std::optional<Selector> {
    const IpAddress base = from_xfrm(address, selector.family);
    if (prefix > base.bits()) return std::nullopt;
    return Selector{Subnet(base, prefix), selector.proto, ntohs(port)};
  };
  const auto source = side(selector.saddr, selector.prefixlen_s, selector.sport);
  const auto destination = side(selector.daddr, selector.prefixlen_d, selector.dport);
  if (!source || !destination) return std::nullopt;
  return XfrmSelectors{*source, *destination};
}

void put_mark(NetlinkMessage& message, const PacketMark& mark) {
  if (mark.all()) return;
  message.put_struct(XFRMA_MARK, xfrm_mark{mark.value, mark.mask});
}

PacketMark mark_of(const NetlinkAttributes& attributes) {
  const auto mark = attributes.as<xfrm_mark>(XFRMA_MARK);
  return mark ? PacketMark{mark->v, mark->m} : PacketMark{};
}

xfrm_lifetime_cfg unlimited_lifetime() {
  xfrm_lifetime_cfg limits{};
  limits.soft_byte_limit = limits.hard_byte_limit = XFRM_INF;
  limits.soft_packet_limit = limits.hard_packet_limit = XFRM_INF;
  return limits;
}

}  // namespace oakgate
