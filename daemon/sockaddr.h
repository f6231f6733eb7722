// Endpoints as the kernel's socket addresses, both ways.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>
#include <optional>

#include "ike/base/net.h"

namespace oakgate {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
  [[nodiscard]] sockaddr* get() { return static_cast<sockaddr*>(static_cast<void*>(&storage)); }
  [[nodiscard]] const sockaddr* get() const {
    return static_cast<const sockaddr*>(static_cast<const void*>(&storage));
  }
};

[[nodiscard]] inline SocketAddress to_socket_address(const Endpoint& endpoint) {
  SocketAddress out;
  const ByteView raw = endpoint.address.bytes();
  if (endpoint.address.is_v4()) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(endpoint.port);
    std::memcpy(&in.sin_addr, raw.data(), raw.size());
    std::memcpy(&out.storage, &in, sizeof in);
    out.length = sizeof in;
  } else {
    sockaddr_in6 in6{};
    in6.sin6_family = AF_INET6;
    in6.sin6_port = htons(endpoint.port);
    std::memcpy(&in6.sin6_addr, raw.data(), raw.size());
    std::memcpy(&out.storage, &in6, sizeof in6);
    out.length = sizeof in6;
  }
  return out;
}

[[nodiscard]] inline std::optional<Endpoint> from_socket_address(const sockaddr_storage& storage) {
  if (storage.ss_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, &storage, sizeof in);
    std::uint8_t raw[4];
    std::memcpy(raw, &in.sin_addr, sizeof raw);
    return Endpoint{*IpAddress::from_bytes(raw), ntohs(in.sin_port)};
  }
  if (storage.ss_family == AF_INET6) {
    sockaddr_in6 in6{};
    std::memcpy(&in6, &storage, sizeof in6);
    std::uint8_t raw[16];
    std::memcpy(raw, &in6.sin6_addr, sizeof raw);
    return Endpoint{*IpAddress::from_bytes(raw), ntohs(in6.sin6_port)};
  }
  return std::nullopt;
}

}  // namespace oakgate
