#include "ike/timers.h"

#include <gtest/gtest.h>

namespace oakgate::ike {
namespace {

Instant at(int ms) {
  return Instant(Milliseconds(ms));
}

TEST(TimerQueue, GivesOutTheEarliestThatIsDue) {
  TimerQueue timers;
  TimerId late = timers.arm(at(20), {TimerKind::phase1_expired, 2, 0});
  TimerId early = timers.arm(at(10), {TimerKind::retransmit, 1, 7});
  EXPECT_EQ(timers.next(), at(10));
  EXPECT_EQ(timers.when(late), at(20));
  EXPECT_FALSE(timers.take_due(at(9)));
  const auto due = timers.take_due(at(10));
  ASSERT_TRUE(due);
  EXPECT_EQ(due->kind, TimerKind::retransmit);
  EXPECT_EQ(due->detail, 7U);
  EXPECT_FALSE(timers.when(early));
  EXPECT_FALSE(timers.take_due(at(19)));
  EXPECT_EQ(timers.size(), 1U);
}

TEST(TimerQueue, CancelForgetsAndIsHarmlessTwice) {
  TimerQueue timers;
  TimerId id = timers.arm(at(10), {TimerKind::keepalive_due, 1, 0});
  TimerId copy = id;
  timers.cancel(id);
  EXPECT_EQ(id, TimerId{});
  timers.cancel(copy);
  timers.cancel(id);
  EXPECT_FALSE(timers.next());
}

TEST(TimerQueue, TwoAtOneMomentBothFireInOrderOfArming) {
  TimerQueue timers;
  static_cast<void>(timers.arm(at(5), {TimerKind::retransmit, 1, 0}));
  static_cast<void>(timers.arm(at(5), {TimerKind::retransmit, 2, 0}));
  EXPECT_EQ(timers.take_due(at(5))->subject, 1U);
  EXPECT_EQ(timers.take_due(at(5))->subject, 2U);
}

}  // namespace
}  // namespace oakgate::ike
