// SoftDataPlane: the port's functions on the loop thread. What guards (routes, rules, policies:
// xfrm/netlink/guard.h) happens here, what carries happens in the worker.
#include "xfrm/soft/soft_data_plane.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <utility>

#include "xfrm/netlink/unique_fd.h"
#include "xfrm/netlink/within_memory.h"
#include "xfrm/netlink/xfrm_statistics.h"
#include "xfrm/soft/crypto_choice.h"
#include "xfrm/soft/event_queue.h"
#include "xfrm/soft/ipv6_admission.h"
#include "xfrm/soft/processors.h"
#include "xfrm/soft/tun_device.h"
#include "xfrm/soft/worker_group.h"

namespace oakgate {

namespace {

using namespace soft;

constexpr unsigned kMostByDefault = 8;
constexpr time_t kDeviceRetrySeconds = 1;

class SoftDataPlane final : public DataPlane {
 public:
  [[nodiscard]] static Result<std::unique_ptr<DataPlane>> make(const SoftConfig& config);
  ~SoftDataPlane() override = default;  // without shut_down() what guards stays behind, as after a kill -9

  [[nodiscard]] std::string_view name() const override { return "software"; }
  [[nodiscard]] unsigned workers() const override { return workers_ ? workers_->size() : 0; }
  [[nodiscard]] int fd() const override { return poll_.get(); }
  void dispatch(DataPlaneListener& listener) override;
  [[nodiscard]] Result<void> exempt_socket(int socket_fd, Family family) override;
  [[nodiscard]] Result<void> attach_encapsulation_socket(int socket_fd, const Endpoint& local,
                                                         bool non_ike_marker) override;
  void detach_encapsulation_socket(int socket_fd) override;
  [[nodiscard]] bool reads_encapsulation_socket() const override { return true; }
  [[nodiscard]] Result<void> protect(const ProtectPolicy& wanted) override;
  [[nodiscard]] Result<void> unprotect(Reqid reqid) override;
  [[nodiscard]] Result<void> install(std::span<const SaSpec> sas) override;
  [[nodiscard]] Result<void> remove(std::span<const SaId> sas) override;
  [[nodiscard]] Result<void> move(std::span<const SaMove> sas) override;
  [[nodiscard]] Result<std::vector<SaCounters>> counters(std::span<const SaId> sas) override;
  [[nodiscard]] Result<DropCounts> drops() override;
  void shut_down() override;

 private:
  SoftDataPlane() = default;
  [[nodiscard]] Result<void> open(const SoftConfig& config);
  [[nodiscard]] Result<void> poll(int fd);
  [[nodiscard]] Result<void> guard(const ProtectPolicy& wanted);
  void admit_ipv6_once();
  void look_after_workers(std::span<const PlaneEvent> events);
  void make_device_anew();
  void warn(Error error) { events_.push(Warning{std::move(error)}); }

