#include "xfrm/soft/inner_packet.h"

#include <array>

namespace oakgate::soft {

namespace {

constexpr std::size_t kIpv4MinHeader = 20;
constexpr std::size_t kIpv6Header = 40;
constexpr int kMaxExtensionHeaders = 16;  // no sane packet has more; bounds the walk

// IPv6 extension headers (RFC 8200 section 4); 51 is AH, whose length counts 4-byte units (RFC 4302
// section 2.2).
constexpr std::uint8_t kHopByHop = 0;
constexpr std::uint8_t kRouting = 43;
constexpr std::uint8_t kFragmentHeader = 44;
constexpr std::uint8_t kAh = 51;
constexpr std::uint8_t kDestinationOptions = 60;
constexpr std::uint8_t kMobility = 135;

// By number: whether the protocol has ports.
constexpr std::array<bool, 256> kHasPorts = [] {
  std::array<bool, 256> has{};
  has[6] = true;    // TCP
  has[17] = true;   // UDP
  has[33] = true;   // DCCP
  has[132] = true;  // SCTP
  has[136] = true;  // UDP-Lite
  return has;
}();

std::uint16_t u16_at(ByteView data, std::size_t offset) {
  return static_cast<std::uint16_t>(data[offset] << 8 | data[offset + 1]);
}

void read_ports(ByteView packet, InnerPacket& out) {
  out.ports.reset();
  if (out.fragment == Fragment::later || !kHasPorts[out.protocol]) return;
  if (out.upper_offset + 4 > out.size) return;
  out.ports = Ports{u16_at(packet, out.upper_offset), u16_at(packet, out.upper_offset + 2)};
}

bool read_ipv4(ByteView packet, InnerPacket& out) {
  if (packet.size() < kIpv4MinHeader) return false;
  const std::size_t header = std::size_t{packet[0] & 0x0fU} * 4;
  const std::size_t total = u16_at(packet, 2);
  if (header < kIpv4MinHeader || total < header || total > packet.size()) return false;
  const std::uint16_t flags = u16_at(packet, 6);
  const bool more_fragments = (flags & 0x2000) != 0;
  const bool later = (flags & 0x1fff) != 0;
  out.source.assign(packet.subspan<12, 4>());
  out.destination.assign(packet.subspan<16, 4>());
  out.protocol = packet[9];
  out.traffic_class = packet[1];
  out.dont_fragment = (flags & 0x4000) != 0;
  out.fragment = later ? Fragment::later : more_fragments ? Fragment::first : Fragment::none;
  out.upper_offset = header;
  out.size = total;
  read_ports(packet, out);
  return true;
}

// Follows the extension headers to the upper layer. False: the chain is cut or too long.
bool walk_extensions(ByteView packet, InnerPacket& out) {
  std::uint8_t next = packet[6];
  std::size_t offset = kIpv6Header;
  for (int seen = 0; seen <= kMaxExtensionHeaders; ++seen) {
    const bool fragment = next == kFragmentHeader;
    const bool known = fragment || next == kHopByHop || next == kRouting || next == kAh ||
                       next == kDestinationOptions || next == kMobility;
    // Behind a later fragment's header comes data, whatever its next header field says.
    if (!known || out.fragment == Fragment::later) {
      out.protocol = next;
      out.upper_offset = offset;
      return true;
    }
    if (offset + 8 > out.size) return false;
    std::size_t length = 8;
    if (fragment) {
      const std::uint16_t field = u16_at(packet, offset + 2);
      if ((field & 0xfff8) != 0) {
        out.fragment = Fragment::later;
      } else if ((field & 1) != 0) {
        out.fragment = Fragment::first;
      }
    } else if (next == kAh) {
      length = (std::size_t{packet[offset + 1]} + 2) * 4;
    } else {
      length = (std::size_t{packet[offset + 1]} + 1) * 8;
    }
    if (offset + length > out.size) return false;
    next = packet[offset];
    offset += length;
  }
  return false;
}

bool read_ipv6(ByteView packet, InnerPacket& out) {
  if (packet.size() < kIpv6Header) return false;
  const std::size_t total = kIpv6Header + u16_at(packet, 4);
  if (total > packet.size()) return false;
  out.source = *IpAddress::from_bytes(packet.subspan(8, 16));
  out.destination = *IpAddress::from_bytes(packet.subspan(24, 16));
  out.traffic_class = static_cast<std::uint8_t>((packet[0] & 0x0fU) << 4 | packet[1] >> 4);
  out.dont_fragment = true;
  out.fragment = Fragment::none;
  out.size = total;
  if (!walk_extensions(packet, out)) return false;
  read_ports(packet, out);
  return true;
}

}  // namespace

bool read_inner_packet(ByteView packet, InnerPacket& out) {
  if (packet.empty()) return false;
  switch (packet[0] >> 4) {
    case 4:
      return read_ipv4(packet, out);
    case 6:
      return read_ipv6(packet, out);
    default:
      return false;
  }
}

std::optional<InnerPacket> parse_inner_packet(ByteView packet) {
  std::optional<InnerPacket> out(std::in_place);
  if (!read_inner_packet(packet, *out)) out.reset();
  return out;
}

void set_traffic_class(std::span<std::uint8_t> packet, std::uint8_t traffic_class) {
  if (packet[0] >> 4 == 6) {
    packet[0] = static_cast<std::uint8_t>(0x60 | traffic_class >> 4);
    packet[1] = static_cast<std::uint8_t>((packet[1] & 0x0f) | traffic_class << 4);
    return;
  }
  // RFC 1624 section 3: HC' = ~(~HC + ~m + m'), over the 16-bit word that holds version, IHL and TOS.
  const std::uint16_t before = u16_at(packet, 0);
  packet[1] = traffic_class;
  std::uint32_t sum = static_cast<std::uint16_t>(~u16_at(packet, 10));
  sum += static_cast<std::uint16_t>(~before);
  sum += u16_at(packet, 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  const auto checksum = static_cast<std::uint16_t>(~sum);
  packet[10] = static_cast<std::uint8_t>(checksum >> 8);
  packet[11] = static_cast<std::uint8_t>(checksum);
}

}  // namespace oakgate::soft
