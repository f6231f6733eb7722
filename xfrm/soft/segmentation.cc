#include "xfrm/soft/segmentation.h"

#include <algorithm>
#include <cstring>

#include "xfrm/soft/checksum.h"
#include "xfrm/soft/inner_packet.h"

namespace oakgate::soft {

namespace {

constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;
constexpr std::size_t kTcpHeader = 20;
constexpr std::size_t kUdpHeader = 8;
constexpr std::size_t kTcpChecksum = 16;
constexpr std::size_t kUdpChecksum = 6;
constexpr std::size_t kIpv6Header = 40;
// Of a 13th and 14th TCP header byte (RFC 9293 section 3.1).
constexpr std::uint8_t kFin = 0x01;
constexpr std::uint8_t kPsh = 0x08;
constexpr std::uint8_t kCwr = 0x80;

void put_u16(std::span<std::uint8_t> out, std::size_t offset, std::size_t value) {
  out[offset] = static_cast<std::uint8_t>(value >> 8);
  out[offset + 1] = static_cast<std::uint8_t>(value);
}

std::uint32_t u32_at(ByteView data, std::size_t offset) {
  return std::uint32_t{data[offset]} << 24 | std::uint32_t{data[offset + 1]} << 16 |
         std::uint32_t{data[offset + 2]} << 8 | data[offset + 3];
}

void put_u32(std::span<std::uint8_t> out, std::size_t offset, std::uint32_t value) {
  put_u16(out, offset, value >> 16);
  put_u16(out, offset + 2, value & 0xffff);
}

// RFC 768: "If the computed checksum is zero, it is transmitted as all ones"; elsewhere the two are the same.
std::uint16_t completed(std::uint64_t sum) {
  const auto checksum = static_cast<std::uint16_t>(~fold_words(sum));
  return checksum == 0 ? std::uint16_t{0xffff} : checksum;
}

}  // namespace

std::optional<Segmentation> Segmentation::read(const VirtioHeader& header, ByteView packet) {
  if (header.gso_type != VirtioHeader::kNone) return read_vector(header, packet);
  Segmentation out;
  out.total_ = packet.size();
  if ((header.flags & VirtioHeader::kNeedsChecksum) == 0) return out;
  out.transport_ = header.csum_start;
  out.checksum_at_ = std::size_t{header.csum_start} + header.csum_offset;
  if (out.checksum_at_ == 0 || out.checksum_at_ + 2 > packet.size()) return std::nullopt;
  return out;
}

std::optional<Segmentation> Segmentation::read_vector(const VirtioHeader& header, ByteView packet) {
  const auto parsed = parse_inner_packet(packet);
  if (!parsed || parsed->size != packet.size() || parsed->fragment != Fragment::none) return std::nullopt;
  const bool v4 = parsed->source.is_v4();
  Segmentation out;
  switch (header.gso_type & ~VirtioHeader::kEcn) {
    case VirtioHeader::kTcp4:
    case VirtioHeader::kTcp6:
      if (v4 != ((header.gso_type & ~VirtioHeader::kEcn) == VirtioHeader::kTcp4)) return std::nullopt;
      out.protocol_ = kTcp;
      break;
    case VirtioHeader::kUdp:
      out.protocol_ = kUdp;
      break;
    default:
      return std::nullopt;
  }
  const std::size_t least = out.protocol_ == kTcp ? kTcpHeader : kUdpHeader;
  if (parsed->protocol != out.protocol_ || parsed->upper_offset + least > packet.size()) return std::nullopt;
  out.transport_ = parsed->upper_offset;
  const std::size_t transport_header =
      out.protocol_ == kTcp ? (std::size_t{packet[out.transport_ + 12]} >> 4) * 4 : kUdpHeader;
  out.headers_size_ = out.transport_ + transport_header;
  if (transport_header < least || out.headers_size_ > kMaxHeaders || out.headers_size_ > packet.size() ||
      header.gso_size == 0) {
    return std::nullopt;
  }
  std::copy_n(packet.begin(), out.headers_size_, out.headers_.begin());
  out.checksum_at_ = out.transport_ + (out.protocol_ == kTcp ? kTcpChecksum : kUdpChecksum);
  // With the flag the field holds the sum of the pseudo-header, whose destination is not the header's where
  // there is an IPv6 routing header (RFC 8200 section 8.1).
  const std::size_t whole = packet.size() - out.transport_;
  out.pseudo_ =
      (header.flags & VirtioHeader::kNeedsChecksum) == 0
          ? pseudo_header_sum(packet, out.protocol_, 0)
          : add_word(add_words(0, packet.subspan(out.checksum_at_, 2)), static_cast<std::uint16_t>(~whole));
  out.segment_ = header.gso_size;
  out.total_ = packet.size();
  const std::size_t payload = packet.size() - out.headers_size_;
  out.count_ = std::max<std::size_t>(1, (payload + out.segment_ - 1) / out.segment_);
  return out;
}

std::size_t Segmentation::size(std::size_t index) const {
  if (protocol_ == 0) return total_;
  const std::size_t payload = total_ - headers_size_;
  return headers_size_ + std::min(segment_, payload - std::min(payload, index * segment_));
}

void Segmentation::write(std::size_t index, ByteView packet, std::span<std::uint8_t> out) const {
  const ByteView from = protocol_ == 0 ? packet : packet.subspan(headers_size_ + index * segment_);
  const std::size_t payload = protocol_ == 0 ? out.size() : out.size() - headers_size_;
  std::uint8_t* const to = out.data() + (out.size() - payload);
  if (to != from.data() && payload != 0) std::memmove(to, from.data(), payload);
  if (protocol_ != 0) {
    write_headers(index, out);
  } else if (checksum_at_ != 0) {
    // The field holds the pseudo-header's sum.
    put_u16(out, checksum_at_, completed(add_words(0, out.subspan(transport_))));
  }
}

void Segmentation::write_headers(std::size_t index, std::span<std::uint8_t> out) const {
  std::copy_n(headers_.begin(), headers_size_, out.begin());
  const std::size_t length = out.size() - transport_;
  if (out[0] >> 4 == 4) {
    put_u16(out, 2, out.size());
    put_u16(out, 4, static_cast<std::size_t>(out[4] << 8 | out[5]) + index);
    put_u16(out, 10, 0);
    put_u16(out, 10, internet_checksum(out.first(std::size_t{out[0] & 0x0fU} * 4)));
  } else {
    put_u16(out, 4, out.size() - kIpv6Header);
  }
  if (protocol_ == kTcp) {
    put_u32(out, transport_ + 4, u32_at(out, transport_ + 4) + static_cast<std::uint32_t>(index * segment_));
    std::uint8_t& flags = out[transport_ + 13];
    if (index + 1 != count_) flags = static_cast<std::uint8_t>(flags & ~(kFin | kPsh));
    if (index != 0) flags = static_cast<std::uint8_t>(flags & ~kCwr);  // RFC 3168 section 6.1.2
  } else {
    put_u16(out, transport_ + 4, length);
  }
  put_u16(out, checksum_at_, 0);
  const std::uint64_t sum = add_word(pseudo_, static_cast<std::uint16_t>(length));
  put_u16(out, checksum_at_, completed(add_words(sum, out.subspan(transport_))));
}

}  // namespace oakgate::soft
