#include "xfrm/soft/ah_packet.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "ike/base/bytes.h"

namespace oakgate::soft {
namespace {

constexpr Spi kSpi{0x01020304};

SecretBytes key_for(Integrity integrity) {
  return SecretBytes(Bytes(info(integrity).key_bytes, 0x5a));
}

// An IPv4 header with these options, behind it room for AH and a payload of 40 bytes.
Bytes ipv4_packet(const Bytes& options, std::size_t ah) {
  const std::size_t header = 20 + options.size();
  Bytes packet(header + ah + 40, 0x77);
  std::fill_n(packet.begin(), header, std::uint8_t{0});
  packet[0] = static_cast<std::uint8_t>(0x40 | header / 4);
  packet[2] = static_cast<std::uint8_t>(packet.size() >> 8);
  packet[3] = static_cast<std::uint8_t>(packet.size());
  packet[5] = 0x2a;  // identification
  packet[8] = 64;
  packet[9] = 51;
  for (std::size_t i = 12; i < 20; ++i) packet[i] = static_cast<std::uint8_t>(i);
  std::copy(options.begin(), options.end(), packet.begin() + 20);
  return packet;
}

// An IPv6 header and these extension headers, whose first is `next`.
Bytes ipv6_packet(std::uint8_t next, const Bytes& extensions, std::size_t ah) {
  const std::size_t header = 40 + extensions.size();
  Bytes packet(header + ah + 40, 0x77);
  std::fill_n(packet.begin(), header, std::uint8_t{0});
  packet[0] = 0x60;
  packet[4] = static_cast<std::uint8_t>((packet.size() - 40) >> 8);
  packet[5] = static_cast<std::uint8_t>(packet.size() - 40);
  packet[6] = next;
  packet[7] = 64;
  for (std::size_t i = 8; i < 40; ++i) packet[i] = static_cast<std::uint8_t>(i);
  std::copy(extensions.begin(), extensions.end(), packet.begin() + 40);
  return packet;
}

struct Sealed {
  explicit Sealed(Bytes bytes, std::size_t ip_header, Integrity integrity = Integrity::sha)
      : ah(*AhAuthenticator::create(integrity, key_for(integrity))), packet(std::move(bytes)), ip(ip_header) {
    EXPECT_TRUE(ah.protect(packet, ip, {kSpi, 7, 4, 0}));
  }
  // With one byte changed, and put back.
  AhVerdict changed(std::size_t at, std::uint8_t mask = 0xff) {
    packet[at] ^= mask;
    const Bytes before = packet;
    const AhVerdict verdict = ah.verify(packet, ip);
    EXPECT_EQ(before, packet) << "left as it came";
    packet[at] ^= mask;
    return verdict;
  }
  AhAuthenticator ah;
  Bytes packet;
  std::size_t ip;
};

std::size_t ah_size(Integrity integrity, Family family) {
  return AhAuthenticator::create(integrity, key_for(integrity))->header_size(family);
}

TEST(AhPacket, HeaderSizesAreTheRfcs) {
  // RFC 4302 section 2.6: 32-bit alignment over IPv4, 64-bit over IPv6.
  EXPECT_EQ(ah_size(Integrity::sha, Family::ipv4), 24U);
  EXPECT_EQ(ah_size(Integrity::sha, Family::ipv6), 24U);
  EXPECT_EQ(ah_size(Integrity::sha256, Family::ipv4), 28U);
  EXPECT_EQ(ah_size(Integrity::sha256, Family::ipv6), 32U);
  EXPECT_EQ(ah_size(Integrity::sha384, Family::ipv4), 36U);
  EXPECT_EQ(ah_size(Integrity::sha512, Family::ipv6), 48U);
}

TEST(AhPacket, EveryAlgorithmVerifiesItsOwnInBothFamilies) {
  for (const IntegrityInfo& row : integrities()) {
    for (const Family family : {Family::ipv4, Family::ipv6}) {
      const std::size_t size = ah_size(row.id, family);
      const bool v4 = family == Family::ipv4;
      Sealed sealed(v4 ? ipv4_packet({}, size) : ipv6_packet(51, {}, size), v4 ? 20 : 40, row.id);
      EXPECT_EQ(sealed.ah.verify(sealed.packet, sealed.ip), AhVerdict::ok) << row.name;
      const auto header = read_ah_header(ByteView(sealed.packet).subspan(sealed.ip));
      ASSERT_TRUE(header);
      EXPECT_EQ(header->spi, kSpi);
      EXPECT_EQ(header->sequence, 7U);
      EXPECT_EQ(header->next_header, 4);
      EXPECT_EQ(header->size, size);
      Bytes other = info(row.id).key_bytes != 0 ? Bytes(info(row.id).key_bytes, 0x5b) : Bytes{};
      auto stranger = AhAuthenticator::create(row.id, SecretBytes(std::move(other)));
      EXPECT_EQ(stranger->verify(sealed.packet, sealed.ip), AhVerdict::not_authentic);
    }
  }
}

TEST(AhPacket, OfIpv4WhatRoutersChangeIsFreeAndNothingElse) {
  Sealed sealed(ipv4_packet({}, 24), 20);
  // Type of service, flags and fragment offset, time to live, checksum.
  for (const std::size_t at : {1U, 6U, 7U, 8U, 10U, 11U}) EXPECT_EQ(sealed.changed(at), AhVerdict::ok) << at;
  for (const std::size_t at : {2U, 3U, 4U, 5U, 9U, 12U, 15U, 16U, 19U})
    EXPECT_EQ(sealed.changed(at), AhVerdict::not_authentic) << at;
  for (std::size_t at = 20; at < sealed.packet.size(); ++at) {
    if (at == 21) continue;  // the length, see below
    EXPECT_EQ(sealed.changed(at), AhVerdict::not_authentic) << at;
  }
  EXPECT_EQ(sealed.changed(21, 0x80), AhVerdict::malformed) << "longer than the packet";
  EXPECT_EQ(sealed.changed(21, 0x04), AhVerdict::malformed) << "too short for the ICV";
}

TEST(AhPacket, OfIpv6WhatRoutersChangeIsFreeAndNothingElse) {
  Sealed sealed(ipv6_packet(51, {}, 24), 40);
  EXPECT_EQ(sealed.changed(0, 0x0f), AhVerdict::ok) << "traffic class";
  for (const std::size_t at : {1U, 2U, 3U, 7U}) EXPECT_EQ(sealed.changed(at), AhVerdict::ok) << at;
  for (const std::size_t at : {4U, 5U, 8U, 23U, 24U, 39U})
    EXPECT_EQ(sealed.changed(at), AhVerdict::not_authentic) << at;
  EXPECT_EQ(sealed.changed(6), AhVerdict::malformed) << "the chain does not lead to AH";
}

TEST(AhPacket, Ipv4OptionsAreCoveredAsAppendixASays) {
  // Router alert (148) is immutable; record route (7) may change; then padding.
  const Bytes options = {148, 4, 0, 0, 7, 7, 4, 1, 2, 3, 4, 0};
  Sealed sealed(ipv4_packet(options, 24), 20 + options.size());
  EXPECT_EQ(sealed.ah.verify(sealed.packet, sealed.ip), AhVerdict::ok);
  EXPECT_EQ(sealed.changed(20 + 3), AhVerdict::not_authentic) << "router alert's value";
  for (const std::size_t at : {6U, 7U, 10U}) EXPECT_EQ(sealed.changed(20 + at), AhVerdict::ok) << at;
}

// RFC 4302 appendix A1, by copy flag, class and number; what it does not list counts as zero, too.
TEST(AhPacket, EveryIpv4OptionOfAppendixA) {
  const auto type = [](unsigned copy, unsigned kind, unsigned number) {
    return static_cast<std::uint8_t>(copy << 7 | kind << 5 | number);
  };
  const std::vector<std::uint8_t> immutable = {type(1, 0, 2), type(1, 0, 5), type(1, 0, 6), type(1, 0, 20),
                                               type(1, 0, 21)};
  const std::vector<std::uint8_t> zeroed = {type(1, 0, 3),  type(0, 2, 4),  type(0, 0, 7),  type(1, 0, 9),
                                            type(0, 2, 18), type(1, 0, 8),  type(0, 0, 11), type(0, 0, 12),
                                            type(1, 0, 17), type(0, 0, 10), type(1, 2, 13), type(1, 0, 14),
                                            type(0, 0, 15), type(1, 0, 16), type(1, 0, 19), type(0, 3, 30)};
  const auto value_counts = [](std::uint8_t option) {
    Sealed sealed(ipv4_packet({1, option, 6, 1, 2, 3, 4, 0}, 24), 28);
    EXPECT_EQ(sealed.ah.verify(sealed.packet, sealed.ip), AhVerdict::ok);
    EXPECT_NE(sealed.changed(20, 0x02), AhVerdict::ok) << "no operation is immutable";
    EXPECT_NE(sealed.changed(27), AhVerdict::ok) << "and so is the end of the list";
    return sealed.changed(24) == AhVerdict::not_authentic;
  };
  for (const std::uint8_t option : immutable) EXPECT_TRUE(value_counts(option)) << int{option};
  for (const std::uint8_t option : zeroed) EXPECT_FALSE(value_counts(option)) << int{option};
}

TEST(AhPacket, MalformedOptionsAreRefused) {
  for (const Bytes& options : {Bytes{7, 1, 0, 0}, Bytes{7, 0, 0, 0}, Bytes{7, 5, 0, 0}, Bytes{1, 1, 1, 7}}) {
    Bytes header = ipv4_packet(options, 0);
    header.resize(20 + options.size());
    EXPECT_FALSE(mute_mutable_fields(header)) << to_hex(options);
  }
  Bytes short_header = ipv4_packet({}, 0);
  short_header.resize(20);
  short_header[0] = 0x46;
  EXPECT_FALSE(mute_mutable_fields(short_header));
  short_header[0] = 0x55;
  EXPECT_FALSE(mute_mutable_fields(short_header));
  EXPECT_FALSE(mute_mutable_fields({}));
}

TEST(AhPacket, Ipv6ExtensionHeadersAreCoveredAsAppendixASays) {
  // Hop-by-hop: option 0x05 is immutable, 0x3e may change; then a routing header in its final form.
  const Bytes extensions = {43, 1, 0x05, 2, 1, 2, 0x3e, 4, 9, 9, 9, 9, 0x01, 2, 0, 0,  //
                            51, 0, 4,    0, 0, 0, 0,    0};
  Sealed sealed(ipv6_packet(0, extensions, 24), 40 + extensions.size());
  EXPECT_EQ(sealed.ah.verify(sealed.packet, sealed.ip), AhVerdict::ok);
  EXPECT_EQ(sealed.changed(40 + 4), AhVerdict::not_authentic);
  EXPECT_EQ(sealed.changed(40 + 8), AhVerdict::ok);
  EXPECT_EQ(sealed.changed(40 + 11), AhVerdict::ok);
  EXPECT_EQ(sealed.changed(40 + 18), AhVerdict::not_authentic) << "the routing header";
  for (const Bytes& broken :
       {Bytes{51, 1, 1, 4, 0, 0, 0, 0}, Bytes{51, 0, 0x3e, 5, 0, 0, 0, 0}, Bytes{44, 0, 1, 4, 0, 0, 0, 0}}) {
    Bytes header = ipv6_packet(0, broken, 0);
    header.resize(40 + broken.size());
    EXPECT_FALSE(mute_mutable_fields(header)) << to_hex(broken);
  }
}

// RFC 4302 section 3.3.3.1.2.2: types and lengths are covered whatever the data is.
TEST(AhPacket, DestinationOptionsBeforeAh) {
  const Bytes extensions = {51, 1, 0x3e, 4, 9, 9, 9, 9, 0x1e, 4, 8, 8, 8, 8, 0, 0};
  Sealed sealed(ipv6_packet(60, extensions, 24), 40 + extensions.size());
  EXPECT_EQ(sealed.ah.verify(sealed.packet, sealed.ip), AhVerdict::ok);
  for (const std::size_t at : {4U, 7U}) EXPECT_EQ(sealed.changed(40 + at), AhVerdict::ok) << at;
  EXPECT_EQ(sealed.changed(40 + 2, 0x01), AhVerdict::not_authentic) << "another type that may change";
  for (const std::size_t at : {8U, 10U, 13U})
    EXPECT_EQ(sealed.changed(40 + at), AhVerdict::not_authentic) << at;
  EXPECT_EQ(sealed.changed(40 + 3), AhVerdict::malformed) << "an option that reaches past its header";
}

TEST(AhPacket, TakesAPeersLongerPaddingAndCoversIt) {
  // Linux pads SHA2-256 over IPv4 to 32 bytes unless it is told otherwise.
  auto ah = *AhAuthenticator::create(Integrity::sha256, key_for(Integrity::sha256));
  Sealed eight(ipv6_packet(51, {}, 32), 40, Integrity::sha256);
  EXPECT_EQ(eight.changed(40 + 12 + 16), AhVerdict::not_authentic) << "padding is covered";
  EXPECT_EQ(ah.verify(eight.packet, 40), AhVerdict::ok);
}

TEST(AhPacket, CutAnywhereIsNeverAuthentic) {
  Sealed sealed(ipv4_packet({}, 24), 20);
  for (std::size_t size = 0; size < sealed.packet.size(); ++size) {
    Bytes cut(sealed.packet.begin(), sealed.packet.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_NE(sealed.ah.verify(cut, 20), AhVerdict::ok) << size;
  }
  EXPECT_FALSE(read_ah_header(Bytes(11, 0)));
  EXPECT_FALSE(read_ah_header(Bytes(12, 0))) << "8 bytes by its own length";
}

TEST(AhPacket, AKeyOfAWrongLengthIsRefused) {
  EXPECT_FALSE(AhAuthenticator::create(Integrity::sha256, SecretBytes(Bytes(20, 1))));
}

}  // namespace
}  // namespace oakgate::soft
