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

#include "xfrm/kernel/xfrm_events.h"
#include "xfrm/netlink/guard.h"
#include "xfrm/netlink/unique_fd.h"
#include "xfrm/netlink/xfrm_state.h"
#include "xfrm/netlink/xfrm_statistics.h"

namespace oakgate {

namespace {

constexpr auto kAcquirePause = std::chrono::seconds(1);  // at most one acquire a second a reqid

constexpr std::string_view kNonIkeMarkerExpected =
    "a kernel that knows the non-IKE marker (UDP_ENCAP_ESPINUDP_NON_IKE): Linux 6.9 or older";
constexpr std::string_view kNonIkeMarkerRemedy =
    "configure `data_plane: software`, or `nat_traversal: draft-02` or later if the peer knows it";

std::string describe(const SaId& id) {
  return fmt::format("{} SA {:#010x} to {}", protocol_name(id.protocol), id.spi.value,
                     id.destination.to_string());
}

// What XFRM has no means for.
Result<void> can_handle(const PacketHandling& handling) {
  const bool mss = handling.tcp_mss.kind != TcpMss::Kind::off;
  if (!mss && handling.df_bit != DfBit::set) return {};
  return fail(
      ErrorCode::unsupported,
      mss ? "the kernel's data plane leaves the MSS of TCP alone: `tcp_mss` is the software plane's"
          : "the kernel's data plane cannot set DF always: `df_bit: set` is the software plane's",
      mss ? "no `tcp_mss`, or `tcp_mss: off`" : "`df_bit: copy` or `df_bit: clear`",
      mss ? "have a firewall rule do it (nftables: `tcp option maxseg size set rt mtu`), or configure "
            "`data_plane: software`"
          : "or configure `data_plane: software`");
}

class KernelDataPlane final : public DataPlane {
 public:
  KernelDataPlane(NetlinkSocket requests, XfrmEvents events, std::unique_ptr<Guard> guard, UniqueFd start,
                  UniqueFd poll)
      : requests_(std::move(requests)),
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

  [[nodiscard]] Result<void> protect(const ProtectPolicy& policy) override;
  [[nodiscard]] Result<void> unprotect(Reqid reqid) override;
  [[nodiscard]] Result<void> install(std::span<const SaSpec> sas) override;
  [[nodiscard]] Result<void> remove(std::span<const SaId> sas) override;
  [[nodiscard]] Result<std::vector<SaCounters>> counters(std::span<const SaId> sas) override;
  [[nodiscard]] Result<DropCounts> drops() override;
  void shut_down() override;

  // Once, before any other SA: those that are there as `kept` says are this run's, all others of ours go.
  [[nodiscard]] Result<std::vector<SaId>> adopt(std::span<const SaSpec> kept);

 private:
  [[nodiscard]] Result<std::map<SaId, SaCounters>> query(std::span<const SaId> sas);
  // The acquires among `events` that are wanted and due, each reqid once.
  [[nodiscard]] std::vector<Reqid> due_acquires(const XfrmEventBatch& events);
  [[nodiscard]] std::vector<std::pair<SaId, Reqid>> known(const std::vector<SaId>& ids) const;
  [[nodiscard]] std::vector<std::pair<MovedSa, Reqid>> moved_sas(const XfrmEventBatch& events) const;
  [[nodiscard]] Result<void> make_up_for_overrun(XfrmEventBatch& batch);
  [[nodiscard]] std::vector<std::pair<SaId, Reqid>> gone_sas(const XfrmEventBatch& events);

  NetlinkSocket requests_;
  XfrmEvents events_;
  std::unique_ptr<Guard> guard_;
  UniqueFd start_;  // readable until the first dispatch()
  UniqueFd poll_;   // epoll over events_, guard_ and start_
  bool leftovers_released_ = false;
  std::set<int> non_ike_sockets_;  // that carry ESP as drafts 00 and 01 of NAT traversal have it

