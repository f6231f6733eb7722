// SoftDataPlane: the port's functions on the loop thread. What guards (routes, rules, policies:
// xfrm/netlink/guard.h) happens here, what carries happens in the worker.
#include "xfrm/soft/soft_data_plane.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <utility>

#include "xfrm/netlink/unique_fd.h"
#include "xfrm/netlink/xfrm_statistics.h"
#include "xfrm/soft/crypto_choice.h"
#include "xfrm/soft/drop_counts.h"
#include "xfrm/soft/event_queue.h"
#include "xfrm/soft/ipv6_admission.h"
#include "xfrm/soft/outer_socket.h"
#include "xfrm/soft/tun_device.h"
#include "xfrm/soft/worker.h"

namespace oakgate {

namespace {

using namespace soft;

class SoftDataPlane final : public DataPlane {
 public:
  [[nodiscard]] static Result<std::unique_ptr<DataPlane>> make(const SoftConfig& config);
  ~SoftDataPlane() override = default;  // without shut_down() what guards stays behind, as after a kill -9

  [[nodiscard]] std::string_view name() const override { return "software"; }
  [[nodiscard]] int fd() const override { return poll_.get(); }
  void dispatch(DataPlaneListener& listener) override;
  [[nodiscard]] Result<void> exempt_socket(int socket_fd, Family family) override;
  [[nodiscard]] Result<void> attach_encapsulation_socket(int socket_fd, const Endpoint& local,
                                                         bool non_ike_marker) override;
  void detach_encapsulation_socket(int socket_fd) override;
  [[nodiscard]] bool reads_encapsulation_socket() const override { return true; }
  [[nodiscard]] Result<void> protect(const ProtectPolicy& policy) override;
  [[nodiscard]] Result<void> unprotect(Reqid reqid) override;
  [[nodiscard]] Result<void> install(std::span<const SaSpec> sas) override;
  [[nodiscard]] Result<void> remove(std::span<const SaId> sas) override;
  [[nodiscard]] Result<std::vector<SaCounters>> counters(std::span<const SaId> sas) override;
  [[nodiscard]] Result<DropCounts> drops() override;
  void shut_down() override;

 private:
  SoftDataPlane() = default;
  [[nodiscard]] Result<void> open(const SoftConfig& config);
  [[nodiscard]] Result<void> poll(int fd);
  void admit_ipv6_once();
  void warn(Error error) { events_.push(Warning{std::move(error)}); }

