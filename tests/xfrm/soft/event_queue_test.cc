#include "xfrm/soft/event_queue.h"

#include <gtest/gtest.h>

namespace oakgate::soft {
namespace {

TEST(EventQueue, ForIkeThereIsSoMuchRoomAndItIsNotThatOfTheOthers) {
  EventQueue queue;
  ASSERT_TRUE(queue.open());
  for (std::size_t i = 0; i < EventQueue::kMaxIke; ++i) ASSERT_TRUE(queue.push(IkeDatagram{}));
  EXPECT_FALSE(queue.push(IkeDatagram{}));
  EXPECT_TRUE(queue.push(Acquire{}));
  EXPECT_TRUE(queue.push(Warning{}));
  const std::vector<PlaneEvent> events = queue.take();
  ASSERT_EQ(events.size(), EventQueue::kMaxIke + 2);
  EXPECT_TRUE(std::holds_alternative<Warning>(events.back()));
  // What has been taken leaves its room.
  EXPECT_TRUE(queue.push(IkeDatagram{}));
  EXPECT_EQ(queue.take().size(), 1U);
  EXPECT_TRUE(queue.take().empty());
}

}  // namespace
}  // namespace oakgate::soft
