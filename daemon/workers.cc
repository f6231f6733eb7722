#include "daemon/workers.h"

#include <fmt/format.h>
#include <pthread.h>
#include <sys/eventfd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <iterator>
#include <system_error>
#include <utility>

namespace oakgate {

namespace {

constexpr std::chrono::milliseconds kGather{1};

void wake_up(int fd) {
  const std::uint64_t one = 1;
  // Fails only when the counter is about to overflow: then the loop is awake already.
  [[maybe_unused]] const ssize_t written = ::write(fd, &one, sizeof one);
}

}  // namespace

Result<std::unique_ptr<WorkerPool>> WorkerPool::create(std::size_t threads, std::size_t queue_bound,
                                                       AtEnd at_end) {
  auto state = std::make_shared<State>();
  state->wake = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!state->wake.valid()) {
    return fail(ErrorCode::internal, fmt::format("no event descriptor: {}", std::strerror(errno)));
  }
  state->gathers = at_end == AtEnd::join;
  std::unique_ptr<WorkerPool> pool(new WorkerPool(state, queue_bound, at_end));
  // Signals belong to the loop's thread.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  Result<void> started;
  try {
    for (std::size_t i = 0; i < threads; ++i) {
      pool->threads_.emplace_back([state] { run(state); });
    }
  } catch (const std::system_error& error) {
    started = fail(ErrorCode::internal, fmt::format("no worker thread: {}", error.what()));
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (!started) return fail(started.error());
  return pool;
}

WorkerPool::~WorkerPool() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->ending = true;
    state_->waiting.clear();
  }
  state_->work_waits.notify_all();
  for (std::thread& thread : threads_) {
    if (at_end_ == AtEnd::join) {
      thread.join();
    } else {
      thread.detach();
    }
  }
}

void WorkerPool::tell(State& state) {
  if (state.finished.empty() || std::exchange(state.told, true)) return;
  wake_up(state.wake.get());
}

std::vector<std::unique_ptr<Task>> WorkerPool::take(State& state) {
  std::deque<std::unique_ptr<Task>>& waiting = state.waiting;
  std::vector<std::unique_ptr<Task>> taken;
  taken.push_back(std::move(waiting.front()));
  waiting.pop_front();
  const unsigned kind = taken.front()->kind();
  if (kind == 0) return taken;
  auto next = waiting.begin();
  for (std::size_t seen = 0; seen < kLookedAt && next != waiting.end() && taken.size() < kTogether; ++seen) {
    if ((*next)->kind() == kind) {
      taken.push_back(std::move(*next));
      next = waiting.erase(next);
    } else {
      ++next;
    }
  }
  return taken;
}

void WorkerPool::run(const std::shared_ptr<State>& state) {
  std::unique_lock lock(state->mutex);
  while (true) {
    const bool more = state->gathers && !state->waiting.empty();
    if (!more || std::chrono::steady_clock::now() - state->oldest >= kGather) tell(*state);
    state->work_waits.wait(lock, [&] { return state->ending || !state->waiting.empty(); });
    if (state->ending) return;
    std::vector<std::unique_ptr<Task>> tasks = take(*state);
    lock.unlock();
    if (tasks.size() == 1) {
      tasks.front()->work();
    } else {
      tasks.front()->work_together(tasks);
    }
    lock.lock();
    if (state->ending) return;
    if (state->finished.empty()) state->oldest = std::chrono::steady_clock::now();
    std::move(tasks.begin(), tasks.end(), std::back_inserter(state->finished));
  }
}

Result<void> WorkerPool::submit(std::unique_ptr<Task> task) {
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->waiting.size() >= queue_bound_) {
      return fail(ErrorCode::internal, fmt::format("{} computations are waiting already", queue_bound_),
                  "fewer negotiations at once", "look for a flood of negotiations in `oakgate monitor`");
    }
    state_->waiting.push_back(std::move(task));
  }
  state_->work_waits.notify_one();
  return {};
}

std::size_t WorkerPool::waiting() const {
  const std::lock_guard lock(state_->mutex);
  return state_->waiting.size();
}

void WorkerPool::dispatch() {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = ::read(state_->wake.get(), &count, sizeof count);
  std::deque<std::unique_ptr<Task>> finished;
  {
    const std::lock_guard lock(state_->mutex);
    finished.swap(state_->finished);
    state_->told = false;
  }
  for (const std::unique_ptr<Task>& task : finished) task->done();
}

}  // namespace oakgate