  UniqueFd poll_;  // an epoll of what dispatch() looks after
  EventQueue events_;
  std::unique_ptr<Guard> guard_;
  std::optional<DropCounts> plaintext_before_;  // where XFRM's policies drop it
  std::string device_;                          // the TUN's name
  bool ipv6_forwards_ = true;                   // TunDevice::ipv6_forwards
  bool ipv6_admitted_ = false;                  // admit_ipv6 was tried
  bool leftovers_released_ = false;
  std::unique_ptr<Worker> worker_;  // absent after shut_down(); ends first
};

tl::unexpected<Error> shut() {
  return fail(ErrorCode::cancelled, "the software data plane is shut down");
}

Result<std::unique_ptr<DataPlane>> SoftDataPlane::make(const SoftConfig& config) {
  std::unique_ptr<SoftDataPlane> plane(new SoftDataPlane());
  if (auto opened = plane->open(config); !opened) return fail(std::move(opened.error()));
  return std::unique_ptr<DataPlane>(std::move(plane));
}

Result<void> SoftDataPlane::open(const SoftConfig& config) {
  poll_ = UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
  if (auto opened = events_.open(); !opened) return opened;
  auto tun = TunDevice::open(config.device_prefix, config.mtu);
  if (!tun) return fail(std::move(tun.error()));
  auto sockets = OuterSockets::open();
  if (!sockets) return fail(std::move(sockets.error()));
  auto guard = Guard::open(tun->ifindex(), config.inbound_drop);
  if (!guard) return fail(std::move(guard.error()));
  guard_ = std::move(*guard);
  if (guard_->inbound_drop() == InboundDrop::xfrm) {
    if (auto counted = read_xfrm_statistics()) plaintext_before_ = *counted;
  }
  device_ = tun->name();
  ipv6_forwards_ = tun->ipv6_forwards();
  for (const int fd : {events_.fd(), guard_->fd()}) {
    if (auto polled = poll(fd); !polled) return polled;
  }
  auto worker = Worker::start(std::move(*tun), std::move(*sockets), events_);
  if (!worker) return fail(std::move(worker.error()));
  worker_ = std::move(*worker);
  events_.wake();  // the first dispatch() has something to do
  if (guard_->inbound_drop() == InboundDrop::nothing) {
    warn({ErrorCode::data_plane,
          "this kernel has neither XFRM nor nftables: plaintext from outside for a protected subnet is not "
          "dropped",
          "a kernel with CONFIG_XFRM_USER or CONFIG_NF_TABLES_INET",
          "drop it by a firewall rule for each remote subnet",
          {}});
  }
  return {};
}

Result<void> SoftDataPlane::poll(int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  if (::epoll_ctl(poll_.get(), EPOLL_CTL_ADD, fd, &event) == 0) return {};
  return fail(ErrorCode::internal,
              std::string("the data plane cannot watch a descriptor: ") + std::strerror(errno));
}

void SoftDataPlane::dispatch(DataPlaneListener& listener) {
  if (guard_) {
    // By the first turn of the loop the configuration has been applied: what a killed run left and nobody
    // claimed goes.
    if (!std::exchange(leftovers_released_, true)) {
      if (auto released = guard_->release_leftovers(); !released) warn(std::move(released.error()));
    }
    if (auto mended = guard_->dispatch(); !mended) warn(std::move(mended.error()));
  }
  deliver(events_.take(), listener);
}

Result<void> SoftDataPlane::exempt_socket(int socket_fd, Family family) {
  return bypass_socket(socket_fd, family);
}

Result<void> SoftDataPlane::attach_encapsulation_socket(int socket_fd, const Endpoint& local,
                                                        bool non_ike_marker) {
  if (!worker_) return shut();
  UniqueFd copy(::fcntl(socket_fd, F_DUPFD_CLOEXEC, 0));
  if (!copy.valid()) {
    return fail(ErrorCode::data_plane,
                "the encapsulation socket " + local.to_string() + " cannot be used: " + std::strerror(errno));
  }
  return worker_->attach(socket_fd, std::move(copy), local, non_ike_marker);
}

void SoftDataPlane::detach_encapsulation_socket(int socket_fd) {
  if (worker_) worker_->detach(socket_fd);
}

Result<void> SoftDataPlane::protect(const ProtectPolicy& policy) {
  if (!worker_) return shut();
  if (policy.selectors.local.subnet.family() == Family::ipv6) admit_ipv6_once();
  // The worker first: from the moment the routes lead here, somebody knows what to do.
  std::optional<ProtectPolicy> before;
  Result<void> result;
  worker_->run([&](EspEngine& engine, Instant) {
    before = engine.policy(policy.reqid);
    result = engine.protect(policy);
  });
  if (!result) return result;
  result = guard_->protect(policy);
  if (result) return result;
  // As it stood before; what failed once may fail again, and the first error is the one to tell.
  (void)(before ? guard_->protect(*before) : guard_->unprotect(policy.reqid));
  worker_->run([&](EspEngine& engine, Instant) {
    if (before) {
      (void)engine.protect(*before);
    } else {
      engine.unprotect(policy.reqid);
    }
  });
  return result;
}

// What comes from the TUN must pass the policies that block plaintext: for IPv4 the device's settings are
// enough.
void SoftDataPlane::admit_ipv6_once() {
  if (guard_->inbound_drop() != InboundDrop::xfrm || std::exchange(ipv6_admitted_, true)) return;
  auto admitted = admit_ipv6(device_, ipv6_forwards_ ? Admission::to_this_host : Admission::everywhere);
  if (!admitted) warn(std::move(admitted.error()));
}

Result<void> SoftDataPlane::unprotect(Reqid reqid) {
  if (!worker_) return shut();
  auto result = guard_->unprotect(reqid);
  worker_->run([&](EspEngine& engine, Instant) { engine.unprotect(reqid); });
  return result;
}

Result<void> SoftDataPlane::install(std::span<const SaSpec> sas) {
  if (!worker_) return shut();
  Result<void> result;
  worker_->run([&](EspEngine& engine, Instant now) { result = engine.install(sas, now); });
  return result;
}

Result<void> SoftDataPlane::remove(std::span<const SaId> sas) {
  if (!worker_) return shut();
  worker_->run([&](EspEngine& engine, Instant) { engine.remove(sas); });
  return {};
}

Result<std::vector<SaCounters>> SoftDataPlane::counters(std::span<const SaId> sas) {
  if (!worker_) return shut();
  std::vector<SaCounters> result;
  worker_->run([&](EspEngine& engine, Instant) { result = engine.counters(sas); });
  return result;
}

Result<DropCounts> SoftDataPlane::drops() {
  if (!worker_) return shut();
  DropCounts counts;
  worker_->run([&](EspEngine& engine, Instant) { counts = drop_counts(engine.drops()); });
  if (plaintext_before_) {
    if (const auto now = read_xfrm_statistics())
      counts.add(DropReason::plaintext, since(*plaintext_before_, *now).of(DropReason::plaintext));
  }
  return counts;
}

void SoftDataPlane::shut_down() {
  if (!worker_) return;
  // Guards go while the device is still there; it takes its routes along.
  if (auto result = guard_->shut_down(); !result) warn(result.error());
  if (ipv6_admitted_) withdraw_ipv6(device_);
  worker_.reset();
  guard_.reset();
}

}  // namespace

Result<std::unique_ptr<DataPlane>> make_soft_data_plane(const SoftConfig& config) {
  const char* const engine = std::getenv(soft::kCryptoEngineVariable);
  if (auto known = soft::use_crypto_engine(engine == nullptr ? "auto" : engine); !known) {
    return fail(std::move(known.error()));
  }
  return SoftDataPlane::make(config);
}

}  // namespace oakgate
