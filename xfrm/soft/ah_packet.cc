#include "xfrm/soft/ah_packet.h"

#include <algorithm>
#include <array>

#include "ike/base/bytes.h"

namespace oakgate::soft {

namespace {

constexpr std::size_t kIpv4Header = 20;
constexpr std::size_t kIpv6Header = 40;

// IPv4 options that nobody changes on the way (RFC 4302 appendix A1): end of list, no operation, security,
// extended security, commercial security, router alert, sender-directed multi-destination delivery.
constexpr auto kImmutableOptions = std::to_array<std::uint8_t>({0, 1, 130, 133, 134, 148, 149});

constexpr std::uint8_t kHopByHop = 0;
constexpr std::uint8_t kRouting = 43;
constexpr std::uint8_t kDestinationOptions = 60;
constexpr std::uint8_t kAh = 51;
constexpr std::uint8_t kChangesOnTheWay = 0x20;  // RFC 8200 section 4.2: the third bit of an option's type

void zero(std::span<std::uint8_t> bytes) {
  std::fill(bytes.begin(), bytes.end(), std::uint8_t{0});
}

void put_u32(std::span<std::uint8_t> out, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i) out[i] = static_cast<std::uint8_t>(value >> (24 - 8 * i));
}

// RFC 4302 section 3.3.3.1.1.2: an option that is mutable "is zeroed" as a whole, type and length too.
bool mute_ipv4_options(std::span<std::uint8_t> options) {
  while (!options.empty()) {
    const std::uint8_t type = options[0];
    if (type == 0) return true;  // what follows the end is padding, and immutable
    std::size_t size = 1;
    if (type != 1) {
      if (options.size() < 2 || options[1] < 2 || options[1] > options.size()) return false;
      size = options[1];
    }
    const bool immutable =
        std::find(kImmutableOptions.begin(), kImmutableOptions.end(), type) != kImmutableOptions.end();
    if (!immutable) zero(options.first(size));
    options = options.subspan(size);
  }
  return true;
}

bool mute_ipv4(std::span<std::uint8_t> header) {
  if (header.size() < kIpv4Header || std::size_t{header[0] & 0x0fU} * 4 != header.size()) return false;
  header[1] = 0;                // type of service
  zero(header.subspan(6, 2));   // flags and fragment offset
  header[8] = 0;                // time to live
  zero(header.subspan(10, 2));  // checksum
  return mute_ipv4_options(header.subspan(kIpv4Header));
}

// The data of options that may change; their types and lengths stay (RFC 4302 section 3.3.3.1.2.2).
bool mute_ipv6_options(std::span<std::uint8_t> options) {
  while (!options.empty()) {
    if (options[0] == 0) {  // Pad1
      options = options.subspan(1);
      continue;
    }
    if (options.size() < 2 || std::size_t{options[1]} + 2 > options.size()) return false;
    if ((options[0] & kChangesOnTheWay) != 0) zero(options.subspan(2, options[1]));
    options = options.subspan(std::size_t{options[1]} + 2);
  }
  return true;
}

bool mute_ipv6(std::span<std::uint8_t> header) {
  if (header.size() < kIpv6Header) return false;
  header[0] &= 0xf0U;          // traffic class
  zero(header.subspan(1, 3));  // and flow label
  header[7] = 0;               // hop limit
  std::uint8_t next = header[6];
  std::span<std::uint8_t> rest = header.subspan(kIpv6Header);
  while (!rest.empty()) {
    if (next != kHopByHop && next != kRouting && next != kDestinationOptions) return false;
    if (rest.size() < 8) return false;
    const std::size_t size = (std::size_t{rest[1]} + 1) * 8;
    if (size > rest.size()) return false;
    // A routing header is in its final form when it arrives, and that is what its sender computed with.
    if (next != kRouting && !mute_ipv6_options(rest.subspan(2, size - 2))) return false;
    next = rest[0];
    rest = rest.subspan(size);
  }
  return next == kAh;
}

}  // namespace

std::optional<AhHeader> read_ah_header(ByteView packet) {
  ByteReader reader(packet);
  AhHeader header;
  std::uint8_t words = 0;
  std::uint16_t reserved = 0;
  std::uint32_t sequence = 0;
  if (!reader.u8(header.next_header) || !reader.u8(words) || !reader.u16(reserved) ||
      !reader.u32(header.spi.value) || !reader.u32(sequence)) {
    return std::nullopt;
  }
  header.sequence = sequence;
  header.size = (std::size_t{words} + 2) * 4;  // RFC 4302 section 2.2: 4-byte units, "minus 2"
  if (header.size < kAhFixed || header.size > packet.size()) return std::nullopt;
  return header;
}

bool mute_mutable_fields(std::span<std::uint8_t> header) {
  if (header.empty()) return false;
  switch (header[0] >> 4) {
    case 4:
      return mute_ipv4(header);
    case 6:
      return mute_ipv6(header);
    default:
      return false;
  }
}

Result<AhAuthenticator> AhAuthenticator::create(Integrity integrity, const SecretBytes& key,
                                                std::optional<CryptoBackend> backend) {
  auto tag = IntegrityTag::create(integrity, key, backend);
  if (!tag) return fail(std::move(tag.error()));
  return AhAuthenticator(info(integrity).icv_bytes, std::move(*tag));
}

