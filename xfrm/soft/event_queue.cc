#include "xfrm/soft/event_queue.h"

#include <sys/eventfd.h>

#include <cerrno>
#include <cstring>

namespace oakgate::soft {

Result<void> EventQueue::open() {
  fd_ = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd_.valid()) return fail(ErrorCode::internal, std::string("eventfd: ") + std::strerror(errno));
  return {};
}

bool EventQueue::push(PlaneEvent event) {
  const bool ike = std::holds_alternative<IkeDatagram>(event);
  {
    const std::lock_guard lock(mutex_);
    if (ike ? ike_ >= kMaxIke : events_.size() - ike_ >= kMaxOther) return false;
    ike_ += ike ? 1 : 0;
    events_.push_back(std::move(event));
  }
  wake();
  return true;
}

void EventQueue::wake() {
  const std::uint64_t one = 1;
  (void)!::write(fd_.get(), &one, sizeof(one));  // EAGAIN: it is readable already
}

std::vector<PlaneEvent> EventQueue::take() {
  std::uint64_t count = 0;
  (void)!::read(fd_.get(), &count, sizeof(count));
  const std::lock_guard lock(mutex_);
  ike_ = 0;
  return std::exchange(events_, {});
}

void deliver(std::span<const PlaneEvent> events, DataPlaneListener& listener) {
  struct Visitor {
    DataPlaneListener& to;
    void operator()(const Acquire& event) const { to.on_acquire(event.reqid); }
    void operator()(const SoftLimit& event) const { to.on_soft_limit(event.id, event.reqid); }
    void operator()(const Expired& event) const {
      to.on_last_counts(event.counts);
      to.on_expired(event.id, event.reqid);
    }
    void operator()(const Moved& event) const { to.on_peer_moved(event.id, event.reqid, event.remote); }
    void operator()(const UnknownSpi& event) const { to.on_unknown_spi(event.id, event.remote); }
    void operator()(const IkeDatagram& event) const {
      to.on_ike_datagram(event.local, event.remote, event.datagram);
    }
    void operator()(const DeviceGone&) const {}  // the plane's own to see to
    void operator()(const Warning& event) const { to.on_warning(event.error); }
  };
  for (const PlaneEvent& event : events) std::visit(Visitor{listener}, event);
}

}  // namespace oakgate::soft
