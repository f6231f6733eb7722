#include "daemon/capture/packet.h"

#include <algorithm>

#include "ike/effects.h"

namespace oakgate::capture {

namespace {

constexpr std::uint16_t kEtherIpv4 = 0x0800, kEtherIpv6 = 0x86dd, kEtherVlan = 0x8100,
                        kEtherServiceVlan = 0x88a8;
constexpr std::size_t kMaxExtensions = 8;
constexpr std::size_t kMaxIpBytes = 65'535;
constexpr std::size_t kMaxFragmentsOfOne = 128;

std::optional<IpPacket> parse_ipv4(ByteView packet) {
  ByteReader reader(packet);
  std::uint8_t first = 0, protocol = 0;
  std::uint16_t length = 0, id = 0, fragment = 0;
  ByteView source, destination;
  if (!reader.u8(first) || !reader.skip(1) || !reader.u16(length) || !reader.u16(id) ||
      !reader.u16(fragment) || !reader.skip(1) || !reader.u8(protocol) || !reader.skip(2) ||
      !reader.view(4, source) || !reader.view(4, destination)) {
    return std::nullopt;
  }
  const std::size_t header = (first & 15U) * 4U;
  if (header < 20 || header > packet.size()) return std::nullopt;
  // 0: the device cuts it later (TSO).
  const std::size_t whole = length == 0 ? packet.size() : length;
  if (whole < header) return std::nullopt;
  IpPacket ip{*IpAddress::from_bytes(source), *IpAddress::from_bytes(destination), protocol};
  ip.header_bytes = header;
  ip.cut = whole > packet.size();
  ip.payload = packet.subspan(header, std::min(whole, packet.size()) - header);
  ip.id = id;
  ip.offset = (fragment & 0x1fffU) * 8U;
  ip.more = (fragment & 0x2000U) != 0;
  ip.fragment = ip.more || ip.offset != 0;
  return ip;
}

std::optional<IpPacket> parse_ipv6(ByteView packet) {
  ByteReader reader(packet);
  std::uint8_t next = 0;
  std::uint16_t length = 0;
  ByteView source, destination;
  if (!reader.skip(4) || !reader.u16(length) || !reader.u8(next) || !reader.skip(1) ||
      !reader.view(16, source) || !reader.view(16, destination)) {
    return std::nullopt;
  }
  IpPacket ip{*IpAddress::from_bytes(source), *IpAddress::from_bytes(destination), next};
  const std::size_t whole = length == 0 ? packet.size() - 40 : length;
  ip.cut = whole > packet.size() - 40;
  ByteReader chain(packet.subspan(40, std::min(whole, packet.size() - 40)));
  for (std::size_t i = 0; i < kMaxExtensions; ++i) {
    const bool fragment = ip.protocol == kProtocolFragment;
    if (!fragment && ip.protocol != 0 && ip.protocol != 43 && ip.protocol != 60) break;
    std::uint8_t units = 0;
    if (!chain.u8(next) || !chain.u8(units)) return std::nullopt;
    ip.protocol = next;
    if (!fragment) {
      if (!chain.skip(units * 8U + 6U)) return std::nullopt;
      continue;
    }
    std::uint16_t where = 0;
    if (!chain.u16(where) || !chain.u32(ip.id)) return std::nullopt;
    ip.offset = where & 0xfff8U;
    ip.more = (where & 1U) != 0;
    ip.fragment = ip.more || ip.offset != 0;
    if (ip.fragment) break;  // what follows is a part of something
  }
  ip.payload = chain.rest();
  ip.header_bytes = 40 + chain.position();
  return ip;
}

std::optional<IpPacket> behind_ether_type(ByteReader& reader) {
  std::uint16_t type = 0;
  if (!reader.u16(type)) return std::nullopt;
  for (int tags = 0; tags < 4 && (type == kEtherVlan || type == kEtherServiceVlan); ++tags) {
    if (!reader.skip(2) || !reader.u16(type)) return std::nullopt;
  }
  if (type != kEtherIpv4 && type != kEtherIpv6) return std::nullopt;
  return parse_ip(reader.rest());
}

bool is_ike_port(std::uint16_t port) {
  return port == ike::kIkePort || port == ike::kNatTraversalPort;
}

}  // namespace

std::optional<IpPacket> parse_ip(ByteView packet) {
  if (packet.empty()) return std::nullopt;
  const unsigned version = packet[0] >> 4;
  if (version == 4) return parse_ipv4(packet);
  if (version == 6) return parse_ipv6(packet);
  return std::nullopt;
}

std::optional<IpPacket> ip_in(LinkType link, ByteView frame) {
  ByteReader reader(frame);
  ByteView skipped;
  switch (link) {
    case LinkType::ethernet:
      if (!reader.skip(12)) return std::nullopt;
      return behind_ether_type(reader);
    case LinkType::linux_cooked:
      if (!reader.skip(14)) return std::nullopt;
      return behind_ether_type(reader);
    case LinkType::linux_cooked_2: {
      if (!reader.view(2, skipped)) return std::nullopt;
      ByteReader type(skipped);
      if (!reader.skip(18)) return std::nullopt;
      std::uint16_t protocol = 0;
      if (!type.u16(protocol)) return std::nullopt;
      if (protocol != kEtherIpv4 && protocol != kEtherIpv6) return std::nullopt;
      return parse_ip(reader.rest());
    }
    case LinkType::null:
    case LinkType::loop:
      if (!reader.skip(4)) return std::nullopt;
      return parse_ip(reader.rest());
    case LinkType::raw_bsd:
    case LinkType::raw_openbsd:
    case LinkType::raw:
    case LinkType::raw_ipv4:
    case LinkType::raw_ipv6:
      return parse_ip(frame);
  }
  return std::nullopt;
}

std::optional<UdpDatagram> parse_udp(ByteView segment) {
  ByteReader reader(segment);
  UdpDatagram udp;
  std::uint16_t length = 0;
  if (!reader.u16(udp.source_port) || !reader.u16(udp.destination_port) || !reader.u16(length) ||
      !reader.skip(2))
    return std::nullopt;
  if (length != 0 && length < 8) return std::nullopt;
  const std::size_t payload = length == 0 ? reader.remaining() : length - 8U;
  udp.payload = reader.rest().first(std::min(payload, reader.remaining()));
  return udp;
}

bool is_ipsec(const IpPacket& packet) {
  if (packet.protocol == kProtocolEspIp || packet.protocol == kProtocolAhIp) return true;
  if (packet.protocol != kProtocolUdp) return false;
  if (packet.fragment && packet.offset != 0) return true;
  const auto udp = parse_udp(packet.payload);
  return udp && (is_ike_port(udp->source_port) || is_ike_port(udp->destination_port));
}

std::vector<Bytes> cut_vector(ByteView ip_packet) {
  const auto ip = parse_ip(ip_packet);
  if (!ip || ip->protocol != kProtocolUdp || ip->fragment || ip->cut) return {};
  const auto udp = parse_udp(ip->payload);
  if (!udp || udp->payload.size() < 2 * 16) return {};
  const ByteView data = udp->payload;
  ByteReader reader(data);
  std::uint32_t spi = 0, sequence = 0;
  if (!reader.u32(spi) || !reader.u32(sequence) || spi < 256) return {};
  if (!is_ike_port(udp->source_port) && !is_ike_port(udp->destination_port)) return {};
  // Where the next packet of the SA begins, with this one's 64 bits but for the number: that is no accident.
  ByteWriter wanted;
  wanted.u32(spi);
  wanted.u32(sequence + 1);
  const auto next = std::search(data.begin() + 16, data.end(), wanted.view().begin(), wanted.view().end());
  if (next == data.end()) return {};
  const auto size = static_cast<std::size_t>(next - data.begin());
  std::vector<Bytes> packets;
  for (std::size_t at = 0; at < data.size(); at += size) {
    const ByteView piece = data.subspan(at, std::min(size, data.size() - at));
    ByteWriter out;
    out.bytes(ip_packet.first(ip->header_bytes));
    out.u16(udp->source_port);
    out.u16(udp->destination_port);
    out.u16(static_cast<std::uint16_t>(piece.size() + 8));
    out.u16(0);  // no checksum, as RFC 3948 section 2.1 wants it
    out.bytes(piece);
    if (ip->source.is_v4()) {
      out.patch_u16(2, static_cast<std::uint16_t>(out.size()));
      out.patch_u16(10, 0);
      std::uint32_t sum = 0;
      for (std::size_t i = 0; i < ip->header_bytes; i += 2)
        sum += static_cast<std::uint32_t>(out.view()[i] << 8 | out.view()[i + 1]);
      while (sum > 0xffff) sum = (sum & 0xffffU) + (sum >> 16);
      out.patch_u16(10, static_cast<std::uint16_t>(~sum));
    } else {
      out.patch_u16(4, static_cast<std::uint16_t>(out.size() - 40));
    }
    packets.push_back(std::move(out).take());
  }
  return packets;
}

std::optional<ByteView> Reassembler::take(const IpPacket& fragment) {
  const Key key{fragment.source, fragment.destination, fragment.protocol, fragment.id};
  const bool known = under_way_.contains(key);
  if (!known) {
    if (order_.size() == kMost) {
      under_way_.erase(order_.front());
      order_.pop_front();
    }
    order_.push_back(key);
  }
  Parts& parts = under_way_[key];
  const std::size_t end = fragment.offset + fragment.payload.size();
  if (end > kMaxIpBytes || fragment.cut || parts.by_offset.size() == kMaxFragmentsOfOne) return std::nullopt;
  if (parts.by_offset.emplace(fragment.offset, to_bytes(fragment.payload)).second)
    parts.bytes += fragment.payload.size();
  if (!fragment.more) parts.total = end;
  if (!parts.total || parts.bytes < *parts.total) return std::nullopt;
  whole_.clear();
  for (const auto& [offset, bytes] : parts.by_offset) {
    if (offset != whole_.size()) return std::nullopt;  // they overlap, or one is missing
    whole_.insert(whole_.end(), bytes.begin(), bytes.end());
  }
  under_way_.erase(key);
  order_.erase(std::find(order_.begin(), order_.end(), key));
  return ByteView(whole_);
}

}  // namespace oakgate::capture
