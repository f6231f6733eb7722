#include "ike/base/bytes.h"

#include <gtest/gtest.h>

#include "ike/base/secret.h"

namespace oakgate {
namespace {

TEST(Hex, RoundTripsAndRefusesWhatIsNotHex) {
  EXPECT_EQ(to_hex(Bytes{0x00, 0xab, 0xff}), "00abff");
  EXPECT_EQ(from_hex("00 aB\nff"), (Bytes{0x00, 0xab, 0xff}));
  EXPECT_EQ(from_hex(""), Bytes{});
  EXPECT_FALSE(from_hex("abc"));
  EXPECT_FALSE(from_hex("0g"));
}

TEST(ByteReader, ReadsBigEndianAndStopsAtTheEnd) {
  const Bytes data{1, 2, 3, 4, 5, 6, 7};
  ByteReader reader(data);
  std::uint16_t u16 = 0;
  std::uint32_t u32 = 0;
  ASSERT_TRUE(reader.u16(u16));
  EXPECT_EQ(u16, 0x0102);
  ASSERT_TRUE(reader.u32(u32));
  EXPECT_EQ(u32, 0x03040506U);
  EXPECT_FALSE(reader.u16(u16));
  EXPECT_EQ(u16, 0x0102) << "a failed read must not touch its output";
  EXPECT_EQ(reader.remaining(), 1U) << "nor the position";
  EXPECT_FALSE(reader.skip(2));
  EXPECT_TRUE(reader.skip(1));
  EXPECT_TRUE(reader.empty());
}

TEST(ByteReader, RefusesLengthsThatWouldWrap) {
  const Bytes data{1, 2};
  ByteReader reader(data);
  ByteView view;
  EXPECT_FALSE(reader.view(SIZE_MAX, view));
}

TEST(ByteWriter, WritesBigEndianAndPatches) {
  ByteWriter writer;
  writer.u8(1);
  writer.u16(0x0203);
  writer.u32(0x04050607);
  writer.u64(0x08090a0b0c0d0e0f);
  writer.patch_u16(1, 0xffee);
  writer.patch_u32(3, 0xaabbccdd);
  EXPECT_EQ(to_hex(writer.view()), "01ffeeaabbccdd08090a0b0c0d0e0f");
}

TEST(ConstantTime, ComparesLengthAndContent) {
  EXPECT_TRUE(equal_constant_time(Bytes{1, 2}, Bytes{1, 2}));
  EXPECT_FALSE(equal_constant_time(Bytes{1, 2}, Bytes{1, 3}));
  EXPECT_FALSE(equal_constant_time(Bytes{1, 2}, Bytes{1, 2, 3}));
}

TEST(SecretBytes, MovesLeaveNothingBehind) {
  SecretBytes first(Bytes{1, 2, 3});
  SecretBytes second(std::move(first));
  EXPECT_TRUE(first.empty());  // NOLINT(bugprone-use-after-move): that is what is tested
  EXPECT_EQ(second.size(), 3U);
  EXPECT_TRUE(second.clone() == second);
  EXPECT_EQ(to_hex(second.slice(1, 2).view()), "0203");
  static_assert(!std::is_copy_constructible_v<SecretBytes>);
}

TEST(SecretBytes, WipeOverwrites) {
  Bytes data{1, 2, 3};
  wipe(data.data(), data.size());
  EXPECT_EQ(data, (Bytes{0, 0, 0}));
}

}  // namespace
}  // namespace oakgate
