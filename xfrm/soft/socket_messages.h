// Addresses and control messages of the outer sockets, as recvmmsg and sendmmsg take them.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <optional>

#include "ike/base/net.h"
#include "xfrm/soft/ah_packet.h"
#include "xfrm/soft/outer_ipv6_header.h"
#include "xfrm/soft/packet_batch.h"

namespace oakgate::soft {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  [[nodiscard]] sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};
[[nodiscard]] SocketAddress to_socket_address(const IpAddress& address, std::uint16_t port);
[[nodiscard]] Endpoint to_endpoint(const sockaddr_storage& storage);

[[nodiscard]] bool set_socket_option(int fd, int level, int option, int value);

// Addresses and traffic class, the size of GRO's segments, and of AH over IPv6 the extension headers.
inline constexpr std::size_t kReceiveControl = 160 + kMaxIpHeader;

// What the control messages of a received message say; extension headers are views into them.
struct Arrival {
  std::optional<IpAddress> destination;
  std::uint8_t traffic_class = 0;
  std::size_t segment = 0;    // UDP_GRO: so many bytes each but the last is a datagram; 0: it is one
  Ipv6Extensions extensions;  // of AH over IPv6
};
[[nodiscard]] Arrival read_control(msghdr& header);

// Source address, traffic class, and UDP_SEGMENT unless `segment` is 0.
inline constexpr std::size_t kSendControl = 96;
void write_control(msghdr& header, const SealedPacket& packet, std::size_t segment);

}  // namespace oakgate::soft
