#include "daemon/workers.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <functional>
#include <future>
#include <thread>

namespace oakgate {
namespace {

class Function final : public Task {
 public:
  Function(std::function<void()> work, std::function<void()> done)
      : work_(std::move(work)), done_(std::move(done)) {}
  void work() override { work_(); }
  void done() override { done_(); }

 private:
  std::function<void()> work_;
  std::function<void()> done_;
};

std::unique_ptr<Task> task(
    std::function<void()> work, std::function<void()> done = [] {}) {
  return std::make_unique<Function>(std::move(work), std::move(done));
}

bool readable(int fd, int milliseconds) {
  pollfd one{fd, POLLIN, 0};
  return ::poll(&one, 1, milliseconds) == 1;
}

TEST(WorkerPool, WorksElsewhereAndReportsHere) {
  const auto pool = WorkerPool::create(2, 10, WorkerPool::AtEnd::join);
  ASSERT_TRUE(pool);
  const auto here = std::this_thread::get_id();
  std::thread::id worked;
  std::thread::id reported;
  ASSERT_TRUE((*pool)->submit(
      task([&] { worked = std::this_thread::get_id(); }, [&] { reported = std::this_thread::get_id(); })));
  ASSERT_TRUE(readable((*pool)->fd(), 5000));
  (*pool)->dispatch();
  EXPECT_NE(worked, here);
  EXPECT_EQ(reported, here);
  EXPECT_FALSE(readable((*pool)->fd(), 0)) << "nothing is left to dispatch";
}

TEST(WorkerPool, ReportsEachTaskOnce) {
  const auto pool = WorkerPool::create(3, 1000, WorkerPool::AtEnd::join);
  ASSERT_TRUE(pool);
  int reported = 0;
  for (int i = 0; i < 500; ++i) ASSERT_TRUE((*pool)->submit(task([] {}, [&] { ++reported; })));
  while (reported < 500 && readable((*pool)->fd(), 5000)) (*pool)->dispatch();
  EXPECT_EQ(reported, 500);
}

// One thread, two tasks: the first is reported though the second takes its time, and both may come together.
TEST(WorkerPool, WhatIsFinishedDoesNotWaitForTheRest) {
  for (const auto at_end : {WorkerPool::AtEnd::join, WorkerPool::AtEnd::leave}) {
    const auto pool = WorkerPool::create(2, 10, at_end);
    ASSERT_TRUE(pool);
    std::promise<void> go_on;
    const std::shared_future<void> gate = go_on.get_future().share();
    bool quick = false;
    bool slow = false;
    ASSERT_TRUE((*pool)->submit(task([gate] { gate.wait(); }, [&] { slow = true; })));
    ASSERT_TRUE((*pool)->submit(task([] {}, [&] { quick = true; })));
    while (!quick && readable((*pool)->fd(), 5000)) (*pool)->dispatch();
    EXPECT_TRUE(quick);
    EXPECT_FALSE(slow);
    go_on.set_value();
    while (!slow && readable((*pool)->fd(), 5000)) (*pool)->dispatch();
    EXPECT_TRUE(slow);
  }
}

// Notes with how many others it was done.
class OfKind final : public Task {
 public:
  OfKind(unsigned kind, std::vector<std::size_t>& sizes) : kind_(kind), sizes_(sizes) {}
  void work() override { sizes_.push_back(1); }
  void done() override {}
  [[nodiscard]] unsigned kind() const override { return kind_; }
  void work_together(std::span<const std::unique_ptr<Task>> tasks) override {
    EXPECT_EQ(tasks.front().get(), this);
    for (const auto& task : tasks) EXPECT_EQ(task->kind(), kind_);
    sizes_.push_back(tasks.size());
  }

