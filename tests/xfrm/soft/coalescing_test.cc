#include "xfrm/soft/coalescing.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/xfrm/soft/packets.h"
#include "tests/xfrm/soft/tcp_packets.h"
#include "xfrm/soft/segmentation.h"

namespace oakgate::soft {
namespace {

using test::checksums_right;
using test::make_packet;
using test::make_tcp;
using test::make_vector;
using test::TcpSpec;

constexpr std::uint8_t kFin = 1, kSyn = 2, kRst = 4, kPsh = 8, kAck = 16, kUrg = 32, kEce = 64, kCwr = 128;

// What the kernel would see: each write, and cut again.
struct Written {
  VirtioHeader header;
  Bytes bytes;
};
std::vector<Written> write(const std::vector<Bytes>& packets, bool udp = true) {
  Coalescer coalescer(udp);
  const std::vector<ByteView> views(packets.begin(), packets.end());
  coalescer.plan(views);
  std::vector<Written> out;
  for (std::size_t i = 0; i < coalescer.size(); ++i) {
    const TunVector vector = coalescer.write(i);
    Written one{vector.virtio, {}};
    for (const ByteView piece : vector.pieces) one.bytes.insert(one.bytes.end(), piece.begin(), piece.end());
    out.push_back(std::move(one));
  }
  return out;
}
std::vector<Bytes> cut(const Written& written) {
  std::vector<Bytes> out;
  const auto segments = Segmentation::read(written.header, written.bytes);
  EXPECT_TRUE(segments);
  for (std::size_t i = 0; segments && i < segments->count(); ++i) {
    out.emplace_back(segments->size(i));
    segments->write(i, written.bytes, out.back());
  }
  return out;
}
std::vector<Bytes> cut(const std::vector<Written>& written) {
  std::vector<Bytes> out;
  for (const Written& one : written) {
    for (Bytes& packet : cut(one)) out.push_back(std::move(packet));
  }
  return out;
}

// Segments of one stream, of these payload sizes.
std::vector<Bytes> stream(std::initializer_list<std::size_t> sizes, TcpSpec spec = {}) {
  std::vector<Bytes> out;
  for (const std::size_t size : sizes) {
    spec.payload = size;
    out.push_back(make_tcp(spec));
    spec.sequence += static_cast<std::uint32_t>(size);
    ++spec.id;
    ++spec.fill;
  }
  return out;
}

TEST(Coalescing, AStreamIsOneVectorAndCutAgainTheSame) {
  for (const bool v6 : {false, true}) {
    for (const std::uint32_t timestamp : {0U, 1U}) {
      const auto packets = stream(
          {1000, 1000, 1000, 7},
          {.v6 = v6, .sequence = 0xfffffc00, .timestamp = timestamp, .id = 0xffff, .traffic_class = 0x22});
      const auto written = write(packets);
      ASSERT_EQ(written.size(), 1U);
      EXPECT_EQ(written[0].header.gso_type, v6 ? VirtioHeader::kTcp6 : VirtioHeader::kTcp4);
      EXPECT_EQ(written[0].header.gso_size, 1000);
      EXPECT_EQ(written[0].header.flags, VirtioHeader::kNeedsChecksum);
      EXPECT_EQ(written[0].header.csum_start, v6 ? 40 : 20);
      EXPECT_EQ(written[0].header.csum_offset, 16);
      EXPECT_EQ(written[0].header.hdr_len, (v6 ? 40 : 20) + (timestamp == 0 ? 20 : 32));
      EXPECT_EQ(cut(written), packets);
      // The pseudo-header's sum is where the kernel looks for it.
      Bytes other = written[0].bytes;
      (void)make_vector(other, 1000);
      EXPECT_EQ(other, written[0].bytes);
    }
  }
}

// What ends a vector, what begins one anew, what stands alone: sizes of the writes.
std::vector<std::size_t> counts(const std::vector<Bytes>& packets) {
  std::vector<std::size_t> out;
  const auto written = write(packets);
  for (const Written& one : written) out.push_back(cut(one).size());
  EXPECT_EQ(cut(written), packets);
  return out;
}
using Counts = std::vector<std::size_t>;

TEST(Coalescing, EndsWhereGroDoes) {
  EXPECT_EQ(counts(stream({100, 100, 40, 100, 100})), (Counts{3, 2}));  // a short one ends it
  EXPECT_EQ(counts(stream({100, 120, 120})), (Counts{1, 2}));           // a longer one never joins
  EXPECT_EQ(counts(stream({100})), (Counts{1}));
  EXPECT_EQ(counts(stream({0, 0, 100})), (Counts{1, 1, 1}));  // acknowledgements alone
  for (const std::uint8_t ending : {kPsh, kFin}) {
    auto packets = stream({100, 100, 100, 100});
    packets[1] = make_tcp({.sequence = 1100,
                           .flags = static_cast<std::uint8_t>(kAck | ending),
                           .id = 8,
                           .payload = 100,
                           .fill = 1});
    EXPECT_EQ(counts(packets), (Counts{2, 2})) << int{ending};
  }
}

TEST(Coalescing, WhatDiffersIsNotJoined) {
  const auto joins = [](auto change) {
    TcpSpec second{.sequence = 2000, .id = 8};
    change(second);
    return counts({make_tcp({}), make_tcp(second)}) == Counts{2};
  };
  EXPECT_TRUE(joins([](TcpSpec&) {}));
  EXPECT_FALSE(joins([](TcpSpec& s) { s.sequence = 2001; }));
  EXPECT_FALSE(joins([](TcpSpec& s) { s.sequence = 1999; }));
  EXPECT_FALSE(joins([](TcpSpec& s) { s.sequence = 1000; }));
  EXPECT_FALSE(joins([](TcpSpec& s) { s.source_port = 40001; }));
  EXPECT_FALSE(joins([](TcpSpec& s) { s.acknowledgement = 78; }));
  EXPECT_FALSE(joins([](TcpSpec& s) { s.window = 500; }));
  EXPECT_FALSE(joins([](TcpSpec& s) { s.timestamp = 4712; }));
  EXPECT_FALSE(joins([](TcpSpec& s) { s.timestamp = 0; }));
  EXPECT_FALSE(joins([](TcpSpec& s) { s.ttl = 63; }));
  EXPECT_FALSE(joins([](TcpSpec& s) { s.traffic_class = 3; }));  // RFC 3168: CE must not be lost or spread
  EXPECT_FALSE(joins([](TcpSpec& s) { s.traffic_class = 0xb8; }));
  EXPECT_FALSE(joins([](TcpSpec& s) { s.fragment = 0; }));
  EXPECT_FALSE(joins([](TcpSpec& s) { s.id = 9; }));
  for (const std::uint8_t flag : {kSyn, kRst, kUrg, kEce, kCwr}) {
    EXPECT_FALSE(joins([flag](TcpSpec& s) { s.flags = kAck | flag; })) << int{flag};
  }
  EXPECT_FALSE(joins([](TcpSpec& s) { s.flags = 0; }));
  EXPECT_FALSE(joins([](TcpSpec& s) { s.v6 = true; }));
}

TEST(Coalescing, AnIdentificationMayStayWithDontFragment) {
  const auto two = [](std::uint16_t fragment, std::uint16_t id) {
    const auto written = write({make_tcp({.id = 5, .fragment = fragment}),
                                make_tcp({.sequence = 2000, .id = id, .fragment = fragment})});
    return written.size();
  };
  EXPECT_EQ(two(0x4000, 5), 1U);  // RFC 6864 section 4.1: of no meaning there
  EXPECT_EQ(two(0, 5), 2U);
  EXPECT_EQ(two(0, 6), 1U);
}

TEST(Coalescing, AWrongChecksumIsNeverRepaired) {
  for (const bool v6 : {false, true}) {
    for (std::size_t bad = 0; bad < 4; ++bad) {
      for (const std::size_t where : {std::size_t{10}, std::size_t{70}, std::size_t{90}}) {
        if (v6 && where == 10) continue;  // a source address: another flow
        auto packets = stream({1000, 1000, 1000, 1000}, {.v6 = v6});
        packets[bad][where] ^= 0x40;
        const auto written = write(packets);
        ASSERT_GE(written.size(), 2U);
        bool alone = false;
        for (const Written& one : written) alone = alone || one.bytes == packets[bad];
        EXPECT_TRUE(alone) << bad << " " << where;
        EXPECT_EQ(cut(written), packets);
      }
    }
  }
}

TEST(Coalescing, FlowsMixAndEachKeepsItsOrder) {
  const auto a = stream({100, 100, 100});
  const auto b = stream({200, 200, 200}, {.source_port = 41000});
  const auto c = stream({300, 300}, {.v6 = true});
  const Bytes udp = make_packet({});
  const auto written = write({a[0], b[0], c[0], udp, a[1], b[1], a[2], c[1], b[2]});
  ASSERT_EQ(written.size(), 4U);
  EXPECT_EQ(cut(written), (std::vector<Bytes>{a[0], a[1], a[2], b[0], b[1], b[2], c[0], c[1], udp}));
}

TEST(Coalescing, NothingOvertakesAnotherOfItsFlow) {
  const auto a = stream({100, 100, 100, 100});
  const Bytes ack = make_tcp({.sequence = 1200, .payload = 0});
  EXPECT_EQ(counts({a[0], a[1], ack, a[2], a[3]}), (Counts{2, 1, 2}));
  const Bytes fragment = make_packet({.protocol = 6, .flags = 0x2000});
  EXPECT_EQ(counts({a[0], a[1], fragment, a[2], a[3]}), (Counts{2, 1, 2}));
  const Bytes options = make_packet({"2001:db8::1", "2001:db8::2", 60});
  EXPECT_EQ(counts({a[0], a[1], options, a[2], a[3]}), (Counts{2, 1, 2}));
  // A repeated segment comes behind what it repeats.
  EXPECT_EQ(counts({a[0], a[1], a[0], a[1]}), (Counts{2, 2}));
}

// Datagrams of one flow, of these payload sizes; their checksums right.
std::vector<Bytes> datagrams(std::initializer_list<std::size_t> sizes, bool v6 = false) {
  std::vector<Bytes> out;
  std::uint8_t id = 0;
  for (const std::size_t size : sizes) {
    test::PacketSpec spec{.payload = 8 + size};
    if (v6) spec.source = "2001:db8:a::5", spec.destination = "2001:db8:b::9";
    Bytes packet = make_packet(spec);
    if (!v6) {
      packet[5] = static_cast<std::uint8_t>(packet[5] + id);
      packet[11] = static_cast<std::uint8_t>(packet[11] - id);
      ++id;
    }
    const std::size_t udp = v6 ? 40 : 20;
    packet[udp + 4] = static_cast<std::uint8_t>((8 + size) >> 8);
    packet[udp + 5] = static_cast<std::uint8_t>(8 + size);
    VirtioHeader header = make_vector(packet, 0);
    header.gso_type = VirtioHeader::kNone;
    out.push_back(cut(Written{header, packet})[0]);
    EXPECT_TRUE(checksums_right(out.back()));
  }
  return out;
}

TEST(Coalescing, DatagramsAreJoinedWhereTheKernelTakesThem) {
  for (const bool v6 : {false, true}) {
    const auto packets = datagrams({300, 300, 300, 20}, v6);
    const auto written = write(packets);
    ASSERT_EQ(written.size(), 1U);
    EXPECT_EQ(written[0].header.gso_type, VirtioHeader::kUdp);
    EXPECT_EQ(written[0].header.gso_size, 300);
    EXPECT_EQ(written[0].header.csum_start, v6 ? 40 : 20);
    EXPECT_EQ(written[0].header.csum_offset, 6);
    EXPECT_EQ(cut(written), packets);
    Bytes other = written[0].bytes;
    (void)make_vector(other, 300);
    EXPECT_EQ(other, written[0].bytes);
    EXPECT_EQ(write(packets, false).size(), 4U);
  }
  EXPECT_EQ(counts(datagrams({300, 200, 300, 400})), (Counts{2, 1, 1}));
  EXPECT_EQ(counts(datagrams({0, 0, 300})), (Counts{1, 1, 1}));
}

TEST(Coalescing, ADatagramWithoutOrWithAWrongChecksumGoesAlone) {
  for (const bool none : {true, false}) {
    auto packets = datagrams({300, 300, 300});
    packets[1][26] = none ? 0 : static_cast<std::uint8_t>(packets[1][26] ^ 1);
    if (none) packets[1][27] = 0;
    EXPECT_EQ(counts(packets), (Counts{1, 1, 1})) << none;
  }
  auto shorter = datagrams({300, 300});
  shorter[1][25] = static_cast<std::uint8_t>(shorter[1][25] - 1);  // UDP's length is not IP's
  EXPECT_EQ(counts(shorter), (Counts{1, 1}));
}

TEST(Coalescing, TcpAndUdpOfTheSamePortsAreTwoFlows) {
  auto udp = datagrams({300, 300});
  const auto tcp = stream({300, 300}, {.source_port = 1000});
  for (Bytes& packet : udp) packet[22] = tcp[0][22], packet[23] = tcp[0][23];
  EXPECT_EQ(write({tcp[0], udp[0], tcp[1], udp[1]}).size(), 3U);  // the ports made UDP's checksums wrong
}

TEST(Coalescing, AVectorHas65535BytesAtMost) {
  for (const bool v6 : {false, true}) {
    std::vector<Bytes> packets;
    TcpSpec spec{.v6 = v6, .payload = 1400};
    for (int i = 0; i < 60; ++i) {
      packets.push_back(make_tcp(spec));
      spec.sequence += 1400;
      ++spec.id;
    }
    const auto written = write(packets);
    ASSERT_EQ(written.size(), 2U);
    EXPECT_LE(written[0].bytes.size(), 65535U);
    EXPECT_GT(written[0].bytes.size(), 65535U - 1400);
    EXPECT_EQ(cut(written), packets);
  }
}

TEST(Coalescing, MoreFlowsThanItFollows) {
  std::vector<Bytes> packets;
  std::vector<std::vector<Bytes>> flows;
  for (std::uint16_t f = 0; f < 20; ++f) {
    flows.push_back(stream({50, 50}, {.source_port = static_cast<std::uint16_t>(1000 + f)}));
  }
  for (std::size_t i = 0; i < 2; ++i) {
    for (const auto& flow : flows) packets.push_back(flow[i]);
  }
  EXPECT_EQ(write(packets).size(), 40U);
}

TEST(Coalescing, RandomVectorsComeBack) {
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    TcpSpec spec{.v6 = random() % 2 == 0,
                 .sequence = static_cast<std::uint32_t>(random()),
                 .timestamp = static_cast<std::uint32_t>(random() % 2),
                 .id = static_cast<std::uint16_t>(random()),
                 .fragment = static_cast<std::uint16_t>(random() % 2 == 0 ? 0x4000 : 0),
                 .payload = 1 + random() % 20000};
    if (random() % 3 == 0) spec.flags |= kPsh;
    Bytes packet = make_tcp(spec);
    const std::size_t size = 1 + random() % 3000;
    Bytes vector = packet;
    const VirtioHeader header = make_vector(vector, size);
    const auto segments = cut(Written{header, vector});
    for (const Bytes& one : segments) ASSERT_TRUE(checksums_right(one));
    const auto written = write(segments);
    ASSERT_EQ(written.size(), 1U) << size << " of " << spec.payload;
    if (segments.size() == 1) {
      EXPECT_EQ(written[0].bytes, packet);
    } else {
      EXPECT_EQ(written[0].bytes, vector);
      EXPECT_EQ(written[0].header.gso_size, size);
    }
    EXPECT_EQ(cut(written), segments);
  }
}

TEST(Coalescing, GarbagePassesAsItIs) {
  std::mt19937 random(9);
  std::vector<Bytes> packets;
  for (int i = 0; i < 200; ++i) {
    Bytes packet = random() % 2 == 0 ? make_tcp({.payload = 30}) : Bytes(random() % 60);
    for (int flips = 0; flips < 3 && !packet.empty(); ++flips) {
      packet[random() % packet.size()] = static_cast<std::uint8_t>(random());
    }
    packets.push_back(packet);
  }
  const auto written = write(packets);
  std::size_t bytes = 0;
  for (const Written& one : written) bytes += one.bytes.size();
  EXPECT_GT(bytes, 0U);
  EXPECT_TRUE(write({}).empty());
}

}  // namespace
}  // namespace oakgate::soft
