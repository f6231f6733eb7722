#include "xfrm/soft/coalescing.h"

#include <algorithm>
#include <cstring>

#include "xfrm/soft/checksum.h"

namespace oakgate::soft {

namespace {

constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;
constexpr std::uint8_t kIcmpv6 = 58;
constexpr std::size_t kUdpHeader = 8;
constexpr std::size_t kIpv4Header = 20;
constexpr std::size_t kIpv6Header = 40;
constexpr std::size_t kMinTcp = 20;
constexpr std::size_t kMaxVector = 65535;
constexpr std::uint8_t kIpv4Plain = 0x45;  // version and length of a header without options
constexpr std::uint16_t kDontFragment = 0x4000;
constexpr std::uint16_t kFragmentBits = 0x3fff;  // more fragments, and the offset

// TCP flags (RFC 9293 section 3.1, RFC 3168 section 6.1).
constexpr std::uint8_t kFin = 0x01;
constexpr std::uint8_t kPsh = 0x08;
constexpr std::uint8_t kEnding = kFin | kPsh;
constexpr std::uint8_t kAck = 0x10;
constexpr std::uint8_t kEce = 0x40;
constexpr std::uint8_t kJoinable = kEnding | kAck | kEce;

std::uint16_t u16_at(ByteView data, std::size_t offset) {
  return static_cast<std::uint16_t>(data[offset] << 8 | data[offset + 1]);
}

std::uint32_t u32_at(ByteView data, std::size_t offset) {
  return std::uint32_t{u16_at(data, offset)} << 16 | u16_at(data, offset + 2);
}

void put_u16(std::span<std::uint8_t> out, std::size_t offset, std::size_t value) {
  out[offset] = static_cast<std::uint8_t>(value >> 8);
  out[offset + 1] = static_cast<std::uint8_t>(value);
}

bool alike(ByteView a, ByteView b, std::size_t offset, std::size_t size) {
  return std::memcmp(a.data() + offset, b.data() + offset, size) == 0;
}

bool is_v4(ByteView packet) {
  return packet[0] >> 4 == 4;
}

}  // namespace

Coalescer::Packet Coalescer::classify(ByteView packet) const {
  Packet out;
  if (packet.size() < kIpv4Header) return {.kind = Kind::barrier};
  std::uint8_t protocol = 0;
  std::size_t size = 0;
  if (is_v4(packet)) {
    protocol = packet[9];
    if (protocol != kTcp && protocol != kUdp) return out;
    const bool fragment = (u16_at(packet, 6) & kFragmentBits) != 0;
    if (packet[0] != kIpv4Plain || fragment) return {.kind = Kind::barrier};
    out.ip = kIpv4Header;
    size = u16_at(packet, 2);
  } else if (packet[0] >> 4 == 6 && packet.size() >= kIpv6Header) {
    protocol = packet[6];
    if (protocol == kIcmpv6) return out;
    if (protocol != kTcp && protocol != kUdp) return {.kind = Kind::barrier};  // either may be behind it
    out.ip = kIpv6Header;
    size = kIpv6Header + u16_at(packet, 4);
  }
  out.tcp = protocol == kTcp;
  const std::size_t least = out.ip + (out.tcp ? kMinTcp : kUdpHeader);
  if (out.ip == 0 || size != packet.size() || size < least) return {.kind = Kind::barrier};
  if (!out.tcp && !udp_) return {};
  out.tcp ? classify_tcp(packet, out) : classify_udp(packet, out);
  return out;
}

void Coalescer::classify_tcp(ByteView packet, Packet& out) {
  const std::size_t header = (std::size_t{packet[out.ip + 12U]} >> 4) * 4;
  if (header < kMinTcp || packet.size() < out.ip + header) {
    out.kind = Kind::barrier;
    return;
  }
  out.transport = static_cast<std::uint8_t>(header);
  out.payload = static_cast<std::uint16_t>(packet.size() - out.ip - header);
  const std::uint8_t flags = packet[out.ip + 13U];
  const bool joinable = (flags & ~kJoinable) == 0 && (flags & kAck) != 0 && out.payload != 0;
  out.kind = joinable ? Kind::segment : Kind::single;
}

void Coalescer::classify_udp(ByteView packet, Packet& out) {
  out.transport = kUdpHeader;
  out.payload = static_cast<std::uint16_t>(packet.size() - out.ip - kUdpHeader);
  const bool whole = u16_at(packet, out.ip + 4U) == packet.size() - out.ip;
  // RFC 768: 0 is no checksum, and cutting a vector would make one.
  const bool joinable = whole && u16_at(packet, out.ip + 6U) != 0 && out.payload != 0;
  out.kind = joinable ? Kind::segment : Kind::single;
}

bool Coalescer::same_flow(ByteView a, ByteView b) {
  if (is_v4(a) != is_v4(b)) return false;
  // Protocol, addresses and ports behind them: there are no options.
  return is_v4(a) ? a[9] == b[9] && alike(a, b, 12, 8 + 4) : a[6] == b[6] && alike(a, b, 8, 32 + 4);
}

bool Coalescer::verify(ByteView packet, const Packet& parts) {
  if (is_v4(packet) && internet_checksum(packet.first(kIpv4Header)) != 0) return false;
  const ByteView segment = packet.subspan(parts.ip);
  const std::uint8_t protocol = parts.tcp ? kTcp : kUdp;
  return fold_words(add_words(pseudo_header_sum(packet, protocol, segment.size()), segment)) == 0xffff;
}

bool Coalescer::same_headers(ByteView first, ByteView packet, std::uint32_t place,
                             const Packet& parts) const {
  const ByteView a = first.subspan(parts.ip);
  const ByteView b = packet.subspan(parts.ip);
  if (is_v4(first)) {
    if (!alike(first, packet, 1, 1) || !alike(first, packet, 6, 3)) return false;  // TOS; flags, TTL
    const std::uint16_t id = u16_at(first, 4);
    const bool stays = (u16_at(first, 6) & kDontFragment) != 0 && u16_at(packet, 4) == id;
    if (!stays && u16_at(packet, 4) != static_cast<std::uint16_t>(id + place)) return false;
  } else if (!alike(first, packet, 0, 4) || !alike(first, packet, 7, 1)) {  // class and label; hop limit
    return false;
  }
  if (!parts.tcp) return true;
  // Acknowledgement, header length and flags but those that end a vector, window, options.
  return alike(a, b, 8, 5) && (a[13] & ~kEnding) == (b[13] & ~kEnding) && alike(a, b, 14, 2) &&
         alike(a, b, 18, parts.transport - 18U);
}

bool Coalescer::continues(const Group& group, std::uint32_t index) const {
  const Packet& head = parts_[group.first];
  const Packet& parts = parts_[index];
  const ByteView first = packets_[group.first];
  const ByteView packet = packets_[index];
  if (parts.transport != head.transport || parts.payload > head.payload ||
      group.bytes + parts.payload > kMaxVector) {
    return false;
  }
  const std::uint32_t done = group.bytes - head.ip - head.transport;
  if (head.tcp && u32_at(packet, parts.ip + 4U) != u32_at(first, head.ip + 4U) + done) return false;
  return same_headers(first, packet, group.count, parts);
}

void Coalescer::close(std::size_t slot) {
  --open_count_;
  for (std::size_t i = slot; i < open_count_; ++i) open_[i] = open_[i + 1];
}

void Coalescer::place(std::uint32_t index) {
  Packet& parts = parts_[index];
  const ByteView packet = packets_[index];
  if (parts.kind == Kind::barrier) open_count_ = 0;
  // A segment that others may follow: the next one continues it, or it ends.
  bool grows = parts.kind == Kind::segment;
  if (parts.kind == Kind::single || parts.kind == Kind::segment) {
    const bool ending = parts.tcp && (packet[parts.ip + 13U] & kEnding) != 0;
    for (std::size_t slot = 0; slot < open_count_; ++slot) {
      Group& group = groups_[open_[slot]];
      if (!same_flow(packets_[group.first], packet)) continue;
      if (parts.kind == Kind::segment && continues(group, index)) {
        const bool sound = verify(packet, parts);
        grows = sound;
        if (sound && !group.verified) group.verified = verify(packets_[group.first], parts_[group.first]);
        if (sound && group.verified) {
          parts_[group.last].next = index;
          group.last = index;
          ++group.count;
          group.bytes += parts.payload;
          if (ending || parts.payload < parts_[group.first].payload) close(slot);
          return;
        }
      }
      close(slot);
      break;
    }
    grows = grows && !ending;
  }
  groups_.push_back({.first = index, .last = index, .bytes = static_cast<std::uint32_t>(packet.size())});
  if (!grows) return;
  if (open_count_ == kFlows) close(0);
  open_[open_count_++] = static_cast<std::uint32_t>(groups_.size() - 1);
}

void Coalescer::plan(std::span<const ByteView> packets) {
  packets_ = packets;
  parts_.clear();
  groups_.clear();
  open_count_ = 0;
  for (std::uint32_t index = 0; index < packets.size(); ++index) {
    parts_.push_back(classify(packets[index]));
    place(index);
  }
}

TunVector Coalescer::write(std::size_t index) {
  const Group& group = groups_[index];
  TunVector out;
  if (group.count == 1) {
    out.pieces = packets_.subspan(group.first, 1);
    return out;
  }
  const Packet& head = parts_[group.first];
  const std::size_t size = std::size_t{head.ip} + head.transport;
  const std::span<std::uint8_t> headers = std::span(headers_).first(size);
  std::copy_n(packets_[group.first].begin(), size, headers.begin());
  const bool v4 = is_v4(headers);
  if (v4) {
    put_u16(headers, 2, group.bytes);
    put_u16(headers, 10, 0);
    put_u16(headers, 10, internet_checksum(headers.first(kIpv4Header)));
  } else {
    put_u16(headers, 4, group.bytes - kIpv6Header);
  }
  if (head.tcp) {
    headers[head.ip + 13U] |= packets_[group.last][head.ip + 13U] & kEnding;
  } else {
    put_u16(headers, head.ip + 4U, group.bytes - head.ip);
  }
  const std::uint16_t field = head.tcp ? 16 : 6;
  const std::uint8_t protocol = head.tcp ? kTcp : kUdp;
  put_u16(headers, head.ip + field, fold_words(pseudo_header_sum(headers, protocol, group.bytes - head.ip)));
  pieces_.clear();
  pieces_.push_back(headers);
  for (std::uint32_t i = group.first; i != kNone; i = parts_[i].next)
    pieces_.push_back(packets_[i].subspan(size));
  out.virtio.flags = VirtioHeader::kNeedsChecksum;
  const std::uint8_t tcp = v4 ? VirtioHeader::kTcp4 : VirtioHeader::kTcp6;
  out.virtio.gso_type = head.tcp ? tcp : VirtioHeader::kUdp;
  out.virtio.hdr_len = static_cast<std::uint16_t>(size);
  out.virtio.gso_size = head.payload;
  out.virtio.csum_start = head.ip;
  out.virtio.csum_offset = field;
  out.pieces = pieces_;
  return out;
}

}  // namespace oakgate::soft
