// IP headers that this host writes itself: AH covers its outer header, and transport mode's inner packet gets
// a new one.
#pragma once

#include <cstdint>
#include <span>

#include "ike/base/net.h"

namespace oakgate::soft {

inline constexpr std::size_t kIpv4Header = 20;
inline constexpr std::size_t kIpv6Header = 40;
inline constexpr std::size_t kMaxIpv4Packet = 65535;

// Of the shortest header of the address's family.
[[nodiscard]] inline std::size_t ip_header_size(const IpAddress& address) {
  return address.is_v4() ? kIpv4Header : kIpv6Header;
}

struct IpHeader {
  IpAddress source;
  IpAddress destination;
  std::uint8_t protocol = 0;
  std::uint8_t traffic_class = 0;
  std::uint16_t id = 0;        // IPv4
  bool dont_fragment = false;  // IPv4
};

// Writes the header of a packet that is `packet`, header included; the IPv4 checksum too.
void write_ip_header(std::span<std::uint8_t> packet, const IpHeader& header);

}  // namespace oakgate::soft
