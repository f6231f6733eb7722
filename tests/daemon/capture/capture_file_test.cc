// Capture files of every kind that is read, whole, cut at each byte, and written by ourselves.
#include "daemon/capture/capture_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/capture/pcapng_writer.h"
#include "tests/support/files.h"

namespace oakgate::capture {
namespace {

struct Read {
  std::vector<Frame> frames;
  std::vector<Bytes> bytes;
  FileEnd end;
};
Read read(ByteView file) {
  Read out;
  const auto end = read_capture(file, [&](const Frame& frame) {
    out.frames.push_back(frame);
    out.bytes.push_back(to_bytes(frame.bytes));
  });
  EXPECT_TRUE(end);
  if (end) out.end = *end;
  return out;
}

// A pcap of one packet, its numbers in either order.
Bytes pcap(bool little, std::uint32_t magic, std::uint32_t captured, ByteView packet) {
  ByteWriter out;
  const auto u32 = [&](std::uint32_t value) { out.u32(little ? __builtin_bswap32(value) : value); };
  u32(magic);
  out.zeros(16);
  u32(101);
  u32(1'700'000'000);
  u32(250'000);
  u32(captured);
  u32(captured + 3);
  out.bytes(packet);
  return std::move(out).take();
}

TEST(CaptureFile, ReadsPcapInEitherByteOrderAndResolution) {
  const Bytes packet{0x45, 0, 0, 4};
  for (const bool little : {false, true}) {
    for (const bool nano : {false, true}) {
      const Read one = read(pcap(little, nano ? 0xa1b23c4d : 0xa1b2c3d4, 4, packet));
      ASSERT_EQ(one.frames.size(), 1U);
      EXPECT_EQ(one.bytes[0], packet);
      EXPECT_EQ(one.frames[0].number, 1U);
      EXPECT_EQ(one.frames[0].link, LinkType::raw);
      EXPECT_EQ(one.frames[0].length, 7U);
      EXPECT_EQ(one.frames[0].nanoseconds,
                1'700'000'000'000'000'000ULL + (nano ? 250'000ULL : 250'000'000ULL));
      EXPECT_EQ(one.end.flaw, "");
    }
  }
}

TEST(CaptureFile, ReadsWhatItWrites) {
  PcapngWriter writer;
  Bytes file = PcapngWriter::begin("oakgate test");
  for (unsigned i = 0; i < 5; ++i) {
    CapturedPacket packet{1'700'000'000'123'456'789ULL + i,
                          7 + i % 2,
                          i % 2 == 0 ? "wan0" : "ppp1",
                          i % 2 == 0,
                          100 + i,
                          Bytes(i + 1, static_cast<std::uint8_t>(i))};
    const Bytes record = writer.packet(packet);
    file.insert(file.end(), record.begin(), record.end());
  }
  const Read all = read(file);
  EXPECT_EQ(all.end.flaw, "");
  ASSERT_EQ(all.frames.size(), 5U);
  for (unsigned i = 0; i < 5; ++i) {
    EXPECT_EQ(all.bytes[i], Bytes(i + 1, static_cast<std::uint8_t>(i)));
    EXPECT_EQ(all.frames[i].nanoseconds, 1'700'000'000'123'456'789ULL + i);
    EXPECT_EQ(all.frames[i].link, LinkType::raw);
    EXPECT_EQ(all.frames[i].length, 100 + i);
  }
}

TEST(CaptureFile, AFileCutAnywhereGivesWhatComesBefore) {
  for (const char* name : {"ikev1-certs.pcap", "ikev1-psk-main-mode-complete.pcapng"}) {
    const Bytes file = oakgate::test::read_file(std::string("tests/vectors/captures/") + name);
    const std::size_t whole = read(file).frames.size();
    std::size_t most = 0;
    for (std::size_t size = 4; size < file.size(); ++size) {
      const Bytes cut(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size));
      const Read some = read(cut);
      EXPECT_LE(some.frames.size(), whole);
      EXPECT_GE(some.frames.size(), most);
      most = some.frames.size();
    }
    EXPECT_GE(most + 1, whole) << name;
  }
}

TEST(CaptureFile, SaysWhatIsWrongWhere) {
  const Bytes packet{1, 2, 3, 4};
  EXPECT_THAT(read(pcap(true, 0xa1b2c3d4, 5, packet)).end.flaw,
              testing::HasSubstr("ends within a packet at byte 24"));
  EXPECT_THAT(read(pcap(true, 0xa1b2c3d4, 0x7fffffff, packet)).end.flaw,
              testing::HasSubstr("a packet of 2147483647 bytes at byte 24"));
  Bytes block = PcapngWriter::begin("x");
  const std::size_t first = block.size();
  for (const std::uint8_t byte : {0, 0, 0, 6, 0, 0, 0, 8}) block.push_back(byte);
  EXPECT_THAT(read(block).end.flaw,
              testing::HasSubstr("a block of 8 bytes at byte " + std::to_string(first)));
}

TEST(CaptureFile, RefusesWhatIsNone) {
  const auto nothing = [](const Frame&) { FAIL(); };
  for (const std::string_view text : {"", "abc", "# a text", "<?xml version"}) {
    const auto end = read_capture(as_bytes(text), nothing);
    ASSERT_FALSE(end);
    EXPECT_EQ(end.error().code, ErrorCode::malformed);
    EXPECT_FALSE(end.error().remedy.empty());
  }
}

}  // namespace
}  // namespace oakgate::capture
