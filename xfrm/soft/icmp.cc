#include "xfrm/soft/icmp.h"
#include "xfrm/soft/checksum.h"

#include <algorithm>

namespace oakgate::soft {

namespace {

constexpr std::size_t kIcmpHeader = 8;
// The whole error, IP header included, stays within 576 bytes (RFC 1812 section 4.3.2.3) or 1280 (RFC 4443
// section 2.4).
constexpr std::size_t kMaxQuote4 = 576 - 20 - kIcmpHeader;
constexpr std::size_t kMaxQuote6 = 1280 - 40 - kIcmpHeader;
constexpr std::uint16_t kMinMtu6 = 1280;

struct TypeCode {
  std::uint8_t type;
  std::uint8_t code;
};

TypeCode type_code(Family family, IcmpError kind) {
  if (family == Family::ipv4) {
    // RFC 792 "fragmentation needed and DF set"; RFC 1812 section 5.2.7.1 "communication administratively
    // prohibited".
    return kind == IcmpError::too_big ? TypeCode{3, 4} : TypeCode{3, 13};
  }
  return kind == IcmpError::too_big ? TypeCode{2, 0} : TypeCode{1, 1};
}

bool is_unicast_host(const IpAddress& address) {
  const ByteView raw = address.bytes();
  if (address.is_any()) return false;
  if (!address.is_v4()) return raw[0] != 0xff;
  return raw[0] != 127 && raw[0] < 224;  // multicast, reserved, broadcast
}

// Whether the packet is an ICMP error itself, or an ICMP message too short to tell.
bool is_icmp_error(ByteView packet, const InnerPacket& parsed) {
  if (parsed.protocol != kProtocolIcmp && parsed.protocol != kProtocolIcmpv6) return false;
  if (parsed.upper_offset >= parsed.size) return true;
  const std::uint8_t type = packet[parsed.upper_offset];
  if (parsed.protocol == kProtocolIcmpv6) return type < 128;
  constexpr std::uint8_t kErrors[] = {3, 4, 5, 11, 12};
  return std::find(std::begin(kErrors), std::end(kErrors), type) != std::end(kErrors);
}

}  // namespace

std::optional<IcmpMessage> make_icmp_error(ByteView packet, const InnerPacket& parsed, IcmpError kind,
                                           std::uint16_t mtu) {
  if (parsed.fragment == Fragment::later || !is_unicast_host(parsed.source)) return std::nullopt;
  // RFC 4443 section 2.4 (e.3): a Packet Too Big may answer a packet to a multicast address.
  const bool multicast_answer = kind == IcmpError::too_big && !parsed.source.is_v4();
  if (!multicast_answer && !is_unicast_host(parsed.destination)) return std::nullopt;
  if (is_icmp_error(packet, parsed)) return std::nullopt;

  const bool v4 = parsed.source.is_v4();
  const TypeCode numbers = type_code(parsed.source.family(), kind);
  ByteWriter out;
  out.u8(numbers.type);
  out.u8(numbers.code);
  out.u16(0);
  if (kind == IcmpError::prohibited) {
    out.u32(0);
  } else if (v4) {
    out.u16(0);
    out.u16(mtu);  // RFC 1191 section 4: the next-hop MTU in the low-order 16 bits
  } else {
    out.u32(std::max(mtu, kMinMtu6));
  }
  out.bytes(packet.first(std::min(parsed.size, v4 ? kMaxQuote4 : kMaxQuote6)));
  if (v4) out.patch_u16(2, internet_checksum(out.view()));
  return IcmpMessage{parsed.source, std::move(out).take()};
}

bool TokenBucket::take(Instant now) {
  if (now > filled_) {
    const auto elapsed = static_cast<std::uint64_t>((now - filled_).count());
    const std::uint64_t room = burst_ * kUnit - tokens_;
    // The bound on `elapsed` keeps the product small after an idle day.
    tokens_ += std::min(room, std::min<std::uint64_t>(elapsed, 1'000'000) * per_second_);
    filled_ = now;
  }
  if (tokens_ < kUnit) return false;
  tokens_ -= kUnit;
  return true;
}

}  // namespace oakgate::soft
