#include "xfrm/soft/tcp_mss.h"

#include <gtest/gtest.h>

#include <random>

#include "packets.h"
#include "xfrm/soft/checksum.h"

namespace oakgate::soft {
namespace {

constexpr std::uint8_t kSyn = 0x02;

std::uint16_t at(const Bytes& bytes, std::size_t offset) {
  return static_cast<std::uint16_t>(bytes[offset] << 8 | bytes[offset + 1]);
}
void put(Bytes& bytes, std::size_t offset, std::uint16_t value) {
  bytes[offset] = static_cast<std::uint8_t>(value >> 8);
  bytes[offset + 1] = static_cast<std::uint8_t>(value);
}

struct Segment {
  bool v6 = false;
  Bytes options;  // a multiple of 4
  std::uint8_t flags = kSyn;
  std::size_t data = 0;
  int header_words = -1;  // as written; -1: the true one
};

// The TCP checksum of a whole packet, by itself.
std::uint16_t checksum_of(const Bytes& packet, std::size_t tcp) {
  Bytes sum;
  const bool v6 = packet[0] >> 4 == 6;
  const std::size_t addresses = v6 ? 8 : 12;
  sum.insert(sum.end(), packet.begin() + static_cast<std::ptrdiff_t>(addresses),
             packet.begin() + static_cast<std::ptrdiff_t>(addresses + (v6 ? 32 : 8)));
  const std::size_t size = packet.size() - tcp;
  sum.insert(sum.end(), {0, 6, static_cast<std::uint8_t>(size >> 8), static_cast<std::uint8_t>(size)});
  sum.insert(sum.end(), packet.begin() + static_cast<std::ptrdiff_t>(tcp), packet.end());
  const std::size_t field = sum.size() - size + 16;
  sum[field] = sum[field + 1] = 0;
  return internet_checksum(sum);
}

Bytes make(const Segment& of) {
  test::PacketSpec spec;
  spec.protocol = 6;
  spec.payload = 20 + of.options.size() + of.data;
  if (of.v6) {
    spec.source = "2001:db8:1::5";
    spec.destination = "2001:db8:2::9";
  }
  Bytes packet = test::make_packet(spec);
  const std::size_t tcp = of.v6 ? 40 : 20;
  const int words = of.header_words >= 0 ? of.header_words : static_cast<int>(5 + of.options.size() / 4);
  packet[tcp + 12] = static_cast<std::uint8_t>(words << 4);
  packet[tcp + 13] = of.flags;
  std::copy(of.options.begin(), of.options.end(), packet.begin() + static_cast<std::ptrdiff_t>(tcp + 20));
  put(packet, tcp + 16, checksum_of(packet, tcp));
  return packet;
}

TEST(TcpMss, IsMadeSmallerAndTheChecksumMended) {
  for (const bool v6 : {false, true}) {
    // With a no-operation before it, it lies at an odd offset.
    for (const Bytes& options : {Bytes{2, 4, 0x05, 0xb4}, Bytes{1, 2, 4, 0x05, 0xb4, 1, 1, 0},
                                 Bytes{3, 3, 7, 1, 4, 2, 2, 4, 0x23, 0x28, 0, 0}}) {
      for (std::uint32_t most = 500; most < 1460; most += 7) {
        Bytes packet = make({.v6 = v6, .options = options, .data = 13});
        const Bytes before = packet;
        const std::size_t tcp = v6 ? 40 : 20;
        const auto inner = parse_inner_packet(packet);
        ASSERT_TRUE(inner);
        EXPECT_TRUE(clamp_mss(packet, *inner, most));
        EXPECT_EQ(at(packet, tcp + 16), checksum_of(packet, tcp)) << most;
        std::size_t changed = 0;
        for (std::size_t i = 0; i < packet.size(); ++i) changed += packet[i] != before[i] ? 1 : 0;
        EXPECT_LE(changed, 4U) << "the value and the checksum";
        EXPECT_FALSE(clamp_mss(packet, *inner, most)) << "it is small enough now";
      }
    }
  }
}

TEST(TcpMss, WhatNeedsNoChangeIsLeft) {
  const Bytes options{2, 4, 0x05, 0xb4};
  const auto left = [](Bytes packet, std::size_t most) {
    const Bytes before = packet;
    const auto inner = parse_inner_packet(packet);
    return inner && !clamp_mss(packet, *inner, most) && packet == before;
  };
  EXPECT_TRUE(left(make({.options = options}), 1460));
  EXPECT_TRUE(left(make({.options = options}), 9000)) << "never larger";
  EXPECT_TRUE(left(make({.options = options}), 0)) << "nothing is known";
  EXPECT_TRUE(left(make({.options = options, .flags = 0x10}), 1000)) << "no SYN";
  EXPECT_TRUE(left(make({.options = {}}), 1000)) << "RFC 9293: 536 is meant, and stays so";
  EXPECT_TRUE(left(make({.options = {0, 2, 4, 5, 0xb4, 0, 0, 0}}), 1000)) << "behind the end of the list";
  EXPECT_TRUE(left(make({.options = {2, 3, 0x05, 0xb4}}), 1000)) << "an MSS of a wrong size";
  EXPECT_TRUE(left(make({.options = {2, 0, 0x05, 0xb4}}), 1000)) << "an option of no size";
  EXPECT_TRUE(left(make({.options = {2, 1, 0x05, 0xb4}}), 1000));
  EXPECT_TRUE(left(make({.options = {1, 1, 1, 2}}), 1000)) << "cut behind its kind";
  EXPECT_TRUE(left(make({.options = {1, 1, 2, 4}, .data = 2}), 1000)) << "the value would be data";
  EXPECT_TRUE(left(make({.options = {1, 9, 0, 0, 2, 4, 5, 0xb4}}), 1460)) << "an option beyond the header";
  EXPECT_TRUE(left(make({.options = options, .header_words = 4}), 1000)) << "a header too short";
  EXPECT_TRUE(left(make({.options = options, .header_words = 15}), 1000)) << "a header beyond the packet";
  Bytes udp = test::make_packet({});
  EXPECT_TRUE(left(udp, 500));
}

TEST(TcpMss, OfAnMtu) {
  const auto four = parse_inner_packet(make({}));
  const auto six = parse_inner_packet(make({.v6 = true}));
  EXPECT_EQ(mss_of(1400, *four), 1360U);
  EXPECT_EQ(mss_of(1400, *six), 1340U);
  EXPECT_EQ(mss_of(40, *four), 0U);
  EXPECT_EQ(mss_of(0, *six), 0U);
}

// In a buffer of their own size: a sanitizer sees what is read beyond.
TEST(TcpMss, NothingIsReadBeyondThePacket) {
  std::mt19937 random(3);
  for (int i = 0; i < 20'000; ++i) {
    Bytes options(4 * (random() % 11));
    for (std::uint8_t& byte : options) {
      byte = static_cast<std::uint8_t>(random() % 3 == 0 ? random() : random() % 8);
    }
    Bytes packet = make({.v6 = i % 2 == 0,
                         .options = options,
                         .data = random() % 4,
                         .header_words = static_cast<int>(random() % 16)});
    auto inner = parse_inner_packet(packet);
    ASSERT_TRUE(inner);
    const std::size_t tcp = inner->upper_offset;
    if (clamp_mss(packet, *inner, 500)) {
      EXPECT_EQ(at(packet, tcp + 16), checksum_of(packet, tcp));
    }
    packet.resize(random() % packet.size());
    EXPECT_FALSE(clamp_mss(packet, *inner, 400)) << "cut behind our back";
  }
}

}  // namespace
}  // namespace oakgate::soft
