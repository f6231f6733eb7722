#include "xfrm/soft/inner_packet.h"
#include "xfrm/soft/checksum.h"

#include <gtest/gtest.h>

#include "packets.h"

namespace oakgate::soft {
namespace {

using test::address;
using test::make_packet;

TEST(InnerPacket, Ipv4) {
  const Bytes raw = make_packet({.traffic_class = 0xb9, .flags = 0x4000});
  const auto packet = parse_inner_packet(raw);
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet->source, address("10.1.0.5"));
  EXPECT_EQ(packet->destination, address("10.2.0.9"));
  EXPECT_EQ(packet->protocol, 17);
  EXPECT_EQ(packet->traffic_class, 0xb9);
  EXPECT_TRUE(packet->dont_fragment);
  EXPECT_EQ(packet->fragment, Fragment::none);
  ASSERT_TRUE(packet->ports);
  EXPECT_EQ(packet->ports->source, 1000);
  EXPECT_EQ(packet->ports->destination, 2000);
  EXPECT_EQ(packet->size, 52U);
  EXPECT_EQ(packet->upper_offset, 20U);
}

TEST(InnerPacket, Ipv6WithExtensionHeaders) {
  Bytes raw = make_packet({"2001:db8:1::5", "2001:db8:2::9", 60, 0, 0, 8 + 8 + 12, 0x2e, 0});
  raw[40] = 43;  // destination options, then routing
  raw[41] = 0;
  raw[48] = 6;  // routing, then TCP
  raw[49] = 0;
  raw[56] = 0x01, raw[57] = 0xbb, raw[58] = 0x1f, raw[59] = 0x90;
  const auto packet = parse_inner_packet(raw);
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet->protocol, 6);
  EXPECT_EQ(packet->traffic_class, 0x2e);
  EXPECT_EQ(packet->upper_offset, 56U);
  ASSERT_TRUE(packet->ports);
  EXPECT_EQ(packet->ports->source, 443);
  EXPECT_EQ(packet->ports->destination, 8080);
}

TEST(InnerPacket, TrailingBytesAreNotThePacket) {
  Bytes raw = make_packet({});
  raw.resize(raw.size() + 100);
  EXPECT_EQ(parse_inner_packet(raw)->size, 52U);
}

TEST(InnerPacket, FragmentsOfIpv4) {
  const auto first = parse_inner_packet(make_packet({.flags = 0x2000}));
  ASSERT_TRUE(first);
  EXPECT_EQ(first->fragment, Fragment::first);
  EXPECT_TRUE(first->ports);
  const auto later = parse_inner_packet(make_packet({.flags = 0x0003}));
  ASSERT_TRUE(later);
  EXPECT_EQ(later->fragment, Fragment::later);
  EXPECT_FALSE(later->ports) << "what stands there is data, not ports";
  const auto tiny = parse_inner_packet(make_packet({.payload = 3, .flags = 0x2000}));
  ASSERT_TRUE(tiny);
  EXPECT_FALSE(tiny->ports);
}

TEST(InnerPacket, FragmentsOfIpv6) {
  Bytes raw = make_packet({"2001:db8:1::5", "2001:db8:2::9", 44, 0, 0, 8 + 12, 0, 0});
  raw[40] = 17;
  raw[42] = 0, raw[43] = 1;  // offset 0, more fragments
  EXPECT_EQ(parse_inner_packet(raw)->fragment, Fragment::first);
  EXPECT_TRUE(parse_inner_packet(raw)->ports);
  raw[43] = 8;
  EXPECT_EQ(parse_inner_packet(raw)->fragment, Fragment::later);
  EXPECT_FALSE(parse_inner_packet(raw)->ports);
  EXPECT_EQ(parse_inner_packet(raw)->protocol, 17);
  raw[43] = 0;  // an atomic fragment (RFC 6946) is no fragment
  EXPECT_EQ(parse_inner_packet(raw)->fragment, Fragment::none);
}

TEST(InnerPacket, RefusesWhatIsNoPacket) {
  EXPECT_FALSE(parse_inner_packet({}));
  for (const test::PacketSpec& spec : {test::PacketSpec{}, test::PacketSpec{"2001:db8::1", "2001:db8::2"}}) {
    const Bytes raw = make_packet(spec);
    for (std::size_t cut = 0; cut < raw.size(); ++cut) {
      EXPECT_FALSE(parse_inner_packet(ByteView(raw).first(cut))) << cut;
    }
    Bytes version = raw;
    version[0] = static_cast<std::uint8_t>((version[0] & 0x0f) | 0x50);
    EXPECT_FALSE(parse_inner_packet(version));
  }
  Bytes short_header = make_packet({});
  short_header[0] = 0x44;
  EXPECT_FALSE(parse_inner_packet(short_header));
  Bytes small_total = make_packet({});
  small_total[2] = 0, small_total[3] = 19;
  EXPECT_FALSE(parse_inner_packet(small_total));
}

TEST(InnerPacket, AnEndlessExtensionChainIsRefused) {
  Bytes raw = make_packet({"2001:db8::1", "2001:db8::2", 60, 0, 0, 8 * 40, 0, 0});
  for (std::size_t offset = 40; offset < raw.size(); offset += 8) raw[offset] = 60, raw[offset + 1] = 0;
  EXPECT_FALSE(parse_inner_packet(raw));
}

TEST(InnerPacket, TrafficClassIsSetAndTheChecksumMended) {
  for (int value = 0; value < 256; ++value) {
    Bytes v4 = make_packet({.traffic_class = 0x4d});
    set_traffic_class(v4, static_cast<std::uint8_t>(value));
    EXPECT_EQ(parse_inner_packet(v4)->traffic_class, value);
    EXPECT_EQ(internet_checksum(ByteView(v4).first(20)), 0);
    Bytes v6 = make_packet({"2001:db8::1", "2001:db8::2"});
    v6[1] |= 0x0a;  // flow label
    set_traffic_class(v6, static_cast<std::uint8_t>(value));
    EXPECT_EQ(parse_inner_packet(v6)->traffic_class, value);
    EXPECT_EQ(v6[0] >> 4, 6);
    EXPECT_EQ(v6[1] & 0x0f, 0x0a);
  }
}

}  // namespace
}  // namespace oakgate::soft
