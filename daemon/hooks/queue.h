// In what order programs are run for tunnels: those of one tunnel one after the other, so that `up` is over
// before `down` begins; those of several beside each other, but only so many; the rest waits, but only so
// much. It neither runs anything nor reads a clock.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "daemon/hooks/environment.h"

namespace oakgate::hooks {

struct HookRun {
  std::string file;  // as configured
  HookEvent event{};
  HookFacts facts;
  std::string reason;  // of a `down`
};

struct QueueBounds {
  std::size_t at_once = 8;
  std::size_t waiting = 16384;
};

class HookQueue {
 public:
  // Begins a run; done() follows, now or later.
  using Start = std::function<void(std::uint64_t id, HookRun run)>;
  HookQueue(QueueBounds bounds, Start start) : bounds_(bounds), start_(std::move(start)) {}

  // An `up` that nobody has begun is taken back by the `down` of the same selector pair, and neither is run;
  // so no pair has more than two that wait. False: too much waits, `run` is lost.
  [[nodiscard]] bool add(HookRun run);
  // Starts what may be started.
  void start_ready();
  void done(std::uint64_t id);

  [[nodiscard]] std::size_t waiting() const { return waiting_; }
  [[nodiscard]] std::size_t running() const { return running_.size(); }
  [[nodiscard]] bool idle() const { return waiting_ == 0 && running_.empty(); }

 private:
  using Name = std::pair<std::string, std::string>;  // peer, tunnel
  struct Lane {
    std::deque<HookRun> waiting;
    bool running = false;
  };
  void forget_if_empty(const Name& name);

  QueueBounds bounds_;
  Start start_;
  std::map<Name, Lane> lanes_;  // those in use
  std::deque<Name> ready_;      // something waits and nothing runs; a name may be stale, or there twice
  std::map<std::uint64_t, Name> running_;
  std::uint64_t next_ = 0;
  std::size_t waiting_ = 0;
};

}  // namespace oakgate::hooks
