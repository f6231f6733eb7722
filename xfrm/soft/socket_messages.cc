#include "xfrm/soft/socket_messages.h"

#include <netinet/in.h>
#include <netinet/udp.h>

#include <cstring>

namespace oakgate::soft {

namespace {

IpAddress address_of(const void* raw, std::size_t size) {
  return *IpAddress::from_bytes({static_cast<const std::uint8_t*>(raw), size});
}

// An extension header as a control message; ipv6(7): they come in the packet's order.
std::optional<Ipv6Extension> extension_of(const cmsghdr* control) {
  if (control->cmsg_level != IPPROTO_IPV6) return std::nullopt;
  const ByteView bytes(CMSG_DATA(control), control->cmsg_len - CMSG_LEN(0));
  switch (control->cmsg_type) {
    case IPV6_HOPOPTS:
      return Ipv6Extension{IPPROTO_HOPOPTS, bytes};
    case IPV6_RTHDR:
      return Ipv6Extension{IPPROTO_ROUTING, bytes};
    case IPV6_DSTOPTS:
      return Ipv6Extension{IPPROTO_DSTOPTS, bytes};
    default:
      return std::nullopt;
  }
}

template <typename T>
T control_value(const cmsghdr* control) {
  T value{};
  std::memcpy(&value, CMSG_DATA(control), sizeof(value));
  return value;
}

// Appends a control message; there is room.
template <typename T>
void put_control(msghdr& header, int level, int type, const T& value) {
  auto* const place = static_cast<std::uint8_t*>(header.msg_control) + header.msg_controllen;
  std::memset(place, 0, CMSG_SPACE(sizeof(value)));
  auto* const control = reinterpret_cast<cmsghdr*>(place);
  control->cmsg_level = level;
  control->cmsg_type = type;
  control->cmsg_len = CMSG_LEN(sizeof(value));
  std::memcpy(CMSG_DATA(control), &value, sizeof(value));
  header.msg_controllen += CMSG_SPACE(sizeof(value));
}

}  // namespace

SocketAddress to_socket_address(const IpAddress& address, std::uint16_t port) {
  SocketAddress out;
  if (address.is_v4()) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&v4.sin_addr, address.bytes().data(), 4);
    std::memcpy(&out.storage, &v4, sizeof(v4));
    out.size = sizeof(v4);
    return out;
  }
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  std::memcpy(&v6.sin6_addr, address.bytes().data(), 16);
  std::memcpy(&out.storage, &v6, sizeof(v6));
  out.size = sizeof(v6);
  return out;
}

Endpoint to_endpoint(const sockaddr_storage& storage) {
  if (storage.ss_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &storage, sizeof(v6));
    return {address_of(&v6.sin6_addr, 16), ntohs(v6.sin6_port)};
  }
  sockaddr_in v4{};
  std::memcpy(&v4, &storage, sizeof(v4));
  return {address_of(&v4.sin_addr, 4), ntohs(v4.sin_port)};
}

bool set_socket_option(int fd, int level, int option, int value) {
  return ::setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

Arrival read_control(msghdr& header) {
  Arrival out;
  for (cmsghdr* control = CMSG_FIRSTHDR(&header); control != nullptr;
       control = CMSG_NXTHDR(&header, control)) {
    if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO) {
      const auto info = control_value<in_pktinfo>(control);
      out.destination = address_of(&info.ipi_addr, 4);
    } else if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_PKTINFO) {
      const auto info = control_value<in6_pktinfo>(control);
      out.destination = address_of(&info.ipi6_addr, 16);
    } else if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_TOS) {
      out.traffic_class = control_value<std::uint8_t>(control);
    } else if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_TCLASS) {
      out.traffic_class = static_cast<std::uint8_t>(control_value<int>(control));
    } else if (control->cmsg_level == IPPROTO_UDP && control->cmsg_type == UDP_GRO) {
      const int size = control_value<int>(control);
      out.segment = size > 0 ? static_cast<std::size_t>(size) : 0;
    } else if (const auto extension = extension_of(control)) {
      out.extensions.add(*extension);
    }
  }
  if ((header.msg_flags & MSG_CTRUNC) != 0) out.extensions.lose();
  return out;
}

void write_control(msghdr& header, const SealedPacket& packet, std::size_t segment) {
  header.msg_controllen = 0;
  const int traffic_class = packet.traffic_class;
  if (packet.path.source.is_v4()) {
    in_pktinfo info{};
    std::memcpy(&info.ipi_spec_dst, packet.path.source.bytes().data(), 4);
    put_control(header, IPPROTO_IP, IP_PKTINFO, info);
    put_control(header, IPPROTO_IP, IP_TOS, traffic_class);
  } else {
    in6_pktinfo info{};
    std::memcpy(&info.ipi6_addr, packet.path.source.bytes().data(), 16);
    put_control(header, IPPROTO_IPV6, IPV6_PKTINFO, info);
    put_control(header, IPPROTO_IPV6, IPV6_TCLASS, traffic_class);
  }
  static_assert(kSendControl >= CMSG_SPACE(sizeof(in6_pktinfo)) + CMSG_SPACE(sizeof(int)) +
                                    CMSG_SPACE(sizeof(std::uint16_t)));
  if (segment != 0) put_control(header, IPPROTO_UDP, UDP_SEGMENT, static_cast<std::uint16_t>(segment));
}

}  // namespace oakgate::soft
