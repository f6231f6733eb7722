#include "daemon/hooks/queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace oakgate::hooks {
namespace {

using testing::ElementsAre;

HookRun run(const std::string& peer, HookEvent event, std::uint32_t reqid = 1) {
  HookRun one;
  one.file = "/etc/oakgate/updown";
  one.event = event;
  one.facts.peer = peer;
  one.facts.tunnel = "lan";
  one.facts.reqid = Reqid{reqid};
  return one;
}

class Queue : public testing::Test {
 protected:
  HookQueue make(QueueBounds bounds = {}) {
    return HookQueue(bounds, [this](std::uint64_t id, HookRun one) {
      started.push_back(one.facts.peer + " " + std::string(to_string(one.event)));
      ids.push_back(id);
    });
  }
  std::vector<std::string> started;
  std::vector<std::uint64_t> ids;
};

TEST_F(Queue, OfOneTunnelEachWaitsForTheOneBefore) {
  HookQueue queue = make();
  ASSERT_TRUE(queue.add(run("a", HookEvent::up)));
  queue.start_ready();
  ASSERT_TRUE(queue.add(run("a", HookEvent::down)));
  ASSERT_TRUE(queue.add(run("a", HookEvent::up)));
  queue.start_ready();
  EXPECT_THAT(started, ElementsAre("a up"));
  EXPECT_EQ(queue.waiting(), 2U);
  queue.done(ids.at(0));
  queue.start_ready();
  EXPECT_THAT(started, ElementsAre("a up", "a down"));
  queue.done(ids.at(1));
  queue.start_ready();
  EXPECT_THAT(started, ElementsAre("a up", "a down", "a up"));
  EXPECT_FALSE(queue.idle());
  queue.done(ids.at(2));
  EXPECT_TRUE(queue.idle());
}

TEST_F(Queue, OfSeveralTunnelsOnlySoManyRunAtOnce) {
  HookQueue queue = make({.at_once = 2, .waiting = 10});
  for (const char* peer : {"a", "b", "c"}) ASSERT_TRUE(queue.add(run(peer, HookEvent::up)));
  queue.start_ready();
  EXPECT_THAT(started, ElementsAre("a up", "b up"));
  EXPECT_EQ(queue.running(), 2U);
  queue.done(ids.at(1));
  queue.start_ready();
  EXPECT_THAT(started, ElementsAre("a up", "b up", "c up"));
}

TEST_F(Queue, AnUpThatWasNotBegunIsTakenBack) {
  HookQueue queue = make();
  ASSERT_TRUE(queue.add(run("a", HookEvent::up)));
  ASSERT_TRUE(queue.add(run("a", HookEvent::down)));
  EXPECT_TRUE(queue.idle());
  queue.start_ready();
  EXPECT_THAT(started, ElementsAre());
}

TEST_F(Queue, ATunnelThatFlapsHasTwoThatWait) {
  HookQueue queue = make();
  ASSERT_TRUE(queue.add(run("a", HookEvent::up)));
  queue.start_ready();
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(queue.add(run("a", HookEvent::down)));
    ASSERT_TRUE(queue.add(run("a", HookEvent::up)));
  }
  EXPECT_EQ(queue.waiting(), 2U);
  queue.done(ids.at(0));
  queue.start_ready();
  queue.done(ids.at(1));
  queue.start_ready();
  EXPECT_THAT(started, ElementsAre("a up", "a down", "a up"));
}

TEST_F(Queue, OtherPairsOfTheTunnelAreNotTakenBack) {
  HookQueue queue = make();
  ASSERT_TRUE(queue.add(run("a", HookEvent::up, 1)));
  ASSERT_TRUE(queue.add(run("a", HookEvent::up, 2)));
  ASSERT_TRUE(queue.add(run("a", HookEvent::down, 1)));
  EXPECT_EQ(queue.waiting(), 1U);
  queue.start_ready();
  EXPECT_THAT(started, ElementsAre("a up"));
}

TEST_F(Queue, WhatWasAdoptedIsToldItsEnd) {
  HookQueue queue = make();
  ASSERT_TRUE(queue.add(run("a", HookEvent::adopted)));
  ASSERT_TRUE(queue.add(run("a", HookEvent::down)));
  queue.start_ready();
  EXPECT_THAT(started, ElementsAre("a down"));
  EXPECT_EQ(queue.waiting(), 0U);
}

TEST_F(Queue, OnlySoMuchWaits) {
  HookQueue queue = make({.at_once = 1, .waiting = 2});
  ASSERT_TRUE(queue.add(run("a", HookEvent::up)));
  ASSERT_TRUE(queue.add(run("b", HookEvent::up)));
  EXPECT_FALSE(queue.add(run("c", HookEvent::up)));
  queue.start_ready();
  EXPECT_TRUE(queue.add(run("c", HookEvent::up)));
  EXPECT_FALSE(queue.add(run("d", HookEvent::up)));
  EXPECT_EQ(queue.waiting(), 2U);
}

TEST_F(Queue, OneThatIsDoneAtOnceLetsTheNextBegin) {
  HookQueue* itself = nullptr;
  HookQueue queue({.at_once = 1, .waiting = 10}, [&](std::uint64_t id, HookRun one) {
    started.push_back(one.facts.peer);
    itself->done(id);
  });
  itself = &queue;
  for (const char* peer : {"a", "b", "c"}) ASSERT_TRUE(queue.add(run(peer, HookEvent::up)));
  queue.start_ready();
  EXPECT_THAT(started, ElementsAre("a", "b", "c"));
  EXPECT_TRUE(queue.idle());
}

}  // namespace
}  // namespace oakgate::hooks
