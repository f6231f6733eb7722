// What the worker has to say to the loop thread: a bounded queue behind a descriptor. IKE datagrams come from
// anybody, so they have a bound of their own and can never crowd out the rest, which is rate-limited or
// limited by the SAs.
#pragma once

#include <cstdint>
#include <mutex>
#include <span>
#include <variant>
#include <vector>

#include "ike/ports/data_plane.h"
#include "xfrm/netlink/unique_fd.h"
#include "xfrm/soft/packet_batch.h"

namespace oakgate::soft {

struct IkeDatagram {
  Endpoint local;
  Endpoint remote;
  Bytes datagram;
};
struct Warning {
  Error error;
};
// The TUN device, the so manieth of the workers', is there no more.
struct DeviceGone {
  unsigned number = 0;
  int error = 0;  // the errno that said so
};
using PlaneEvent =
    std::variant<Acquire, SoftLimit, Expired, Moved, UnknownSpi, IkeDatagram, Warning, DeviceGone>;

class EventQueue {
 public:
  static constexpr std::size_t kMaxIke = 256;
  static constexpr std::size_t kMaxOther = 65536;

  [[nodiscard]] Result<void> open();
  [[nodiscard]] int fd() const { return fd_.get(); }  // readable while something waits

  // Makes fd() readable though nothing waits.
  void wake();
  // False: the queue is full, the event is lost. Any thread.
  bool push(PlaneEvent event);
  // Everything that waits, in order.
  [[nodiscard]] std::vector<PlaneEvent> take();

 private:
  UniqueFd fd_;
  std::mutex mutex_;
  std::vector<PlaneEvent> events_;
  std::size_t ike_ = 0;
};

// Hands the events to the listener.
void deliver(std::span<const PlaneEvent> events, DataPlaneListener& listener);

}  // namespace oakgate::soft
