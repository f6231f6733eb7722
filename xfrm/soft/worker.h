// A thread that owns SAs, a queue of the TUN and outer sockets, and moves packets between them in batches.
//
//   TUN -> read a batch, vectors cut into segments -> EspEngine::outbound -> send, in vectors again
//   sockets -> receive a batch, vectors cut -> EspEngine::inbound -> TUN, segments joined
//
// The loop thread talks to it by run(), which waits for the answer, and hears from it through the EventQueue.
// Where there are several (worker_group.h) each asks of what it has read whose it is (steering.h), hands over
// what is another's (worker_inbox.h), and goes on with its own and with what was handed to it. A worker that
// is alone asks nobody.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>

#include "xfrm/soft/esp_engine.h"
#include "xfrm/soft/event_queue.h"
#include "xfrm/soft/outer_socket.h"
#include "xfrm/soft/steering.h"
#include "xfrm/soft/tun_device.h"
#include "xfrm/soft/worker_inbox.h"

namespace oakgate::soft {

// The steady clock's time.
[[nodiscard]] Instant worker_now();

// Which of the workers it is, and all their inboxes, open; these outlive every worker.
struct WorkerPlace {
  unsigned self = 0;
  std::span<const std::unique_ptr<WorkerInbox>> inboxes;
};

class Worker {
 public:
  // Of a command: what it may work on.
  struct Parts {
    EspEngine& engine;
    Steering& steering;  // of several workers
    Instant now;
  };

  // `events` outlives the worker. The thread stays in the calling thread's network namespace.
  [[nodiscard]] static Result<std::unique_ptr<Worker>> start(TunDevice tun, OuterSockets sockets,
                                                             EventQueue& events, WorkerPlace place);
  ~Worker();

  // Runs `command` on the worker's thread, between two batches, and waits until it is done. Packets that
  // waited for an SA leave right after it. Throws std::bad_alloc if the command did.
  using Command = std::function<void(const Parts& parts)>;
  void run(const Command& command);
  // The two halves of run(), so that several workers can be at it at once. `pending` stays until await() is
  // over; neither takes memory.
  struct Pending {
    const Command* command = nullptr;
    Pending* next = nullptr;
    bool done = false;
    bool no_memory = false;  // the command threw std::bad_alloc
  };
  void post(Pending& pending);
  void await(const Pending& pending);

  // OuterSockets::attach and detach, on the worker's thread.
  [[nodiscard]] Result<void> attach(int key, UniqueFd socket, const Endpoint& local, bool non_ike_marker,
                                    bool receives);
  void detach(int key);

  // Another device instead of one that is gone; the workers' devices are numbered.
  [[nodiscard]] Result<void> use_device(TunDevice tun, unsigned number);

  // What has been dropped, by the engine and before it.
  [[nodiscard]] DropCounts drops();

 private:
  [[nodiscard]] bool alone() const { return place_.inboxes.size() == 1; }
  // Unpredictable bytes for IVs, drawn in bulk.
  class RandomPool {
   public:
    [[nodiscard]] bool fill(std::span<std::uint8_t> out);

   private:
    std::array<std::uint8_t, 4096> pool_{};
    std::size_t used_ = sizeof(pool_);
  };
  Worker(TunDevice tun, OuterSockets sockets, EventQueue& events, WorkerPlace place);
  [[nodiscard]] Result<void> open();
  [[nodiscard]] Result<void> watch(int fd);
  void loop();
  [[nodiscard]] bool turn();  // of the loop; false: the last one
  void give_up_batch();       // there was no memory for something
  void run_commands();
  void from_tun();
  void from_socket(int fd);
  // What has come into the batch goes through the engine and on its way.
  void carry(bool from_lan, Instant now);

  // Of several workers (worker_sharing.cc). Takes what is another's out of the batch.
  void hand_over_arrived();
  [[nodiscard]] bool hand_over_leaving(const VirtioHeader& header, std::span<std::uint8_t> packet);
  [[nodiscard]] bool hand_over(unsigned owner, const HandedPacket& handed);
  void deliver_handed();
  void from_others();
  void from_other(unsigned sender);
  void put_handed(const HandedPacket& handed);

  void flush(Instant now);  // does what output_ says
  void send_sealed(Instant now);
  void warn(Instant now, const std::string& kind, Error error);
  [[nodiscard]] int timeout(Instant now) const;

  TunDevice tun_;
  unsigned device_number_ = 0;
  std::uint64_t malformed_before_ = 0;  // of earlier devices
  OuterSockets sockets_;
  EventQueue& events_;
  RandomPool random_;
  EspEngine engine_;
  PacketBatch batch_;
  EngineOutput output_;
  TokenBucket moved_rate_{50, 100};
  TokenBucket unknown_rate_{2, 10};
  std::map<std::string, Instant> warned_;  // when each kind of warning was last given

  WorkerPlace place_;
  WorkerInbox& inbox_;
  Steering steering_;
  TunDevice::Elsewhere elsewhere_;
  std::uint64_t handed_to_ = 0;   // a bit for each worker that was handed something in this batch
  std::uint64_t queue_full_ = 0;  // packets
  std::uint64_t no_memory_ = 0;   // likewise

  UniqueFd epoll_;
  std::mutex mutex_;
  std::condition_variable answered_;
  Pending* commands_ = nullptr;  // the first of them
  Pending** commands_end_ = &commands_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace oakgate::soft
