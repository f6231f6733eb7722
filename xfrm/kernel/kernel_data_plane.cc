#include "xfrm/kernel/kernel_data_plane.h"

#include <fmt/format.h>
#include <linux/udp.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <map>
#include <set>
#include <utility>

#include "xfrm/kernel/kernel_sas.h"
#include "xfrm/kernel/xfrm_events.h"
#include "xfrm/netlink/guard.h"
#include "xfrm/netlink/state_probe.h"
#include "xfrm/netlink/unique_fd.h"
#include "xfrm/netlink/within_memory.h"
#include "xfrm/netlink/xfrm_statistics.h"

namespace oakgate {

namespace {

constexpr auto kAcquirePause = std::chrono::seconds(1);  // at most one acquire a second a reqid

constexpr std::string_view kNonIkeMarkerExpected =
    "a kernel that knows the non-IKE marker (UDP_ENCAP_ESPINUDP_NON_IKE): Linux 6.9 or older";
constexpr std::string_view kNonIkeMarkerRemedy =
    "configure `data_plane: software`, or `nat_traversal: draft-02` or later if the peer knows it";

class KernelDataPlane final : public DataPlane {
 public:
  KernelDataPlane(KernelSas sas, XfrmEvents events, std::unique_ptr<Guard> guard, UniqueFd start,
                  UniqueFd poll)
      : sas_(std::move(sas)),
        events_(std::move(events)),
        guard_(std::move(guard)),
        start_(std::move(start)),
        poll_(std::move(poll)),
        drops_before_(read_xfrm_statistics().value_or(DropCounts{})) {}

  [[nodiscard]] std::string_view name() const override { return "kernel"; }
  [[nodiscard]] int fd() const override { return poll_.get(); }
  void dispatch(DataPlaneListener& listener) override;

  [[nodiscard]] Result<void> exempt_socket(int socket_fd, Family family) override {
    return bypass_socket(socket_fd, family);
  }
  [[nodiscard]] Result<void> attach_encapsulation_socket(int socket_fd, const Endpoint& local,
                                                         bool non_ike_marker) override;
  void detach_encapsulation_socket(int socket_fd) override;
  [[nodiscard]] bool reads_encapsulation_socket() const override { return false; }

  [[nodiscard]] Result<void> protect(const ProtectPolicy& policy) override {
    return within_memory([&] { return guard(policy); });
  }
  [[nodiscard]] Result<void> unprotect(Reqid reqid) override {
    return within_memory([&] { return unguard(reqid); });
  }
  [[nodiscard]] Result<void> install(std::span<const SaSpec> sas) override {
    return within_memory([&] { return add_states(sas); });
  }
  [[nodiscard]] Result<void> remove(std::span<const SaId> sas) override {
    return within_memory([&] { return sas_.remove(sas); });
  }
  [[nodiscard]] Result<void> move(std::span<const SaMove> sas) override {
    return within_memory([&] { return sas_.move(sas); });
  }
  [[nodiscard]] Result<std::vector<SaCounters>> counters(std::span<const SaId> sas) override {
    return within_memory([&] { return sas_.counters(sas); });
  }
  [[nodiscard]] Result<DropCounts> drops() override;
  void shut_down() override;

 private:
  [[nodiscard]] Result<void> guard(const ProtectPolicy& policy);
  [[nodiscard]] Result<void> unguard(Reqid reqid);
  [[nodiscard]] Result<void> add_states(std::span<const SaSpec> sas);
  // The acquires among `events` that are wanted and due, each reqid once.
  [[nodiscard]] std::vector<Reqid> due_acquires(const XfrmEventBatch& events);

  KernelSas sas_;
  XfrmEvents events_;
  std::unique_ptr<Guard> guard_;
  UniqueFd start_;         // readable until the first dispatch(), and while there are warnings
  UniqueFd poll_;          // epoll over events_, guard_, start_ and the second look at the SAs
  bool in_doubt_ = false;  // that the last second look failed has been told
  bool leftovers_released_ = false;
  std::set<int> non_ike_sockets_;  // that carry ESP as drafts 00 and 01 of NAT traversal have it