std::size_t AhAuthenticator::header_size(Family outer) const {
  const std::size_t unit = outer == Family::ipv4 ? 4 : 8;
  return (kAhFixed + icv_ + unit - 1) / unit * unit;
}

bool AhAuthenticator::mute(std::span<std::uint8_t> packet, std::size_t ip_header, AhFrame& frame) const {
  if (ip_header > kMaxIpHeader || packet.size() < ip_header + kAhFixed + icv_) return false;
  const std::span<std::uint8_t> outer = packet.first(ip_header);
  std::copy(outer.begin(), outer.end(), frame.outer.begin());
  if (!mute_mutable_fields(outer)) {
    std::copy_n(frame.outer.begin(), ip_header, outer.begin());
    return false;
  }
  zero(packet.subspan(ip_header + kAhFixed, icv_));
  return true;
}

bool AhAuthenticator::begin_protect(std::span<std::uint8_t> packet, std::size_t ip_header,
                                    const AhHeader& header, AhFrame& frame) const {
  if (packet.size() < ip_header || ip_header == 0) return false;
  const std::size_t size = header_size(packet[0] >> 4 == 4 ? Family::ipv4 : Family::ipv6);
  if (packet.size() < ip_header + size) return false;
  const std::span<std::uint8_t> ah = packet.subspan(ip_header, size);
  zero(ah);
  ah[0] = header.next_header;
  ah[1] = static_cast<std::uint8_t>(size / 4 - 2);
  put_u32(ah.subspan(4, 4), header.spi.value);
  put_u32(ah.subspan(8, 4), static_cast<std::uint32_t>(header.sequence));
  return mute(packet, ip_header, frame);
}

void AhAuthenticator::end_protect(std::span<std::uint8_t> packet, std::size_t ip_header, const AhFrame& frame,
                                  ByteView icv) const {
  std::copy_n(frame.outer.begin(), ip_header, packet.begin());
  std::copy_n(icv.begin(), icv_, packet.subspan(ip_header + kAhFixed, icv_).begin());
}

AhVerdict AhAuthenticator::begin_verify(std::span<std::uint8_t> packet, std::size_t ip_header,
                                        AhFrame& frame) const {
  if (packet.size() < ip_header) return AhVerdict::malformed;
  const auto header = read_ah_header(packet.subspan(ip_header));
  if (!header || header->size < kAhFixed + icv_) return AhVerdict::malformed;
  const std::span<std::uint8_t> place = packet.subspan(ip_header + kAhFixed, icv_);
  std::copy(place.begin(), place.end(), frame.icv.begin());
  return mute(packet, ip_header, frame) ? AhVerdict::ok : AhVerdict::malformed;
}

AhVerdict AhAuthenticator::end_verify(std::span<std::uint8_t> packet, std::size_t ip_header,
                                      const AhFrame& frame, ByteView icv) const {
  const ByteView received(frame.icv.data(), icv_);
  std::copy_n(frame.outer.begin(), ip_header, packet.begin());
  std::copy(received.begin(), received.end(), packet.subspan(ip_header + kAhFixed, icv_).begin());
  return equal_constant_time(icv.first(icv_), received) ? AhVerdict::ok : AhVerdict::not_authentic;
}

ByteView AhAuthenticator::authenticated(ByteView packet, std::uint64_t sequence) const {
  if (numbers_ == SequenceNumbers::bits_32) return packet;
  constexpr std::size_t kMost = 65535 + kMaxIpHeader;
  thread_local std::array<std::uint8_t, kMost + kUnsentBytes> whole;
  if (packet.size() > kMost) return {};
  std::copy(packet.begin(), packet.end(), whole.begin());
  const auto unsent = unsent_half(sequence);
  std::copy(unsent.begin(), unsent.end(), whole.begin() + static_cast<std::ptrdiff_t>(packet.size()));
  return {whole.data(), packet.size() + kUnsentBytes};
}

bool AhAuthenticator::protect(std::span<std::uint8_t> packet, std::size_t ip_header, const AhHeader& header) {
  AhFrame frame;
  std::array<std::uint8_t, kMaxIcv> icv{};
  if (!begin_protect(packet, ip_header, header, frame)) return false;
  const bool computed = tag_.compute(authenticated(packet, header.sequence), std::span(icv).first(icv_));
  end_protect(packet, ip_header, frame, icv);
  return computed;
}

AhVerdict AhAuthenticator::verify(std::span<std::uint8_t> packet, std::size_t ip_header,
                                  std::uint64_t sequence) {
  AhFrame frame;
  std::array<std::uint8_t, kMaxIcv> icv{};
  if (const AhVerdict verdict = begin_verify(packet, ip_header, frame); verdict != AhVerdict::ok) {
    return verdict;
  }
  const bool computed = tag_.compute(authenticated(packet, sequence), std::span(icv).first(icv_));
  const AhVerdict verdict = end_verify(packet, ip_header, frame, icv);
  return computed ? verdict : AhVerdict::failed;
}

}  // namespace oakgate::soft
