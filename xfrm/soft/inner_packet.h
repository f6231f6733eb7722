// Reads what the data plane must know of an inner IPv4 or IPv6 packet: addresses, protocol, ports, fragment,
// DF, traffic class. Used on both sides of the tunnel; what it reads is hostile on either.
//
// Ports of fragments: a later fragment has none, nor has a first one that is too short for them (RFC 4301
// section 7 calls both OPAQUE). `ports` is absent then, and selectors with a port do not match
// (selector_table.h).
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "ike/base/net.h"

namespace oakgate::soft {

inline constexpr std::uint8_t kProtocolIcmp = 1;
inline constexpr std::uint8_t kProtocolIpv4 = 4;  // as ESP next header: an IPv4 packet (RFC 4303 section 2.6)
inline constexpr std::uint8_t kProtocolIpv6 = 41;
inline constexpr std::uint8_t kProtocolIcmpv6 = 58;
inline constexpr std::uint8_t kProtocolNone =
    59;  // as ESP next header: a dummy packet (RFC 4303 section 2.6)

enum class Fragment : std::uint8_t { none, first, later };

struct Ports {
  std::uint16_t source = 0;
  std::uint16_t destination = 0;
};

struct InnerPacket {
  IpAddress source;
  IpAddress destination;
  std::uint8_t protocol = 0;       // upper-layer protocol, behind the IPv6 extension headers
  std::uint8_t traffic_class = 0;  // DSCP and ECN
  bool dont_fragment = false;      // IPv4 DF; IPv6: always, routers never fragment
  Fragment fragment = Fragment::none;
  std::optional<Ports> ports;    // of a protocol that has them, if the packet shows them
  std::size_t upper_offset = 0;  // where the upper-layer header begins
  std::size_t size = 0;  // of the packet by its own header; what follows is padding (RFC 4303 section 2.7)
};

// Nothing if it is no whole, well-formed IP packet. Never reads past `packet`, never allocates.
[[nodiscard]] std::optional<InnerPacket> parse_inner_packet(ByteView packet);
// The same into `out`, whatever was in it. False: it is none, and what is in `out` says nothing.
[[nodiscard]] bool read_inner_packet(ByteView packet, InnerPacket& out);

// Sets DSCP and ECN in a packet that parsed; mends the IPv4 header checksum (RFC 1624).
void set_traffic_class(std::span<std::uint8_t> packet, std::uint8_t traffic_class);

}  // namespace oakgate::soft