  DropCounts drops_before_;    // this plane began
  std::set<Reqid> acquiring_;  // protected with `acquire`
  std::map<Reqid, std::chrono::steady_clock::time_point> last_acquire_;
};

void KernelDataPlane::dispatch(DataPlaneListener& listener) {
  std::vector<Error> warnings = sas_.take_warnings();
  const auto note = [&](Result<void> result) {
    if (!result) warnings.push_back(std::move(result.error()));
  };
  eventfd_t count = 0;
  eventfd_read(start_.get(), &count);
  if (!leftovers_released_) {
    leftovers_released_ = true;
    note(guard_->release_leftovers());
  }
  note(guard_->dispatch());
  auto events = events_.read();
  XfrmEventBatch batch = events ? std::move(*events) : XfrmEventBatch{};
  if (!events) {
    warnings.push_back(std::move(events.error()));
    batch.overrun = true;  // what had been read of them is lost
  }
  if (sas_.second_look().take() || batch.overrun) {
    auto done = sas_.resynchronise(batch);
    if (!done) sas_.second_look().later();
    if (!done && !in_doubt_) warnings.push_back(std::move(done.error()));
    in_doubt_ = !done;
  }
  // The listener may call back into the plane: everything is settled before it hears of it.
  const std::vector<Reqid> acquires = due_acquires(batch);
  const auto soft = sas_.known(batch.soft_limits);
  const auto moved = sas_.moved(batch);
  for (SaCounters& last : batch.last) sas_.add_earlier(last);
  const auto gone = sas_.take_gone(batch);
  for (const auto& [id, reqid] : soft) listener.on_soft_limit(id, reqid);
  for (const auto& [sa, reqid] : moved) listener.on_peer_moved(sa.id, reqid, sa.remote);
  for (const auto& [id, reqid] : gone) {
    const auto last = std::find_if(batch.last.begin(), batch.last.end(),
                                   [&id = id](const SaCounters& one) { return one.id == id; });
    if (last != batch.last.end()) listener.on_last_counts(*last);
    listener.on_expired(id, reqid);
  }
  for (const Reqid reqid : acquires) listener.on_acquire(reqid);
  for (const Error& warning : warnings) listener.on_warning(warning);
}

std::vector<Reqid> KernelDataPlane::due_acquires(const XfrmEventBatch& events) {
  std::vector<Reqid> due;
  const auto now = std::chrono::steady_clock::now();
  for (const Reqid reqid : events.acquires) {
    if (!acquiring_.contains(reqid)) continue;
    const auto last = last_acquire_.find(reqid);
    if (last != last_acquire_.end() && now - last->second < kAcquirePause) continue;
    last_acquire_[reqid] = now;
    due.push_back(reqid);
  }
  return due;
}

Result<void> KernelDataPlane::attach_encapsulation_socket(int socket_fd, const Endpoint& local,
                                                          bool non_ike_marker) {
  const int type = non_ike_marker ? UDP_ENCAP_ESPINUDP_NON_IKE : UDP_ENCAP_ESPINUDP;
  if (setsockopt(socket_fd, IPPROTO_UDP, UDP_ENCAP, &type, sizeof(type)) == 0) {
    if (non_ike_marker) non_ike_sockets_.insert(socket_fd);
    return {};
  }
  Error error =
      netlink_error({errno, {}}, "have the kernel take ESP off the UDP socket " + local.to_string());
  error.expected = "a kernel with UDP encapsulation of ESP (UDP_ENCAP_ESPINUDP)";
  if (non_ike_marker) {
    error.code = ErrorCode::unsupported;
    error.expected = std::string(kNonIkeMarkerExpected);
    error.remedy = std::string(kNonIkeMarkerRemedy);
  }
  return fail(std::move(error));
}

void KernelDataPlane::detach_encapsulation_socket(int socket_fd) {
  non_ike_sockets_.erase(socket_fd);
  const int none = 0;
  setsockopt(socket_fd, IPPROTO_UDP, UDP_ENCAP, &none, sizeof(none));
}

Result<void> KernelDataPlane::guard(const ProtectPolicy& policy) {
  if (policy.acquire) {
    acquiring_.insert(policy.reqid);
  } else {
    acquiring_.erase(policy.reqid);
  }
  return guard_->protect(policy);
}

Result<void> KernelDataPlane::unguard(Reqid reqid) {
  acquiring_.erase(reqid);
  last_acquire_.erase(reqid);
  return guard_->unprotect(reqid);
}

Result<void> KernelDataPlane::add_states(std::span<const SaSpec> sas) {
  const bool marked = std::any_of(sas.begin(), sas.end(), [](const SaSpec& sa) {
    return sa.encapsulation && sa.encapsulation->non_ike_marker;
  });
  // Without a socket that takes them off, its packets would go to IKE.
  if (marked && non_ike_sockets_.empty()) {
    return fail(ErrorCode::unsupported, "this kernel does not take ESP off UDP port 500",
                std::string(kNonIkeMarkerExpected), std::string(kNonIkeMarkerRemedy));
  }
  auto installed = sas_.install(sas);
  if (sas_.has_warnings()) eventfd_write(start_.get(), 1);
  return installed;
}

Result<DropCounts> KernelDataPlane::drops() {
  auto now = read_xfrm_statistics();
  if (!now) return tl::unexpected(now.error());
  return since(drops_before_, *now);
}

void KernelDataPlane::shut_down() {
  // The daemon ends: what could not be removed has nobody left to hear of it, and the rest still goes.
  static_cast<void>(within_memory([&] { return sas_.remove_all(); }));
  static_cast<void>(guard_->shut_down());
  acquiring_.clear();
}

Result<void> watch(const UniqueFd& poll, int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  if (epoll_ctl(poll.get(), EPOLL_CTL_ADD, fd, &event) == 0) return {};
  return fail(netlink_error({errno, {}}, "watch the kernel's events"));
}

}  // namespace

Result<std::unique_ptr<DataPlane>> make_kernel_data_plane(std::span<const TransformSet> sets,
                                                          KeptStates* kept) {
  if (auto probed = probe_esp(sets); !probed) return tl::unexpected(probed.error());
  auto requests = NetlinkSocket::open(NetlinkFamily::xfrm);
  if (!requests) return tl::unexpected(requests.error());
  auto events = XfrmEvents::open();
  if (!events) return tl::unexpected(events.error());
  auto guard =
      Guard::open(std::nullopt, InboundDrop::xfrm, kept == nullptr ? LeftStates::removed : LeftStates::kept);
  if (!guard) return tl::unexpected(guard.error());
  UniqueFd start(eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK));
  auto second_look = SecondLook::open();
  if (!second_look) return tl::unexpected(second_look.error());
  UniqueFd poll(epoll_create1(EPOLL_CLOEXEC));
  for (const int fd : {start.get(), second_look->fd(), events->fd(), (*guard)->fd()}) {
    if (auto watched = watch(poll, fd); !watched) return tl::unexpected(watched.error());
  }
  KernelSas sas(std::move(*requests), std::move(*second_look));
  if (kept != nullptr) {
    auto adopted = sas.adopt(kept->sas);
    if (!adopted) return tl::unexpected(adopted.error());
    kept->stayed = std::move(*adopted);
  }
  return std::make_unique<KernelDataPlane>(std::move(sas), std::move(*events), std::move(*guard),
                                           std::move(start), std::move(poll));
}

}  // namespace oakgate