  DropCounts drops_before_;  // this plane began
  std::map<SaId, Reqid> sas_;
  std::set<Reqid> acquiring_;  // protected with `acquire`
  std::map<Reqid, std::chrono::steady_clock::time_point> last_acquire_;
};

void KernelDataPlane::dispatch(DataPlaneListener& listener) {
  std::vector<Error> warnings;
  const auto note = [&](Result<void> result) {
    if (!result) warnings.push_back(std::move(result.error()));
  };
  if (!leftovers_released_) {
    leftovers_released_ = true;
    eventfd_t count = 0;
    eventfd_read(start_.get(), &count);
    note(guard_->release_leftovers());
  }
  note(guard_->dispatch());
  auto events = events_.read();
  if (!events) warnings.push_back(std::move(events.error()));
  XfrmEventBatch batch = events ? std::move(*events) : XfrmEventBatch{};
  if (batch.overrun) note(make_up_for_overrun(batch));
  // The listener may call back into the plane: everything is settled before it hears of it.
  const std::vector<Reqid> acquires = due_acquires(batch);
  const auto soft = known(batch.soft_limits);
  const auto moved = moved_sas(batch);
  const auto gone = gone_sas(batch);
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

std::vector<std::pair<SaId, Reqid>> KernelDataPlane::known(const std::vector<SaId>& ids) const {
  std::vector<std::pair<SaId, Reqid>> found;
  for (const SaId& id : ids) {
    if (const auto sa = sas_.find(id); sa != sas_.end()) found.emplace_back(*sa);
  }
  return found;
}

std::vector<std::pair<MovedSa, Reqid>> KernelDataPlane::moved_sas(const XfrmEventBatch& events) const {
  std::vector<std::pair<MovedSa, Reqid>> moved;
  for (const MovedSa& one : events.moved) {
    if (const auto sa = sas_.find(one.id); sa != sas_.end()) moved.emplace_back(one, sa->second);
  }
  return moved;
}

std::vector<std::pair<SaId, Reqid>> KernelDataPlane::gone_sas(const XfrmEventBatch& events) {
  auto gone = known(events.expired);
  for (const auto& [id, reqid] : gone) sas_.erase(id);
  return gone;
}

// What the kernel had no room to say, found by one dump: SAs that are gone, or past their soft limit, and
// acquires. (Mappings are said again with the peer's next packet.)
Result<void> KernelDataPlane::make_up_for_overrun(XfrmEventBatch& batch) {
  auto states = our_states(requests_);
  if (!states) return tl::unexpected(states.error());
  std::set<SaId> present;
  for (const StateReport& state : *states) {
    if (state.larval) {
      batch.acquires.push_back(state.reqid);
      continue;
    }
    present.insert(state.id);
    if (state.past_soft_limit) batch.soft_limits.push_back(state.id);
  }
  for (const auto& [id, reqid] : sas_) {
    if (!present.contains(id)) batch.expired.push_back(id);
  }
  std::sort(batch.expired.begin(), batch.expired.end());
  batch.expired.erase(std::unique(batch.expired.begin(), batch.expired.end()), batch.expired.end());
  return {};
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

Result<void> KernelDataPlane::protect(const ProtectPolicy& policy) {
  if (policy.acquire) {
    acquiring_.insert(policy.reqid);
  } else {
    acquiring_.erase(policy.reqid);
  }
  return guard_->protect(policy);
}

Result<void> KernelDataPlane::unprotect(Reqid reqid) {
  acquiring_.erase(reqid);
  last_acquire_.erase(reqid);
  return guard_->unprotect(reqid);
}

Result<std::vector<SaId>> KernelDataPlane::adopt(std::span<const SaSpec> kept) {
  std::map<SaId, const SaSpec*> wanted;
  for (const SaSpec& sa : kept) wanted.emplace(sa.id, &sa);
  std::vector<SaId> adopted;
  std::vector<SaId> others;
  auto states = our_states(requests_, [&](const nlmsghdr& held) {
    const SaId id = parse_state(held)->id;
    const auto found = wanted.find(id);
    (found != wanted.end() && is_state(held, *found->second) ? adopted : others).push_back(id);
  });
  if (!states) return tl::unexpected(states.error());
  if (auto removed = remove(others); !removed) return tl::unexpected(removed.error());
  for (const SaId& id : adopted) sas_[id] = wanted.at(id)->reqid;
  return adopted;
}

Result<void> KernelDataPlane::install(std::span<const SaSpec> sas) {
  const bool marked = std::any_of(sas.begin(), sas.end(), [](const SaSpec& sa) {
    return sa.encapsulation && sa.encapsulation->non_ike_marker;
  });
  // Without a socket that takes them off, its packets would go to IKE.
  if (marked && non_ike_sockets_.empty()) {
    return fail(ErrorCode::unsupported, "this kernel does not take ESP off UDP port 500",
                std::string(kNonIkeMarkerExpected), std::string(kNonIkeMarkerRemedy));
  }
  for (const SaSpec& sa : sas) {
    if (auto can = can_handle(sa.handling); !can) return can;
  }
  std::vector<NetlinkMessage> messages;
  messages.reserve(sas.size());
  for (const SaSpec& sa : sas) messages.push_back(add_state_message(sa));
  auto answers = requests_.transact(messages);
  if (!answers) return tl::unexpected(answers.error());
  const auto failed =
      std::find_if(answers->begin(), answers->end(), [](const auto& answer) { return !answer.ok(); });
  if (failed == answers->end()) {
    for (const SaSpec& sa : sas) sas_[sa.id] = sa.reqid;
    return {};
  }
  std::vector<SaId> installed;
  for (std::size_t i = 0; i < sas.size(); ++i) {
    if ((*answers)[i].ok()) installed.push_back(sas[i].id);
  }
  static_cast<void>(remove(installed));  // the error that is reported is the one that led here
  const SaId& id = sas[static_cast<std::size_t>(failed - answers->begin())].id;
  Error error = netlink_error(*failed, "install the " + describe(id));
  // What probe_esp did not try: a kernel may have ESP without the others.
  if (id.protocol != IpsecProtocol::esp && failed->error == EPROTONOSUPPORT) {
    error.code = ErrorCode::unsupported;
    error.expected = kernel_option(id.protocol);
    error.remedy = kernel_remedy(id.protocol);
  }
  return fail(std::move(error));
}

Result<void> KernelDataPlane::remove(std::span<const SaId> sas) {
  std::vector<NetlinkMessage> messages;
  messages.reserve(sas.size());
  for (const SaId& id : sas) {
    messages.push_back(remove_state_message(id));
    sas_.erase(id);
  }
  auto answers = requests_.transact(messages);
  if (!answers) return tl::unexpected(answers.error());
  for (std::size_t i = 0; i < sas.size(); ++i) {
    const NetlinkAnswer& answer = (*answers)[i];
    if (!answer.ok() && answer.error != ESRCH)
      return fail(netlink_error(answer, "remove the " + describe(sas[i])));
  }
  return {};
}

Result<std::map<SaId, SaCounters>> KernelDataPlane::query(std::span<const SaId> sas) {
  std::vector<NetlinkMessage> messages;
  messages.reserve(sas.size());
  for (const SaId& id : sas) messages.push_back(query_state_message(id));
  std::map<SaId, SaCounters> found;
  auto answers = requests_.transact(messages, [&](const nlmsghdr& message) {
    if (const auto state = parse_state(message)) found[state->id] = state->counters;
  });
  if (!answers) return tl::unexpected(answers.error());
  for (std::size_t i = 0; i < sas.size(); ++i) {
    const NetlinkAnswer& answer = (*answers)[i];
    if (!answer.ok() && answer.error != ESRCH)
      return fail(netlink_error(answer, "read the " + describe(sas[i])));
  }
  return found;
}

Result<std::vector<SaCounters>> KernelDataPlane::counters(std::span<const SaId> sas) {
  auto found = query(sas);
  if (!found) return tl::unexpected(found.error());
  std::vector<SaCounters> counters;
  counters.reserve(sas.size());
  for (const SaId& id : sas) {
    SaCounters& one = counters.emplace_back();
    if (const auto state = found->find(id); state != found->end()) one = state->second;
    one.id = id;
  }
  return counters;
}

Result<DropCounts> KernelDataPlane::drops() {
  auto now = read_xfrm_statistics();
  if (!now) return tl::unexpected(now.error());
  return since(drops_before_, *now);
}

void KernelDataPlane::shut_down() {
  std::vector<SaId> ids;
  for (const auto& [id, reqid] : sas_) ids.push_back(id);
  // The daemon ends: what could not be removed has nobody left to hear of it, and the rest still goes.
  static_cast<void>(remove(ids));
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
  UniqueFd poll(epoll_create1(EPOLL_CLOEXEC));
  for (const int fd : {start.get(), events->fd(), (*guard)->fd()}) {
    if (auto watched = watch(poll, fd); !watched) return tl::unexpected(watched.error());
  }
  auto plane = std::make_unique<KernelDataPlane>(std::move(*requests), std::move(*events), std::move(*guard),
                                                 std::move(start), std::move(poll));
  if (kept != nullptr) {
    auto adopted = plane->adopt(kept->sas);
    if (!adopted) return tl::unexpected(adopted.error());
    kept->stayed = std::move(*adopted);
  }
  return plane;
}

}  // namespace oakgate
