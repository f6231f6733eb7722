// From frames of every link type to IP, fragments put together, and vectors cut.
#include "daemon/capture/packet.h"

#include <gtest/gtest.h>

namespace oakgate::capture {
namespace {

Bytes ipv4(std::uint8_t protocol, ByteView payload, std::uint16_t fragment = 0, std::uint16_t id = 7) {
  ByteWriter out;
  out.u8(0x45);
  out.u8(0);
  out.u16(static_cast<std::uint16_t>(20 + payload.size()));
  out.u16(id);
  out.u16(fragment);
  out.u8(64);
  out.u8(protocol);
  out.u16(0);
  out.bytes(IpAddress::parse("192.0.2.1")->bytes());
  out.bytes(IpAddress::parse("192.0.2.2")->bytes());
  out.bytes(payload);
  return std::move(out).take();
}

Bytes udp(std::uint16_t source, std::uint16_t destination, ByteView payload) {
  ByteWriter out;
  out.u16(source);
  out.u16(destination);
  out.u16(static_cast<std::uint16_t>(8 + payload.size()));
  out.u16(0);
  out.bytes(payload);
  return std::move(out).take();
}

Bytes framed(std::initializer_list<std::uint8_t> header, ByteView packet) {
  Bytes frame(header);
  frame.insert(frame.end(), packet.begin(), packet.end());
  return frame;
}

TEST(Packet, IsFoundBehindEveryLinkHeader) {
  const Bytes ip = ipv4(50, Bytes(12, 1));
  const Bytes mac(12, 2);
  const struct {
    LinkType link;
    Bytes frame;
  } frames[] = {
      {LinkType::raw, ip},
      {LinkType::raw_bsd, ip},
      {LinkType::raw_ipv4, ip},
      {LinkType::null, framed({2, 0, 0, 0}, ip)},
      {LinkType::loop, framed({0, 0, 0, 2}, ip)},
      {LinkType::ethernet, framed({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 8, 0}, ip)},
      {LinkType::ethernet, framed({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0x81, 0, 0, 5, 8, 0}, ip)},
      {LinkType::linux_cooked, framed({0, 0, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, 8, 0}, ip)},
      {LinkType::linux_cooked_2, framed({8, 0, 0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0}, ip)},
  };
  for (const auto& one : frames) {
    const auto found = ip_in(one.link, one.frame);
    ASSERT_TRUE(found) << static_cast<int>(one.link);
    EXPECT_EQ(found->protocol, 50);
    EXPECT_EQ(found->source.to_string(), "192.0.2.1");
    EXPECT_EQ(found->payload.size(), 12U);
    EXPECT_TRUE(is_ipsec(*found));
    for (std::size_t size = 0; size < one.frame.size(); ++size)
      (void)ip_in(one.link, ByteView(one.frame).first(size));
  }
  EXPECT_FALSE(ip_in(static_cast<LinkType>(9999), ip));
}

TEST(Packet, Ipv6BehindExtensionHeaders) {
  ByteWriter out;
  out.u32(0x60000000);
  out.u16(8 + 8 + 16);
  out.u8(0);  // hop-by-hop options
  out.u8(64);
  out.bytes(IpAddress::parse("2001:db8::1")->bytes());
  out.bytes(IpAddress::parse("2001:db8::2")->bytes());
  out.u8(60);  // then destination options
  out.zeros(7);
  out.u8(51);
  out.zeros(7);
  out.zeros(16);
  const auto ip = parse_ip(out.view());
  ASSERT_TRUE(ip);
  EXPECT_EQ(ip->protocol, 51);
  EXPECT_EQ(ip->payload.size(), 16U);
  EXPECT_EQ(ip->header_bytes, 56U);
  EXPECT_EQ(ip->destination.to_string(), "2001:db8::2");
}

TEST(Packet, OnlyIpsecsPortsAndProtocols) {
  const auto is = [](const Bytes& packet) { return is_ipsec(*parse_ip(packet)); };
  EXPECT_TRUE(is(ipv4(17, udp(500, 500, Bytes(28)))));
  EXPECT_TRUE(is(ipv4(17, udp(31000, 4500, Bytes(28)))));
  EXPECT_TRUE(is(ipv4(51, Bytes(28))));
  EXPECT_TRUE(is(ipv4(17, Bytes(28), 0x00b9))) << "a fragment has no ports";
  EXPECT_FALSE(is(ipv4(17, udp(53, 5300, Bytes(28)))));
  EXPECT_FALSE(is(ipv4(6, Bytes(28))));
  EXPECT_FALSE(is(ipv4(17, Bytes(3))));
}

TEST(Reassembly, InAnyOrderAndOnlyWhenWhole) {
  Reassembler joined;
  Bytes whole(3000);
  for (std::size_t i = 0; i < whole.size(); ++i) whole[i] = static_cast<std::uint8_t>(i);
  const auto piece = [&](std::size_t from, std::size_t size, bool more) {
    return ipv4(17, ByteView(whole).subspan(from, size),
                static_cast<std::uint16_t>(from / 8 | (more ? 0x2000U : 0U)));
  };
  const Bytes first = piece(0, 1480, true), second = piece(1480, 1480, true), third = piece(2960, 40, false);
  EXPECT_FALSE(joined.take(*parse_ip(third)));
  EXPECT_FALSE(joined.take(*parse_ip(first)));
  EXPECT_FALSE(joined.take(*parse_ip(first))) << "the same again";
  const auto all = joined.take(*parse_ip(second));
  ASSERT_TRUE(all);
  EXPECT_EQ(to_bytes(*all), whole);
}

TEST(Reassembly, NeverHoldsMoreThanItsBound) {
  Reassembler joined;
  const Bytes half(8);
  for (std::uint16_t id = 0; id < 5000; ++id)
    EXPECT_FALSE(joined.take(*parse_ip(ipv4(17, half, 0x2000, id))));
  // The first ones are forgotten: what completes them begins anew.
  EXPECT_FALSE(joined.take(*parse_ip(ipv4(17, half, 1, 0))));
  EXPECT_TRUE(joined.take(*parse_ip(ipv4(17, half, 1, 4999))));
}

Bytes esp(std::uint32_t spi, std::uint32_t sequence, std::size_t size) {
  ByteWriter out;
  out.u32(spi);
  out.u32(sequence);
  out.zeros(size - 8);
  return std::move(out).take();
}

TEST(Vector, IsCutToThePacketsOfWhichItConsists) {
  Bytes joined;
  for (std::uint32_t i = 0; i < 4; ++i) {
    const Bytes one = esp(0xabcd1234, 10 + i, i == 3 ? 40 : 100);
    joined.insert(joined.end(), one.begin(), one.end());
  }
  const std::vector<Bytes> cut = cut_vector(ipv4(17, udp(4500, 4500, joined)));
  ASSERT_EQ(cut.size(), 4U);
  for (std::uint32_t i = 0; i < 4; ++i) {
    const auto ip = parse_ip(cut[i]);
    ASSERT_TRUE(ip);
    EXPECT_FALSE(ip->cut);
    const auto datagram = parse_udp(ip->payload);
    ASSERT_TRUE(datagram);
    EXPECT_EQ(to_bytes(datagram->payload), esp(0xabcd1234, 10 + i, i == 3 ? 40 : 100));
  }
  EXPECT_TRUE(cut_vector(ipv4(17, udp(4500, 4500, esp(0xabcd1234, 10, 100)))).empty()) << "a single one";
  EXPECT_TRUE(cut_vector(ipv4(17, udp(53, 53, joined))).empty()) << "not IPsec's";
  joined[0] = joined[1] = joined[2] = joined[3] = 0;
  EXPECT_TRUE(cut_vector(ipv4(17, udp(4500, 4500, joined))).empty()) << "IKE";
}

}  // namespace
}  // namespace oakgate::capture
