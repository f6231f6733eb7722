// The worker pool: threads that do what would make the loop wait (Diffie-Hellman, host names), a bounded
// queue before them, and an eventfd that brings what is done back to the loop's thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "ike/base/result.h"
#include "xfrm/netlink/unique_fd.h"

namespace oakgate {

class Task {
 public:
  virtual ~Task() = default;
  virtual void work() = 0;  // on a worker's thread; must not throw
  virtual void done() = 0;  // afterwards, on the loop's thread, from WorkerPool::dispatch()

  // Tasks of one kind, but for 0, take less time together than one by one. Where several wait, a worker takes
  // up to WorkerPool::kTogether of them and calls work_together() of the first, with all of them, itself the
  // first, instead of each one's work(). Kinds are of one class of tasks each.
  [[nodiscard]] virtual unsigned kind() const { return 0; }
  virtual void work_together(std::span<const std::unique_ptr<Task>> tasks) {
    for (const std::unique_ptr<Task>& task : tasks) task->work();
  }
};

class WorkerPool {
 public:
  // What the end of the pool does with a thread that is still at work: wait for it, or leave it behind (a
  // look-up that a dead name server holds up for half a minute). Tasks left behind touch nothing but
  // themselves.
  // Tasks of a pool that is joined are short. So one of its threads that has another task waiting does not
  // wake the loop at once for each that is finished (two changes of threads, where there is one processor):
  // for all of a millisecond together.
  enum class AtEnd { join, leave };

  static constexpr std::size_t kTogether = 8;
  static constexpr std::size_t kLookedAt = 64;  // waiting tasks, for those that go together with the first

  [[nodiscard]] static Result<std::unique_ptr<WorkerPool>> create(std::size_t threads,
                                                                  std::size_t queue_bound, AtEnd at_end);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // ErrorCode::internal if `queue_bound` tasks are waiting already; the task is gone then.
  [[nodiscard]] Result<void> submit(std::unique_ptr<Task> task);

  [[nodiscard]] int fd() const { return state_->wake.get(); }  // readable when dispatch() has something to do
  void dispatch();

  // Tasks that no thread has begun, and how many there may be.
  [[nodiscard]] std::size_t waiting() const;
  [[nodiscard]] std::size_t queue_bound() const { return queue_bound_; }

 private:
  // Shared with the threads because one that is left behind outlives the pool.
  struct State {
    std::mutex mutex;
    std::condition_variable work_waits;
    std::deque<std::unique_ptr<Task>> waiting;
    std::deque<std::unique_ptr<Task>> finished;
    std::chrono::steady_clock::time_point oldest;  // when the first of `finished` came
    bool told = false;                             // the loop knows of `finished`
    bool gathers = false;
    bool ending = false;
    UniqueFd wake;
  };
  WorkerPool(std::shared_ptr<State> state, std::size_t queue_bound, AtEnd at_end)
      : state_(std::move(state)), queue_bound_(queue_bound), at_end_(at_end) {}
  static void tell(State& state);
  static void run(const std::shared_ptr<State>& state);
  // The first that waits, and what goes together with it.
  static std::vector<std::unique_ptr<Task>> take(State& state);

  std::shared_ptr<State> state_;
  std::vector<std::thread> threads_;
  std::size_t queue_bound_;
  AtEnd at_end_;
};

}  // namespace oakgate
