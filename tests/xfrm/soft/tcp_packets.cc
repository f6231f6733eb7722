#include "tests/xfrm/soft/tcp_packets.h"

#include "tests/xfrm/soft/packets.h"

namespace oakgate::soft::test {

namespace {

std::uint32_t slow_sum(ByteView data, std::uint32_t sum = 0) {
  for (std::size_t i = 0; i < data.size(); ++i) sum += std::uint32_t{data[i]} << (i % 2 == 0 ? 8 : 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

std::size_t ip_size(ByteView packet) {
  return packet[0] >> 4 == 4 ? (packet[0] & 0x0fU) * 4U : 40U;
}

std::uint8_t protocol(ByteView packet) {
  return packet[0] >> 4 == 4 ? packet[9] : packet[6];
}

std::uint32_t pseudo(ByteView packet) {
  const ByteView addresses = packet[0] >> 4 == 4 ? packet.subspan(12, 8) : packet.subspan(8, 32);
  return slow_sum(addresses, static_cast<std::uint32_t>(packet.size() - ip_size(packet)) + protocol(packet));
}

std::size_t field(ByteView packet) {
  return ip_size(packet) + (protocol(packet) == 6 ? 16U : 6U);
}

void put(Bytes& out, std::size_t at, std::uint32_t value) {
  out[at] = static_cast<std::uint8_t>(value >> 8);
  out[at + 1] = static_cast<std::uint8_t>(value);
}

}  // namespace

Bytes make_tcp(const TcpSpec& spec) {
  const std::size_t options = spec.timestamp == 0 ? 0 : 12;
  PacketSpec ip{.protocol = 6,
                .payload = 20 + options + spec.payload,
                .traffic_class = spec.traffic_class,
                .flags = spec.fragment};
  if (spec.v6) ip.source = "2001:db8:a::5", ip.destination = "2001:db8:b::9";
  Bytes out = make_packet(ip);
  const std::size_t at = ip_size(out);
  const auto put32 = [&out](std::size_t where, std::uint32_t value) {
    put(out, where, value >> 16);
    put(out, where + 2, value);
  };
  put(out, at, spec.source_port);
  put(out, at + 2, 5201);
  put32(at + 4, spec.sequence);
  put32(at + 8, spec.acknowledgement);
  out[at + 12] = static_cast<std::uint8_t>((20 + options) / 4 << 4);
  out[at + 13] = spec.flags;
  put(out, at + 14, spec.window);
  put32(at + 16, 0);
  if (options != 0) {
    put32(at + 20, 0x0101080a);  // NOP, NOP, timestamps (RFC 7323)
    put32(at + 24, spec.timestamp);
    put32(at + 28, 99);
  }
  for (std::size_t i = 0; i < spec.payload; ++i) {
    out[at + 20 + options + i] = static_cast<std::uint8_t>(spec.fill + i * 7 + (i >> 8));
  }
  if (!spec.v6) {
    put(out, 4, spec.id);
    out[8] = spec.ttl;
    put(out, 10, 0);
    put(out, 10, ~slow_sum(ByteView(out).first(at)));
  } else {
    out[7] = spec.ttl;
  }
  put(out, at + 16, ~slow_sum(ByteView(out).subspan(at), pseudo(out)));
  return out;
}

VirtioHeader make_vector(Bytes& packet, std::size_t segment) {
  put(packet, field(packet), pseudo(packet));
  const std::uint8_t tcp = packet[0] >> 4 == 4 ? VirtioHeader::kTcp4 : VirtioHeader::kTcp6;
  return {.flags = VirtioHeader::kNeedsChecksum,
          .gso_type = protocol(packet) == 6 ? tcp : VirtioHeader::kUdp,
          .hdr_len = 0,
          .gso_size = static_cast<std::uint16_t>(segment),
          .csum_start = static_cast<std::uint16_t>(ip_size(packet)),
          .csum_offset = static_cast<std::uint16_t>(field(packet) - ip_size(packet))};
}

bool checksums_right(ByteView packet) {
  if (packet[0] >> 4 == 4 && slow_sum(packet.first(ip_size(packet))) != 0xffff) return false;
  return slow_sum(packet.subspan(ip_size(packet)), pseudo(packet)) == 0xffff;
}

Bytes tcp_payload(ByteView packet) {
  const std::size_t at = ip_size(packet);
  return to_bytes(packet.subspan(at + (packet[at + 12] >> 4) * 4U));
}

}  // namespace oakgate::soft::test
