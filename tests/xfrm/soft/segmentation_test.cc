#include "xfrm/soft/segmentation.h"

#include <gtest/gtest.h>

#include "tests/xfrm/soft/packets.h"
#include "tests/xfrm/soft/tcp_packets.h"

namespace oakgate::soft {
namespace {

using test::checksums_right;
using test::make_packet;
using test::make_tcp;
using test::make_vector;
using test::tcp_payload;
using test::TcpSpec;

constexpr std::uint8_t kFin = 1, kPsh = 8, kAck = 16, kEce = 64, kCwr = 128;

std::uint32_t u32(ByteView data, std::size_t at) {
  return std::uint32_t{data[at]} << 24 | std::uint32_t{data[at + 1]} << 16 |
         std::uint32_t{data[at + 2]} << 8 | data[at + 3];
}

void append(Bytes& out, const Bytes& more) {
  out.insert(out.end(), more.begin(), more.end());
}

std::vector<Bytes> cut(const VirtioHeader& header, ByteView packet) {
  const auto segments = Segmentation::read(header, packet);
  std::vector<Bytes> out;
  for (std::size_t i = 0; segments && i < segments->count(); ++i) {
    out.emplace_back(segments->size(i));
    segments->write(i, packet, out.back());
  }
  return out;
}

TEST(Segmentation, TcpIsCutAsTheKernelWould) {
  for (const bool v6 : {false, true}) {
    const std::size_t ip = v6 ? 40 : 20;
    const TcpSpec spec{.v6 = v6,
                       .sequence = 0xfffff000,
                       .flags = kFin | kPsh | kAck | kEce | kCwr,
                       .id = 0xfffe,
                       .traffic_class = 0xb8 | 1,
                       .payload = 5000};
    Bytes packet = make_tcp(spec);
    const Bytes payload = tcp_payload(packet);
    VirtioHeader header = make_vector(packet, 1348);
    header.gso_type |= VirtioHeader::kEcn;
    const auto segments = cut(header, packet);
    ASSERT_EQ(segments.size(), 4U);
    Bytes joined;
    for (std::size_t i = 0; i < 4; ++i) {
      const Bytes& one = segments[i];
      EXPECT_TRUE(checksums_right(one)) << i;
      EXPECT_EQ(u32(one, ip + 4), static_cast<std::uint32_t>(0xfffff000 + i * 1348)) << i;
      EXPECT_EQ(one[ip + 13], i == 0 ? kAck | kEce | kCwr : i == 3 ? kFin | kPsh | kAck | kEce : kAck | kEce);
      EXPECT_EQ(one.size(), ip + 32 + (i == 3 ? 5000 - 3 * 1348 : 1348));
      const ByteView view(one);
      EXPECT_TRUE(std::equal(view.begin() + 1, view.begin() + 2, packet.begin() + 1));
      // Options, window and the other fields as they were.
      EXPECT_TRUE(std::equal(one.begin() + static_cast<std::ptrdiff_t>(ip) + 18,
                             one.begin() + static_cast<std::ptrdiff_t>(ip) + 32,
                             packet.begin() + static_cast<std::ptrdiff_t>(ip) + 18));
      if (v6) {
        EXPECT_EQ(one[4] << 8 | one[5], static_cast<int>(one.size() - 40));
      } else {
        EXPECT_EQ(one[2] << 8 | one[3], static_cast<int>(one.size()));
        EXPECT_EQ(one[4] << 8 | one[5], static_cast<int>((0xfffe + i) & 0xffff));
      }
      append(joined, tcp_payload(one));
    }
    EXPECT_EQ(joined, payload);
  }
}

TEST(Segmentation, EverySizeAndWithoutTheFlag) {
  for (std::size_t payload = 0; payload < 70; ++payload) {
    for (std::size_t size = 1; size < 40; size += 3) {
      Bytes packet = make_tcp({.timestamp = 0, .payload = payload});
      VirtioHeader header = make_vector(packet, size);
      if (payload % 2 == 0) header.flags = 0;  // then the pseudo-header is made from the addresses
      const auto segments = cut(header, packet);
      ASSERT_EQ(segments.size(), std::max<std::size_t>(1, (payload + size - 1) / size));
      Bytes joined;
      for (const Bytes& one : segments) {
        ASSERT_TRUE(checksums_right(one));
        append(joined, tcp_payload(one));
      }
      ASSERT_EQ(joined, tcp_payload(packet));
    }
  }
}

// The way TunDevice does it: the segments move apart over the packet they come from.
TEST(Segmentation, InPlaceFromTheLastToTheFirst) {
  Bytes packet = make_tcp({.payload = 60000});
  const Bytes payload = tcp_payload(packet);
  const VirtioHeader header = make_vector(packet, 1400);
  const auto segments = *Segmentation::read(header, packet);
  constexpr std::size_t kStep = 20 + 32 + 1400 + 8;  // hardly any room between them
  Bytes arena(segments.count() * kStep + packet.size());
  std::copy(packet.begin(), packet.end(), arena.begin());
  const std::span<std::uint8_t> all(arena);
  for (std::size_t i = segments.count(); i-- > 0;) {
    segments.write(i, all.first(packet.size()), all.subspan(i * kStep, segments.size(i)));
  }
  Bytes joined;
  for (std::size_t i = 0; i < segments.count(); ++i) {
    const ByteView one = all.subspan(i * kStep, segments.size(i));
    ASSERT_TRUE(checksums_right(one)) << i;
    append(joined, tcp_payload(one));
  }
  EXPECT_EQ(joined, payload);
}

TEST(Segmentation, UdpDatagrams) {
  for (const bool v6 : {false, true}) {
    test::PacketSpec spec{.payload = 8 + 2500};
    if (v6) spec.source = "2001:db8:a::5", spec.destination = "2001:db8:b::9";
    Bytes packet = make_packet(spec);
    const std::size_t ip = v6 ? 40 : 20;
    const VirtioHeader header = make_vector(packet, 1000);
    const auto segments = cut(header, packet);
    ASSERT_EQ(segments.size(), 3U);
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_TRUE(checksums_right(segments[i]));
      EXPECT_EQ(segments[i][ip + 4] << 8 | segments[i][ip + 5], i == 2 ? 508 : 1008);
      EXPECT_TRUE(std::equal(segments[i].begin() + static_cast<std::ptrdiff_t>(ip) + 8, segments[i].end(),
                             packet.begin() + static_cast<std::ptrdiff_t>(ip + 8 + i * 1000)));
    }
  }
}

TEST(Segmentation, ASinglePacketsChecksumIsCompleted) {
  for (const std::uint8_t protocol : {6, 17}) {
    for (std::size_t payload = 20; payload < 60; ++payload) {
      Bytes packet = make_packet({.protocol = protocol, .payload = payload});
      VirtioHeader header = make_vector(packet, 0);
      header.gso_type = VirtioHeader::kNone;
      const auto segments = cut(header, packet);
      ASSERT_EQ(segments.size(), 1U);
      EXPECT_TRUE(checksums_right(segments[0]));
    }
  }
}

// RFC 768: 0 says that there is no checksum.
TEST(Segmentation, AZeroChecksumBecomesAllOnes) {
  Bytes packet = make_packet({.payload = 10});
  packet[28] = packet[29] = 0;
  VirtioHeader header = make_vector(packet, 0);
  header.gso_type = VirtioHeader::kNone;
  const Bytes first = cut(header, packet)[0];
  // The payload makes up for the rest.
  std::copy_n(first.begin() + 26, 2, packet.begin() + 28);
  const Bytes second = cut(header, packet)[0];
  EXPECT_EQ(second[26] << 8 | second[27], 0xffff);
  EXPECT_TRUE(checksums_right(second));
}

TEST(Segmentation, WithoutAWishNothingChanges) {
  const Bytes packet = make_packet({});
  EXPECT_EQ(cut({}, packet), std::vector<Bytes>{packet});
  EXPECT_EQ(cut({}, Bytes{}), std::vector<Bytes>{Bytes{}});
}

TEST(Segmentation, WhatDoesNotFitIsRefused) {
  Bytes packet = make_tcp({.payload = 3000});
  const VirtioHeader good = make_vector(packet, 1000);
  ASSERT_TRUE(Segmentation::read(good, packet));
  const auto refused = [&packet](VirtioHeader header) { return !Segmentation::read(header, packet); };
  const auto with = [good](auto change) {
    VirtioHeader header = good;
    change(header);
    return header;
  };
  EXPECT_TRUE(refused(with([](VirtioHeader& h) { h.gso_size = 0; })));
  EXPECT_TRUE(refused(with([](VirtioHeader& h) { h.gso_type = VirtioHeader::kTcp6; })));
  EXPECT_TRUE(refused(with([](VirtioHeader& h) { h.gso_type = VirtioHeader::kUdp; })));
  EXPECT_TRUE(refused(with([](VirtioHeader& h) { h.gso_type = 3; })));  // UFO
  EXPECT_TRUE(refused(with([](VirtioHeader& h) { h.gso_type = VirtioHeader::kEcn; })));
  // Checksum places are held against single packets; those of a vector are known.
  VirtioHeader single = good;
  single.gso_type = VirtioHeader::kNone;
  single.csum_start = static_cast<std::uint16_t>(packet.size() - 17);
  EXPECT_TRUE(refused(single));
  single.csum_start = 0xffff;
  single.csum_offset = 0xffff;
  EXPECT_TRUE(refused(single));
  single.csum_start = single.csum_offset = 0;
  EXPECT_TRUE(refused(single));
  Bytes header_beyond = packet;
  header_beyond[20 + 12] = 0xf0;
  header_beyond.resize(20 + 40);
  header_beyond[2] = 0;
  header_beyond[3] = 60;
  EXPECT_FALSE(Segmentation::read(good, header_beyond));
  Bytes short_header = packet;
  short_header[20 + 12] = 0x40;
  EXPECT_FALSE(Segmentation::read(good, short_header));
  Bytes fragment = packet;
  fragment[6] |= 0x20;
  EXPECT_FALSE(Segmentation::read(good, fragment));
  Bytes longer = packet;
  longer.push_back(0);
  EXPECT_FALSE(Segmentation::read(good, longer));
  EXPECT_FALSE(Segmentation::read(good, ByteView(packet).first(30)));
  EXPECT_FALSE(Segmentation::read(good, {}));
}

}  // namespace
}  // namespace oakgate::soft
