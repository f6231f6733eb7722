// The thread that owns SAs, TUN and outer sockets, and moves packets between them in batches.
//
//   TUN -> read a batch, vectors cut into segments -> EspEngine::outbound -> send, in vectors again
//   sockets -> receive a batch, vectors cut -> EspEngine::inbound -> TUN, segments joined
//
// The loop thread talks to it by run(), which waits for the answer, and hears from it through the EventQueue.
// One is enough today; several share nothing but that queue: each would have its own engine, its queue of a
// multi-queue TUN and its sockets, with SAs dealt out by SPI.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "xfrm/soft/esp_engine.h"
#include "xfrm/soft/event_queue.h"
#include "xfrm/soft/outer_socket.h"
#include "xfrm/soft/tun_device.h"

namespace oakgate::soft {

class Worker {
 public:
  // `events` outlives the worker. The thread stays in the calling thread's network namespace.
  [[nodiscard]] static Result<std::unique_ptr<Worker>> start(TunDevice tun, OuterSockets sockets,
                                                             EventQueue& events);
  ~Worker();

  // Runs `command` on the worker's thread, between two batches, and waits until it is done. Packets that
  // waited for an SA leave right after it.
  using Command = std::function<void(EspEngine& engine, Instant now)>;
  void run(const Command& command);

  // OuterSockets::attach and detach, on the worker's thread.
  [[nodiscard]] Result<void> attach(int key, UniqueFd socket, const Endpoint& local, bool non_ike_marker);
  void detach(int key);

 private:
  // Unpredictable bytes for IVs, drawn in bulk.
  class RandomPool {
   public:
    [[nodiscard]] bool fill(std::span<std::uint8_t> out);

   private:
    std::array<std::uint8_t, 4096> pool_{};
    std::size_t used_ = sizeof(pool_);
  };
  struct Pending {
    const Command* command;
    bool done = false;
  };

  Worker(TunDevice tun, OuterSockets sockets, EventQueue& events);
  [[nodiscard]] Result<void> open();
  [[nodiscard]] Result<void> watch(int fd);
  void loop();
  void run_commands();
  void from_tun();
  void from_socket(int fd);
  void flush(Instant now);  // does what output_ says
  void send_sealed(Instant now);
  void warn(Instant now, const std::string& kind, Error error);
  [[nodiscard]] int timeout(Instant now) const;

  TunDevice tun_;
  OuterSockets sockets_;
  EventQueue& events_;
  RandomPool random_;
  EspEngine engine_;
  PacketBatch batch_;
  EngineOutput output_;
  TokenBucket moved_rate_{50, 100};
  TokenBucket unknown_rate_{2, 10};
  std::map<std::string, Instant> warned_;  // when each kind of warning was last given

  UniqueFd epoll_;
  UniqueFd wake_;
  std::mutex mutex_;
  std::condition_variable answered_;
  std::deque<Pending*> commands_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace oakgate::soft
