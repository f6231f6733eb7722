// What other workers hand to a worker: packets that they read and whose SAs are its own, in a ring for each
// of them (record_ring.h), so in the order in which they were read. The worker is woken only when it sleeps.
//
// A packet is copied twice on this way, into the ring and out of it. That is for the packets alone that
// arrive at another worker than theirs: the kernel leads a flow to the TUN queue that its other direction was
// written to, and the outer sockets are dealt out (worker_group.h).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "ike/base/bytes.h"
#include "ike/base/result.h"
#include "xfrm/netlink/unique_fd.h"
#include "xfrm/soft/packet_batch.h"
#include "xfrm/soft/record_ring.h"
#include "xfrm/soft/virtio_header.h"

namespace oakgate::soft {

// One packet on its way: what is known of it, and its bytes.
struct HandedPacket {
  bool from_lan = false;  // came from the TUN, as `virtio` says; otherwise from an outer socket
  VirtioHeader virtio{};
  BatchPacket packet;  // `bytes` is what is handed over, with the `ip_header` bytes before it
};

class WorkerInbox {
 public:
  // Bytes of the ring between two of `workers`: of all together no more than 128 MB, touched when used.
  [[nodiscard]] static std::size_t ring_bytes(unsigned workers);

  WorkerInbox(unsigned self, unsigned workers);
  [[nodiscard]] Result<void> open();

  // Readable after wake().
  [[nodiscard]] int fd() const { return fd_.get(); }
  void wake();    // any thread
  void answer();  // of the worker: fd() is not readable any more

  // Of worker `from`. False: its ring is full, and the packet lost.
  [[nodiscard]] bool put(unsigned from, const HandedPacket& handed);
  // What was put is there to be taken.
  void deliver(unsigned from);

  // Of the worker. Before it sleeps: whether it may, because nothing waits. After that, awake().
  [[nodiscard]] bool may_sleep();
  void awake() { asleep_.store(false, std::memory_order_relaxed); }
  // The next packet of worker `from`; false: there is none. Its bytes are valid until release().
  [[nodiscard]] bool take(unsigned from, HandedPacket& handed);
  void release(unsigned from);
  [[nodiscard]] unsigned workers() const { return static_cast<unsigned>(rings_.size()); }
  [[nodiscard]] bool may_send(unsigned from) const { return rings_[from] != nullptr; }

 private:
  UniqueFd fd_;
  std::vector<std::unique_ptr<RecordRing>> rings_;  // by sender; none from itself
  alignas(64) std::atomic<bool> asleep_{false};
};

}  // namespace oakgate::soft
