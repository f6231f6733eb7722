// `updown:`: follows the core's events and runs the configured program when a selector pair of a tunnel gets
// its first SA pair and when it has lost its last; a renewal is neither. What came of it is an event again.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "conf/config.h"
#include "daemon/hooks/child.h"
#include "daemon/hooks/queue.h"
#include "daemon/log.h"
#include "ike/events.h"

namespace oakgate::hooks {

inline constexpr Milliseconds kPatience{30000};  // for one run

class Hooks {
 public:
  struct Parts {
    Loop& loop;
    const Log& log;
    uid_t effective_uid = 0;
    std::string data_plane;
    std::function<std::optional<ike::SaPairSnapshot>(const std::string& peer, Spi in)> sa_pair;
    std::function<std::string(const std::string& peer)> identity;
    std::function<void(const ike::Event&)> raise;
    std::function<void()> idle;  // nothing runs or waits any more; not from within a call
    QueueBounds bounds{};
    Milliseconds patience = kPatience;
  };
  explicit Hooks(Parts parts);

  // A pair that is up keeps the program that was told so for its `down`. One that has just been given a
  // program is `up` at its next renewal.
  void configure(const conf::Config& config, std::string gateway);
  void on_event(const ike::Event& event);
  [[nodiscard]] bool idle() const { return queue_.idle(); }
  [[nodiscard]] std::size_t running() const { return queue_.running(); }
  [[nodiscard]] std::size_t waiting() const { return queue_.waiting(); }
  [[nodiscard]] std::size_t waiting_bound() const { return parts_.bounds.waiting; }
  [[nodiscard]] std::uint64_t lost() const { return lost_; }  // for want of room

 private:
  struct Tunnel {
    std::string file;
    KernelTies ties;
  };
  struct Up {
    std::string file;
    HookFacts facts;
    std::set<Spi> inbound;
  };
  void on_up(const ike::Event& event, Spi in);
  void on_down(const ike::Event& event, Spi in);
  void add(HookRun run);
  void start(std::uint64_t id, HookRun run);
  void ended(std::uint64_t id, const Result<void>& result);
  void raise(const HookRun& run, const Result<void>& result, std::optional<Milliseconds> took);
  void on_turn();

  struct Running {
    HookRun run;
    Instant since;
    std::unique_ptr<Child> child;
  };
  Parts parts_;
  std::string gateway_;
  std::map<std::pair<std::string, std::string>, Tunnel> tunnels_;  // those with a program
  std::map<Reqid, Up> up_;
  std::map<std::pair<std::string, Spi>, Reqid> inbound_;  // by peer
  HookQueue queue_;
  std::map<std::uint64_t, Running> running_;
  std::vector<std::unique_ptr<Child>> ended_;  // to be destroyed outside their own callbacks
  std::uint64_t lost_ = 0;
  Timer turn_;
};

}  // namespace oakgate::hooks
