#include "xfrm/soft/replay_window.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace oakgate::soft {
namespace {

TEST(ReplayWindow, TakesEachNumberOnce) {
  ReplayWindow window(64);
  EXPECT_FALSE(window.acceptable(0));
  for (const std::uint32_t sequence : {1U, 2U, 5U, 3U, 4U, 63U}) {
    EXPECT_TRUE(window.acceptable(sequence)) << sequence;
    window.accept(sequence);
    EXPECT_FALSE(window.acceptable(sequence)) << sequence;
  }
  EXPECT_EQ(window.top(), 63U);
}

TEST(ReplayWindow, TheLeftEdgeIsExact) {
  for (const std::uint32_t size : {32U, 33U, 63U, 64U, 65U, 100U, 1024U, 4096U}) {
    ReplayWindow window(size);
    window.accept(10'000);
    EXPECT_TRUE(window.acceptable(10'000 - size + 1)) << size;
    EXPECT_FALSE(window.acceptable(10'000 - size)) << size;
  }
}

TEST(ReplayWindow, CheckingMovesNothing) {
  ReplayWindow window(32);
  window.accept(10);
  EXPECT_TRUE(window.acceptable(4'000'000'000U));
  EXPECT_EQ(window.top(), 10U);
  EXPECT_TRUE(window.acceptable(9));
}

TEST(ReplayWindow, TheLastSequenceNumberIsTakenAndNothingWraps) {
  ReplayWindow window(64);
  window.accept(0xffff'fffe);
  window.accept(0xffff'ffff);
  EXPECT_FALSE(window.acceptable(0xffff'ffff));
  EXPECT_FALSE(window.acceptable(0));
  EXPECT_FALSE(window.acceptable(1));
  EXPECT_TRUE(window.acceptable(0xffff'fff0));
}

// Against a plain set of everything accepted.
TEST(ReplayWindow, AgreesWithTheDefinition) {
  std::mt19937 random(1);
  for (const std::uint32_t size : {32U, 64U, 97U, 512U, 4096U}) {
    ReplayWindow window(size);
    std::set<std::uint32_t> seen;
    std::uint32_t top = 0;
    for (int i = 0; i < 20'000; ++i) {
      const std::uint32_t back = random() % (2 * size);
      const std::uint32_t sequence =
          random() % 50 == 0 ? top + random() % (4 * size) : top + 3 - std::min(back, top + 3);
      const bool expected =
          sequence != 0 && !seen.contains(sequence) && (sequence > top || top - sequence < size);
      ASSERT_EQ(window.acceptable(sequence), expected)
          << "size " << size << " sequence " << sequence << " top " << top;
      if (!expected) continue;
      window.accept(sequence);
      seen.insert(sequence);
      top = std::max(top, sequence);
    }
  }
}

}  // namespace
}  // namespace oakgate::soft