 private:
  unsigned kind_;
  std::vector<std::size_t>& sizes_;
};

// What is done together of tasks of these kinds, which wait for one thread in this order.
std::vector<std::size_t> together(const std::vector<unsigned>& kinds) {
  std::vector<std::size_t> sizes;
  const auto pool = WorkerPool::create(1, 1000, WorkerPool::AtEnd::join);
  EXPECT_TRUE(pool);
  std::promise<void> busy;
  std::promise<void> go_on;
  const std::shared_future<void> gate = go_on.get_future().share();
  bool last = false;
  EXPECT_TRUE((*pool)->submit(task([&, gate] {
    busy.set_value();
    gate.wait();
  })));
  busy.get_future().wait();
  for (const unsigned kind : kinds) EXPECT_TRUE((*pool)->submit(std::make_unique<OfKind>(kind, sizes)));
  EXPECT_TRUE((*pool)->submit(task([] {}, [&] { last = true; })));
  go_on.set_value();
  while (!last && readable((*pool)->fd(), 5000)) (*pool)->dispatch();
  EXPECT_TRUE(last);
  return sizes;
}

TEST(WorkerPool, DoesTasksOfAKindTogether) {
  using Sizes = std::vector<std::size_t>;
  EXPECT_EQ(together({0, 0, 0}), (Sizes{1, 1, 1})) << "0 is no kind";
  EXPECT_EQ(together({1, 2, 1, 0, 2, 1}), (Sizes{3, 2, 1}));
  EXPECT_EQ(together(std::vector<unsigned>(19, 7)), (Sizes{8, 8, 3}));
  std::vector<unsigned> far(WorkerPool::kLookedAt + 1, 0);
  far.front() = 5;
  far.push_back(5);
  Sizes alone(WorkerPool::kLookedAt + 2, 1);
  EXPECT_EQ(together(far), alone) << "not as far as that is looked";
}

TEST(WorkerPool, RefusesMoreThanItsQueueHolds) {
  const auto pool = WorkerPool::create(1, 2, WorkerPool::AtEnd::join);
  ASSERT_TRUE(pool);
  std::promise<void> busy;
  std::promise<void> go_on;
  const std::shared_future<void> gate = go_on.get_future().share();
  ASSERT_TRUE((*pool)->submit(task([&, gate] {
    busy.set_value();
    gate.wait();
  })));
  busy.get_future().wait();
  EXPECT_TRUE((*pool)->submit(task([] {})));
  EXPECT_TRUE((*pool)->submit(task([] {})));
  const Result<void> refused = (*pool)->submit(task([] {}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::internal);
  go_on.set_value();
}

TEST(WorkerPool, EndsWithoutTheTasksThatWait) {
  std::atomic<int> worked = 0;
  std::promise<void> busy;
  std::promise<void> go_on;
  const std::shared_future<void> gate = go_on.get_future().share();
  {
    const auto pool = WorkerPool::create(1, 10, WorkerPool::AtEnd::join);
    ASSERT_TRUE(pool);
    ASSERT_TRUE((*pool)->submit(task([&, gate] {
      busy.set_value();
      gate.wait();
      ++worked;
    })));
    busy.get_future().wait();
    for (int i = 0; i < 5; ++i) ASSERT_TRUE((*pool)->submit(task([&] { ++worked; })));
    go_on.set_value();
  }
  EXPECT_GE(worked, 1);
}

// What a stuck name server must not do: hold up the daemon's end.
TEST(WorkerPool, LeavesAStuckTaskBehind) {
  const auto gate = std::make_shared<std::promise<void>>();
  const auto ended = std::make_shared<std::promise<void>>();
  std::promise<void> busy;
  {
    const auto pool = WorkerPool::create(1, 10, WorkerPool::AtEnd::leave);
    ASSERT_TRUE(pool);
    ASSERT_TRUE((*pool)->submit(task([&busy, gate, ended] {
      busy.set_value();
      gate->get_future().wait();
      ended->set_value();
    })));
    busy.get_future().wait();
  }
  gate->set_value();
  ended->get_future().wait();
}

}  // namespace
}  // namespace oakgate
