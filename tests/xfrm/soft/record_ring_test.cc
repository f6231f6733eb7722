#include "xfrm/soft/record_ring.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

namespace oakgate::soft {
namespace {

bool put(RecordRing& ring, std::size_t size, std::uint8_t value) {
  const std::span<std::uint8_t> room = ring.reserve(size);
  if (room.size() != size) return false;
  std::fill(room.begin(), room.end(), value);
  return true;
}

TEST(RecordRing, GivesWhatWasPutInOrder) {
  RecordRing ring(4096);
  EXPECT_FALSE(ring.waits());
  EXPECT_TRUE(ring.next().empty());
  ASSERT_TRUE(put(ring, 1, 1));
  ASSERT_TRUE(put(ring, 100, 2));
  EXPECT_FALSE(ring.waits()) << "nothing is shown before publish()";
  ring.publish();
  EXPECT_TRUE(ring.waits());
  const auto first = ring.next();
  const auto second = ring.next();
  ASSERT_EQ(first.size(), 1U);
  ASSERT_EQ(second.size(), 100U);
  EXPECT_EQ(first[0], 1);
  EXPECT_TRUE(std::all_of(second.begin(), second.end(), [](std::uint8_t byte) { return byte == 2; }));
  EXPECT_TRUE(ring.next().empty());
}

TEST(RecordRing, IsFullUntilReleased) {
  RecordRing ring(1024);
  std::size_t fits = 0;
  while (put(ring, 120, 7)) ++fits;
  EXPECT_EQ(fits, 8U) << "of two lines each";
  ring.publish();
  ASSERT_FALSE(ring.next().empty());
  EXPECT_FALSE(put(ring, 120, 8)) << "what was taken is still being read";
  ring.release();
  EXPECT_TRUE(put(ring, 120, 8));
  EXPECT_FALSE(put(ring, 1, 9));
}

TEST(RecordRing, RefusesWhatNeverFits) {
  RecordRing ring(1024);
  EXPECT_TRUE(ring.reserve(1024).empty());
  EXPECT_TRUE(ring.reserve(SIZE_MAX - 70).empty());
  EXPECT_TRUE(put(ring, 1016, 1));
}

// Who is kept up with needs no more than the first quarter of a megabyte, whatever the ring has room for.
TEST(RecordRing, StaysInItsFirstLinesWhileItIsKeptUpWith) {
  RecordRing ring(1 << 20);
  const std::uint8_t* begin = nullptr;
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(put(ring, 60'000, 1));
    ring.publish();
    const auto record = ring.next();
    ASSERT_EQ(record.size(), 60'000U);
    if (begin == nullptr) begin = record.data();
    EXPECT_LT(record.data() - begin, 300'000) << i;
    ring.release();
  }
  // And of all of it when it is not.
  std::size_t waiting = 0;
  while (put(ring, 60'000, 2)) {
    ring.publish();
    ++waiting;
  }
  EXPECT_GE(waiting, 16U);
  for (; waiting > 0; --waiting) EXPECT_EQ(ring.next().size(), 60'000U);
  EXPECT_TRUE(ring.next().empty());
}

// Wherever the last one ended, half of the ring fits into an empty one, in one piece.
TEST(RecordRing, TakesHalfOfItselfFromAnyPosition) {
  for (std::size_t begin = 0; begin < 16; ++begin) {
    RecordRing ring(1024);
    for (std::size_t i = 0; i < begin; ++i) {
      ASSERT_TRUE(put(ring, 1, 0));
      ring.publish();
      ASSERT_FALSE(ring.next().empty());
      ring.release();
    }
    ASSERT_TRUE(put(ring, 500, 5)) << begin;
    ring.publish();
    const auto record = ring.next();
    ASSERT_EQ(record.size(), 500U) << begin;
    EXPECT_EQ(record[499], 5);
  }
}

// Two threads, sizes at random: each record arrives once, whole and in its place. The small ring is full most
// of the time, the large one begins anew again and again.
class RecordRingOf : public testing::TestWithParam<std::size_t> {};
TEST_P(RecordRingOf, CarriesBetweenThreads) {
  constexpr std::uint32_t kRecords = 10'000;
  RecordRing ring(GetParam());
  std::thread sender([&ring] {
    std::minstd_rand random(1);
    for (std::uint32_t number = 0; number < kRecords;) {
      const std::size_t size = sizeof(number) + random() % 3000;
      std::span<std::uint8_t> room = ring.reserve(size);
      while (room.empty()) {
        ring.publish();
        std::this_thread::yield();
        room = ring.reserve(size);
      }
      std::fill(room.begin(), room.end(), static_cast<std::uint8_t>(number));
      std::memcpy(room.data(), &number, sizeof(number));
      ++number;
      if (random() % 4 == 0) ring.publish();
    }
    ring.publish();
  });
  std::minstd_rand random(1);
  std::uint32_t expected = 0;
  std::size_t wrong = 0;
  while (expected < kRecords) {
    const auto record = ring.next();
    if (record.empty()) {
      ring.release();
      std::this_thread::yield();
      continue;
    }
    std::uint32_t number = 0;
    std::memcpy(&number, record.data(), sizeof(number));
    const std::size_t size = sizeof(number) + random() % 3000;
    static_cast<void>(random());
    const bool whole = std::all_of(record.begin() + sizeof(number), record.end(), [&](std::uint8_t byte) {
      return byte == static_cast<std::uint8_t>(expected);
    });
    if (number != expected || record.size() != size || !whole) ++wrong;
    ++expected;
    if (expected % 3 == 0) ring.release();
  }
  sender.join();
  EXPECT_EQ(wrong, 0U);
  EXPECT_FALSE(ring.waits());
}
INSTANTIATE_TEST_SUITE_P(Sizes, RecordRingOf, testing::Values(16384, 1 << 20));

}  // namespace
}  // namespace oakgate::soft
