#include "xfrm/soft/tcp_mss.h"

#include "ike/base/net.h"

namespace oakgate::soft {

namespace {

constexpr std::uint8_t kTcp = 6;
constexpr std::size_t kTcpHeader = 20;
constexpr std::size_t kIpv4Header = 20;
constexpr std::size_t kIpv6Header = 40;
constexpr std::size_t kFlags = 13;
constexpr std::size_t kChecksum = 16;
constexpr std::uint8_t kSyn = 0x02;
constexpr std::uint8_t kEndOfList = 0;
constexpr std::uint8_t kNoOperation = 1;
constexpr std::uint8_t kMss = 2;
constexpr std::size_t kMssSize = 4;

std::uint16_t get_u16(std::span<const std::uint8_t> bytes, std::size_t at) {
  return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

void put_u16(std::span<std::uint8_t> bytes, std::size_t at, std::uint32_t value) {
  bytes[at] = static_cast<std::uint8_t>(value >> 8);
  bytes[at + 1] = static_cast<std::uint8_t>(value);
}

// A 16-bit value as the checksum sees it: one that begins at an odd offset lies across two of its words.
std::uint16_t in_words(std::uint16_t value, bool odd) {
  return odd ? static_cast<std::uint16_t>(value << 8 | value >> 8) : value;
}

// RFC 1624 equation 3: HC' = ~(~HC + ~m + m').
std::uint16_t mended(std::uint16_t checksum, std::uint16_t before, std::uint16_t after) {
  std::uint32_t sum = static_cast<std::uint16_t>(~checksum);
  sum += static_cast<std::uint16_t>(~before);
  sum += after;
  sum = (sum & 0xffffU) + (sum >> 16);
  sum = (sum & 0xffffU) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

// From the TCP header on, as far as the packet goes.
std::span<std::uint8_t> segment_of(std::span<std::uint8_t> packet, const InnerPacket& inner) {
  if (inner.size > packet.size() || inner.upper_offset > inner.size) return {};
  return packet.first(inner.size).subspan(inner.upper_offset);
}

}  // namespace

bool is_tcp_syn(std::span<const std::uint8_t> packet, const InnerPacket& inner) {
  return inner.protocol == kTcp && inner.fragment != Fragment::later && inner.size <= packet.size() &&
         inner.upper_offset + kTcpHeader <= inner.size && (packet[inner.upper_offset + kFlags] & kSyn) != 0;
}

std::size_t mss_of(std::size_t mtu, const InnerPacket& inner) {
  const std::size_t headers = (inner.source.is_v4() ? kIpv4Header : kIpv6Header) + kTcpHeader;
  return mtu > headers ? mtu - headers : 0;
}

bool clamp_mss(std::span<std::uint8_t> packet, const InnerPacket& inner, std::size_t most) {
  if (!is_tcp_syn(packet, inner) || most == 0 || most > 0xffff) return false;
  const std::span<std::uint8_t> segment = segment_of(packet, inner);
  const std::size_t header = static_cast<std::size_t>(segment[12] >> 4U) * 4;
  if (header < kTcpHeader || header > segment.size()) return false;
  bool changed = false;
  std::size_t at = kTcpHeader;
  while (at < header && segment[at] != kEndOfList) {
    if (segment[at] == kNoOperation) {
      ++at;
      continue;
    }
    if (at + 2 > header) break;
    const std::size_t size = segment[at + 1];
    if (size < 2 || at + size > header) break;
    if (segment[at] == kMss && size == kMssSize && get_u16(segment, at + 2) > most) {
      const bool odd = at % 2 != 0;
      const std::uint16_t before = in_words(get_u16(segment, at + 2), odd);
      put_u16(segment, at + 2, static_cast<std::uint32_t>(most));
      const std::uint16_t after = in_words(static_cast<std::uint16_t>(most), odd);
      put_u16(segment, kChecksum, mended(get_u16(segment, kChecksum), before, after));
      changed = true;
    }
    at += size;
  }
  return changed;
}

}  // namespace oakgate::soft
