#include "xfrm/soft/packet_batch.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace oakgate::soft {
namespace {

TEST(PacketBatch, EachPacketHasItsRoom) {
  PacketBatch batch;
  constexpr std::array<std::size_t, 6> kSizes = {0, 1, 1400, 65535, 64, 65535};
  for (std::size_t i = 0; !batch.full(); ++i) {
    const std::size_t size = kSizes[i % kSizes.size()];
    const std::span<std::uint8_t> room = batch.next_room();
    ASSERT_EQ(room.size(), PacketBatch::kMaxPacket);
    batch.add(room.first(size));
    // All that may be written around it: sanitizers look on.
    std::fill_n(room.data() - PacketBatch::kHeadroom, PacketBatch::kHeadroom + size + PacketBatch::kTailroom,
                static_cast<std::uint8_t>(i));
  }
  EXPECT_EQ(batch.size(), PacketBatch::kCapacity);
  EXPECT_EQ(batch.free(), 0U);
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const std::span<std::uint8_t> bytes = batch.packets()[i].bytes;
    const std::uint8_t* const begin = bytes.data() - PacketBatch::kHeadroom;
    const std::uint8_t* const end = bytes.data() + bytes.size() + PacketBatch::kTailroom;
    ASSERT_TRUE(std::all_of(begin, end, [i](std::uint8_t byte) { return byte == i; })) << i;
  }
  batch.clear();
  EXPECT_EQ(batch.size(), 0U);
}

TEST(PacketBatch, BytesFromElsewhereTakeNoRoom) {
  PacketBatch batch;
  Bytes elsewhere(100);
  const std::uint8_t* const before = batch.next_room().data();
  batch.add(elsewhere);
  EXPECT_EQ(batch.next_room().data(), before);
  EXPECT_EQ(batch.packets()[0].bytes.data(), elsewhere.data());
}

TEST(PacketBatch, APacketThatBeginsInsideItsRoom) {
  PacketBatch batch;
  const std::span<std::uint8_t> room = batch.next_room();
  batch.add(room.subspan(20, 1000));  // behind an outer header
  EXPECT_GE(batch.next_room().data() - PacketBatch::kHeadroom, room.data() + 1020 + PacketBatch::kTailroom);
}

}  // namespace
}  // namespace oakgate::soft
