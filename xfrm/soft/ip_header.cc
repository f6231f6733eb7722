#include "xfrm/soft/ip_header.h"

#include <algorithm>

#include "xfrm/soft/checksum.h"

namespace oakgate::soft {

namespace {

constexpr std::uint8_t kTtl = 64;

void put_u16(std::span<std::uint8_t> out, std::size_t value) {
  out[0] = static_cast<std::uint8_t>(value >> 8);
  out[1] = static_cast<std::uint8_t>(value);
}

}  // namespace

void write_ip_header(std::span<std::uint8_t> packet, const IpHeader& header) {
  const bool v4 = header.source.is_v4();
  const std::span<std::uint8_t> out = packet.first(ip_header_size(header.source));
  std::fill(out.begin(), out.end(), std::uint8_t{0});
  const auto source = header.source.bytes();
  const auto destination = header.destination.bytes();
  if (v4) {
    out[0] = 0x45;
    out[1] = header.traffic_class;
    put_u16(out.subspan(2), packet.size());
    put_u16(out.subspan(4), header.id);
    out[6] = header.dont_fragment ? 0x40 : 0;
    out[8] = kTtl;
    out[9] = header.protocol;
    std::copy_n(source.begin(), 4, out.begin() + 12);
    std::copy_n(destination.begin(), 4, out.begin() + 16);
    put_u16(out.subspan(10), internet_checksum(out));
    return;
  }
  out[0] = static_cast<std::uint8_t>(0x60 | header.traffic_class >> 4);
  out[1] = static_cast<std::uint8_t>(header.traffic_class << 4);
  put_u16(out.subspan(4), packet.size() - kIpv6Header);
  out[6] = header.protocol;
  out[7] = kTtl;
  std::copy_n(source.begin(), 16, out.begin() + 8);
  std::copy_n(destination.begin(), 16, out.begin() + 24);
}

}  // namespace oakgate::soft