  UniqueFd poll_;  // an epoll of what dispatch() looks after
  EventQueue events_;
  std::unique_ptr<Guard> guard_;
  std::optional<DropCounts> plaintext_before_;  // where XFRM's policies drop it
  TunDevice::Lost device_;                      // the TUN, should it get lost
  std::uint16_t mtu_ = 0;
  unsigned made_anew_ = 0;  // how often it did
  bool retrying_ = false;
  UniqueFd retry_;              // a timer, for when it cannot be made anew yet
  bool ipv6_forwards_ = true;   // TunDevice::ipv6_forwards
  bool ipv6_admitted_ = false;  // admit_ipv6 was tried
  bool leftovers_released_ = false;
  std::unique_ptr<WorkerGroup> workers_;  // absent after shut_down(); ends first
};

// As many as the processors that this process may use. Two instead of one, both gateways and their hosts on
// the same two processors, carried 1.25 times as much in two tunnels at once, and one TCP stream as before
// (0.97; by processor time 1.01): they cost nothing where they do not help.
unsigned default_workers() {
  return usable_processors(kMostByDefault);
}

// All queues of the device, the first one given.
Result<std::vector<TunDevice>> queues_of(TunDevice first, unsigned count) {
  std::vector<TunDevice> queues;
  queues.push_back(std::move(first));
  while (queues.size() < count) {
    auto queue = queues.front().add_queue();
    if (!queue) return fail(std::move(queue.error()));
    queues.push_back(std::move(*queue));
  }
  return queues;
}

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
  mtu_ = config.mtu;
  const unsigned workers = config.workers.value_or(default_workers());
  auto tun = TunDevice::open(config.device_prefix, config.mtu, workers > 1);
  if (!tun) return fail(std::move(tun.error()));
  device_ = {tun->name(), tun->ifindex()};
  ipv6_forwards_ = tun->ipv6_forwards();
  auto queues = queues_of(std::move(*tun), workers);
  if (!queues) return fail(std::move(queues.error()));
  auto guard = Guard::open(device_.ifindex, config.inbound_drop);
  if (!guard) return fail(std::move(guard.error()));
  guard_ = std::move(*guard);
  if (guard_->inbound_drop() == InboundDrop::xfrm) {
    if (auto counted = read_xfrm_statistics()) plaintext_before_ = *counted;
  }
  retry_ = UniqueFd(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  for (const int fd : {events_.fd(), guard_->fd(), retry_.get()}) {
    if (auto polled = poll(fd); !polled) return polled;
  }
  auto group = WorkerGroup::start(std::move(*queues), events_);
  if (!group) return fail(std::move(group.error()));
  workers_ = std::move(*group);
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
  const std::vector<PlaneEvent> events = events_.take();
  if (workers_) look_after_workers(events);
  deliver(events, listener);
}

void SoftDataPlane::look_after_workers(std::span<const PlaneEvent> events) {
  std::vector<SaId> expired;
  std::uint64_t expirations = 0;
  bool lost = ::read(retry_.get(), &expirations, sizeof(expirations)) > 0;
  for (const PlaneEvent& event : events) {
    if (const auto* one = std::get_if<Expired>(&event)) expired.push_back(one->id);
    const auto* gone = std::get_if<DeviceGone>(&event);
    lost = lost || (gone != nullptr && gone->number == workers_->device_number());
  }
  workers_->forget(expired);
  if (lost) make_device_anew();
}

// Meanwhile the guard's unreachable routes stand: nothing goes out in plain. Its routes to the device come
// back when it hears of the new one.
void SoftDataPlane::make_device_anew() {
  const auto again = [this]() -> Result<void> {
    auto tun = TunDevice::open_again(device_, mtu_, workers_->size() > 1);
    if (!tun) return fail(std::move(tun.error()));
    auto queues = queues_of(std::move(*tun), workers_->size());
    if (!queues) return fail(std::move(queues.error()));
    return workers_->use_device(std::move(*queues));
  };
  const std::string what = "the TUN device " + device_.name + " was deleted, and ";
  const auto made = again();
  if (made) {
    retrying_ = false;
    const std::string times = ++made_anew_ == 1 ? "" : ", for the " + std::to_string(made_anew_) + ". time";
    warn({ErrorCode::data_plane,
          what + "has been made anew" + times,
          "a device that nobody removes while oakgated runs",
          "see who removes it",
          {}});
    return;
  }
  if (!std::exchange(retrying_, true)) {
    const Error& error = made.error();
    warn({error.code, what + "cannot be made anew yet: " + error.text, error.expected, error.remedy, {}});
  }
  const itimerspec soon{{}, {kDeviceRetrySeconds, 0}};
  ::timerfd_settime(retry_.get(), 0, &soon, nullptr);
}

Result<void> SoftDataPlane::exempt_socket(int socket_fd, Family family) {
  return bypass_socket(socket_fd, family);
}

Result<void> SoftDataPlane::attach_encapsulation_socket(int socket_fd, const Endpoint& local,
                                                        bool non_ike_marker) {
  if (!workers_) return shut();
  return workers_->attach(socket_fd, socket_fd, local, non_ike_marker);
}

void SoftDataPlane::detach_encapsulation_socket(int socket_fd) {
  if (workers_) workers_->detach(socket_fd);
}

Result<void> SoftDataPlane::protect(const ProtectPolicy& wanted) {
  if (!workers_) return shut();
  return within_memory([&] { return guard(wanted); });
}

Result<void> SoftDataPlane::guard(const ProtectPolicy& wanted) {
  // Marks and interfaces are not seen here: whatever the selectors hold is guarded. SAs with them are
  // refused.
  ProtectPolicy policy = wanted;
  policy.ties = {};
  if (policy.selectors.local.subnet.family() == Family::ipv6) admit_ipv6_once();
  // The workers first: from the moment the routes lead here, somebody knows what to do.
  const std::optional<ProtectPolicy> before = workers_->policy(policy.reqid);
  Result<void> result = workers_->protect(policy);
  if (!result) return result;
  result = guard_->protect(policy);
  // The guard goes on trying, unless the selectors are another pair's.
  if (result || guard_->promised(policy)) return result;
  if (before) {
    (void)workers_->protect(*before);
  } else {
    workers_->unprotect(policy.reqid);
  }
  return result;
}

// What comes from the TUN must pass the policies that block plaintext: for IPv4 the device's settings are
// enough.
void SoftDataPlane::admit_ipv6_once() {
  if (guard_->inbound_drop() != InboundDrop::xfrm || std::exchange(ipv6_admitted_, true)) return;
  auto admitted = admit_ipv6(device_.name, ipv6_forwards_ ? Admission::to_this_host : Admission::everywhere);
  if (!admitted) warn(std::move(admitted.error()));
}

Result<void> SoftDataPlane::unprotect(Reqid reqid) {
  if (!workers_) return shut();
  return within_memory([&] {
    auto result = guard_->unprotect(reqid);
    workers_->unprotect(reqid);
    return result;
  });
}

Result<void> SoftDataPlane::install(std::span<const SaSpec> sas) {
  if (!workers_) return shut();
  return within_memory([&] { return workers_->install(sas); });
}

Result<void> SoftDataPlane::remove(std::span<const SaId> sas) {
  if (!workers_) return shut();
  return within_memory([&]() -> Result<void> {
    workers_->remove(sas);
    return {};
  });
}

Result<void> SoftDataPlane::move(std::span<const SaMove> sas) {
  if (!workers_) return shut();
  return within_memory([&] { return workers_->move(sas); });
}

Result<std::vector<SaCounters>> SoftDataPlane::counters(std::span<const SaId> sas) {
  if (!workers_) return shut();
  return within_memory([&]() -> Result<std::vector<SaCounters>> { return workers_->counters(sas); });
}

Result<DropCounts> SoftDataPlane::drops() {
  if (!workers_) return shut();
  DropCounts counts = workers_->drops();
  if (plaintext_before_) {
    if (const auto now = read_xfrm_statistics())
      counts.add(DropReason::plaintext, since(*plaintext_before_, *now).of(DropReason::plaintext));
  }
  return counts;
}

void SoftDataPlane::shut_down() {
  if (!workers_) return;
  // Guards go while the device is still there; it takes its routes along.
  if (auto result = guard_->shut_down(); !result) warn(result.error());
  if (ipv6_admitted_) withdraw_ipv6(device_.name);
  workers_.reset();
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
