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

#include "xfrm/kernel/migration.h"
#include "xfrm/kernel/second_look.h"
#include "xfrm/kernel/xfrm_events.h"
#include "xfrm/netlink/guard.h"
#include "xfrm/netlink/state_probe.h"
#include "xfrm/netlink/tunnel_interfaces.h"
#include "xfrm/netlink/unique_fd.h"
#include "xfrm/netlink/within_memory.h"
#include "xfrm/netlink/xfrm_state.h"
#include "xfrm/netlink/xfrm_statistics.h"

namespace oakgate {

namespace {

constexpr auto kAcquirePause = std::chrono::seconds(1);  // at most one acquire a second a reqid

constexpr std::size_t kAtOnce = 512;  // messages under way: each has its buffer
constexpr std::size_t kManySas = 64;  // asked for at once: one dump instead of a request each

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

Error no_offload_device(const KernelTies& ties, const IpAddress& ours) {
  const bool named = !ties.offload_device.empty();
  return {ErrorCode::not_found,
          named ? fmt::format("there is no device {} to offload to", ties.offload_device)
                : fmt::format("no device has the address {}, so none can be offloaded to", ours.to_string()),
          "the name of a network device in `offload_device`",
          "see `ip link`, or configure `offload: no`",
          {}};
}

Error not_offloaded(const SaSpec& sa) {
  return {
      ErrorCode::unsupported,
      fmt::format("{} is not offloaded: the kernel protects its packets itself", sa.selectors.to_string()),
      "a kernel with CONFIG_XFRM_OFFLOAD and a network device with esp-hw-offload (`ethtool -k`)",
      "load the modules esp4_offload and esp6_offload and switch esp-hw-offload on (`ethtool -K`), or "
      "configure `offload: no`",
      {}};
}

using MarkedSa = std::pair<SaId, PacketMark>;

class KernelDataPlane final : public DataPlane {
 public:
  KernelDataPlane(NetlinkSocket requests, XfrmEvents events, std::unique_ptr<Guard> guard, UniqueFd start,
                  SecondLook second_look, UniqueFd poll)
      : requests_(std::move(requests)),
        events_(std::move(events)),
        guard_(std::move(guard)),
        start_(std::move(start)),
        second_look_(std::move(second_look)),
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
    return within_memory([&] { return remove_sas(sas); });
  }
  [[nodiscard]] Result<void> move(std::span<const SaMove> sas) override {
    return within_memory([&] { return move_sas(sas); });
  }
  [[nodiscard]] Result<std::vector<SaCounters>> counters(std::span<const SaId> sas) override {
    return within_memory([&] { return count(sas); });
  }
  [[nodiscard]] Result<DropCounts> drops() override;
  void shut_down() override;

  // Once, before any other SA: those that are there as `kept` says are this run's, all others of ours go.
  [[nodiscard]] Result<std::vector<SaId>> adopt(std::span<const SaSpec> kept);

 private:
  [[nodiscard]] Result<void> guard(const ProtectPolicy& policy);
  [[nodiscard]] Result<void> unguard(Reqid reqid);
  [[nodiscard]] Result<void> add_states(std::span<const SaSpec> sas);
  [[nodiscard]] Result<void> remove_sas(std::span<const SaId> sas);
  [[nodiscard]] Result<void> move_sas(std::span<const SaMove> sas);
  [[nodiscard]] Result<std::vector<SaCounters>> count(std::span<const SaId> sas);
  [[nodiscard]] Result<void> remove_states(std::span<const MarkedSa> sas);
  [[nodiscard]] Result<std::map<SaId, SaCounters>> query(std::span<const SaId> sas);
  [[nodiscard]] Result<std::map<SaId, SaCounters>> query_all();
  [[nodiscard]] PacketMark mark_of_sa(const SaId& id) const;
  // What the kernel's earlier states of the SA had counted.
  void add_earlier(SaCounters& counters) const;
  void see_to_offload(std::span<const SaSpec> sas);
  // The acquires among `events` that are wanted and due, each reqid once.
  [[nodiscard]] std::vector<Reqid> due_acquires(const XfrmEventBatch& events);
  [[nodiscard]] std::vector<std::pair<SaId, Reqid>> known(const std::vector<SaId>& ids) const;
  [[nodiscard]] std::vector<std::pair<MovedSa, Reqid>> moved_sas(const XfrmEventBatch& events) const;
  // The kernel's states and ours are the same again: what it holds and we do not know is removed, what it has
  // lost is in `batch` as expired; what it had no room to say is there, too.
  [[nodiscard]] Result<void> resynchronise(XfrmEventBatch& batch);
  [[nodiscard]] Result<void> remove_unknown(const std::vector<StateReport>& states);
  [[nodiscard]] std::vector<std::pair<SaId, Reqid>> gone_sas(const XfrmEventBatch& events);

  NetlinkSocket requests_;
  XfrmEvents events_;
  std::unique_ptr<Guard> guard_;
  UniqueFd start_;  // readable until the first dispatch(), and while there are warnings
  SecondLook second_look_;
  UniqueFd poll_;          // epoll over events_, guard_, start_ and second_look_
  bool in_doubt_ = false;  // that the last second look failed has been told
  bool leftovers_released_ = false;
  std::set<int> non_ike_sockets_;  // that carry ESP as drafts 00 and 01 of NAT traversal have it

  DropCounts drops_before_;  // this plane began
  HeldSas sas_;
  std::vector<Error> warnings_;    // for the next dispatch()
  std::set<Reqid> not_offloaded_;  // told already
  std::set<Reqid> acquiring_;      // protected with `acquire`
  std::map<Reqid, std::chrono::steady_clock::time_point> last_acquire_;
};

void KernelDataPlane::dispatch(DataPlaneListener& listener) {
  std::vector<Error> warnings = std::exchange(warnings_, {});
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
  if (second_look_.take() || batch.overrun) {
    auto done = resynchronise(batch);
    if (!done) second_look_.later();
    if (!done && !in_doubt_) warnings.push_back(std::move(done.error()));
    in_doubt_ = !done;
  }
  // The listener may call back into the plane: everything is settled before it hears of it.
  const std::vector<Reqid> acquires = due_acquires(batch);
  const auto soft = known(batch.soft_limits);
  const auto moved = moved_sas(batch);
  for (SaCounters& last : batch.last) add_earlier(last);
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
    if (const auto sa = sas_.find(id); sa != sas_.end()) found.emplace_back(id, sa->second.reqid);
  }
  return found;
}

std::vector<std::pair<MovedSa, Reqid>> KernelDataPlane::moved_sas(const XfrmEventBatch& events) const {
  std::vector<std::pair<MovedSa, Reqid>> moved;
  for (const MovedSa& one : events.moved) {
    if (const auto sa = sas_.find(one.id); sa != sas_.end()) moved.emplace_back(one, sa->second.reqid);
  }
  return moved;
}

std::vector<std::pair<SaId, Reqid>> KernelDataPlane::gone_sas(const XfrmEventBatch& events) {
  auto gone = known(events.expired);
  for (const auto& [id, reqid] : gone) sas_.erase(id);
  return gone;
}

// By one dump: SAs that are gone, or past their soft limit, and acquires. (Mappings are said again with the
// peer's next packet.)
Result<void> KernelDataPlane::resynchronise(XfrmEventBatch& batch) {
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
  for (const auto& [id, held] : sas_) {
    if (!present.contains(id)) batch.expired.push_back(id);
  }
  std::sort(batch.expired.begin(), batch.expired.end());
  batch.expired.erase(std::unique(batch.expired.begin(), batch.expired.end()), batch.expired.end());
  return remove_unknown(*states);
}

Result<void> KernelDataPlane::remove_unknown(const std::vector<StateReport>& states) {
  std::vector<MarkedSa> unknown;
  for (const StateReport& state : states) {
    if (!state.larval && !sas_.contains(state.id)) unknown.emplace_back(state.id, state.mark);
  }
  return remove_states(unknown);
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

Result<std::vector<SaId>> KernelDataPlane::adopt(std::span<const SaSpec> kept) {
  std::map<SaId, const SaSpec*> wanted;
  for (const SaSpec& sa : kept) wanted.emplace(sa.id, &sa);
  std::vector<SaId> adopted;
  std::vector<MarkedSa> others;
  auto states = our_states(requests_, [&](const nlmsghdr& there) {
    const auto state = parse_state(there);
    const auto found = wanted.find(state->id);
    if (found != wanted.end() && is_state(there, *found->second)) {
      adopted.push_back(state->id);
    } else {
      others.emplace_back(state->id, state->mark);
    }
  });
  if (!states) return tl::unexpected(states.error());
  if (auto removed = remove_states(others); !removed) return tl::unexpected(removed.error());
  for (const SaId& id : adopted) sas_[id] = held(*wanted.at(id));
  return adopted;
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
  for (const SaSpec& sa : sas) {
    if (auto can = can_handle(sa.handling); !can) return can;
  }
  std::vector<NetlinkMessage> messages;
  messages.reserve(sas.size());
  for (const SaSpec& sa : sas) {
    unsigned device = 0;
    if (sa.ties.offload != Offload::none) {
      const IpAddress& ours = sa.direction == Direction::in ? sa.id.destination : sa.source;
      device = find_offload_device(sa.ties, ours);
      if (device == 0) return fail(no_offload_device(sa.ties, ours));
    }
    messages.push_back(add_state_message(sa, device));
  }
  auto answers = requests_.transact(messages);
  if (!answers) {
    // Some of them may be there: an answer was lost, or could not be read.
    const auto states = our_states(requests_);
    if (!states || !remove_unknown(*states)) second_look_.soon();
    return tl::unexpected(answers.error());
  }
  const auto failed =
      std::find_if(answers->begin(), answers->end(), [](const auto& answer) { return !answer.ok(); });
  if (failed == answers->end()) {
    for (const SaSpec& sa : sas) sas_[sa.id] = held(sa);
    see_to_offload(sas);
    return {};
  }
  std::vector<MarkedSa> installed;
  for (std::size_t i = 0; i < sas.size(); ++i) {
    if ((*answers)[i].ok()) installed.emplace_back(sas[i].id, held(sas[i]).mark);
  }
  static_cast<void>(remove_states(installed));  // the error that is reported is the one that led here; this
                                                // one's states are looked for again
  const SaSpec& sa = sas[static_cast<std::size_t>(failed - answers->begin())];
  return fail(refused_state(sa, *failed, "install the " + describe(sa.id)));
}

// A kernel without offload takes no notice of the wish, and a device without it, of `crypto`: the tunnel
// works, and its operator should know how.
void KernelDataPlane::see_to_offload(std::span<const SaSpec> sas) {
  std::map<SaId, const SaSpec*> wanted;
  std::vector<NetlinkMessage> messages;
  for (const SaSpec& sa : sas) {
    if (sa.ties.offload == Offload::none || not_offloaded_.contains(sa.reqid)) continue;
    wanted.emplace(sa.id, &sa);
    messages.push_back(query_state_message(sa.id, held(sa).mark));
  }
  if (messages.empty()) return;
  static_cast<void>(requests_.transact(messages, [&](const nlmsghdr& message) {
    const auto state = parse_state(message);
    if (!state || state->offloaded) return;
    const auto found = wanted.find(state->id);
    if (found == wanted.end() || !not_offloaded_.insert(state->reqid).second) return;
    warnings_.push_back(not_offloaded(*found->second));
  }));
  if (!warnings_.empty()) eventfd_write(start_.get(), 1);
}

PacketMark KernelDataPlane::mark_of_sa(const SaId& id) const {
  const auto found = sas_.find(id);
  return found == sas_.end() ? PacketMark{} : found->second.mark;
}

Result<void> KernelDataPlane::remove_sas(std::span<const SaId> sas) {
  std::vector<MarkedSa> marked;
  marked.reserve(sas.size());
  for (const SaId& id : sas) marked.emplace_back(id, mark_of_sa(id));
  return remove_states(marked);
}

Result<void> KernelDataPlane::remove_states(std::span<const MarkedSa> sas) {
  if (sas.size() > kAtOnce) {
    Result<void> first = remove_states(sas.first(kAtOnce));
    for (std::size_t at = kAtOnce; at < sas.size(); at += kAtOnce) {
      auto next = remove_states(sas.subspan(at, std::min(kAtOnce, sas.size() - at)));
      if (first) first = std::move(next);
    }
    return first;
  }
  std::vector<NetlinkMessage> messages;
  messages.reserve(sas.size());
  for (const auto& [id, mark] : sas) {
    messages.push_back(remove_state_message(id, mark));
    sas_.erase(id);
  }
  auto answers = requests_.transact(messages);
  // What stays is not ours any more, and goes with the second look.
  if (!answers) {
    second_look_.soon();
    return tl::unexpected(answers.error());
  }
  for (std::size_t i = 0; i < sas.size(); ++i) {
    const NetlinkAnswer& answer = (*answers)[i];
    if (answer.ok() || answer.error == ESRCH) continue;
    second_look_.soon();
    return fail(netlink_error(answer, "remove the " + describe(sas[i].first)));
  }
  return {};
}

Result<void> KernelDataPlane::move_sas(std::span<const SaMove> sas) {
  auto moved = move_states(requests_, sas_, sas);
  if (!moved && moved.error().code != ErrorCode::not_found && moved.error().code != ErrorCode::unsupported)
    second_look_.soon();  // they may be at either place, or gone
  return moved;
}

Result<std::map<SaId, SaCounters>> KernelDataPlane::query(std::span<const SaId> sas) {
  std::vector<NetlinkMessage> messages;
  messages.reserve(sas.size());
  for (const SaId& id : sas) messages.push_back(query_state_message(id, mark_of_sa(id)));
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

// A dump says more in one datagram than a hundred answers do.
Result<std::map<SaId, SaCounters>> KernelDataPlane::query_all() {
  std::map<SaId, SaCounters> found;
  auto states = our_states(requests_);
  if (!states) return tl::unexpected(states.error());
  for (const StateReport& state : *states) {
    if (!state.larval) found[state.id] = state.counters;
  }
  return found;
}

Result<std::vector<SaCounters>> KernelDataPlane::count(std::span<const SaId> sas) {
  // Of all but few of many it is the dump that costs less.
  const bool many = sas.size() >= kManySas && sas.size() >= sas_.size() / 4;
  auto found = many ? query_all() : query(sas);
  if (!found) return tl::unexpected(found.error());
  std::vector<SaCounters> counters;
  counters.reserve(sas.size());
  for (const SaId& id : sas) {
    SaCounters& one = counters.emplace_back();
    if (const auto state = found->find(id); state != found->end()) one = state->second;
    one.id = id;
    add_earlier(one);
  }
  return counters;
}

void KernelDataPlane::add_earlier(SaCounters& counters) const {
  const auto sa = sas_.find(counters.id);
  if (sa == sas_.end()) return;
  counters.replayed += sa->second.replayed;
  counters.not_authentic += sa->second.not_authentic;
}

Result<DropCounts> KernelDataPlane::drops() {
  auto now = read_xfrm_statistics();
  if (!now) return tl::unexpected(now.error());
  return since(drops_before_, *now);
}

void KernelDataPlane::shut_down() {
  std::vector<SaId> ids;
  for (const auto& [id, held] : sas_) ids.push_back(id);
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
  auto second_look = SecondLook::open();
  if (!second_look) return tl::unexpected(second_look.error());
  UniqueFd poll(epoll_create1(EPOLL_CLOEXEC));
  for (const int fd : {start.get(), second_look->fd(), events->fd(), (*guard)->fd()}) {
    if (auto watched = watch(poll, fd); !watched) return tl::unexpected(watched.error());
  }
  auto plane = std::make_unique<KernelDataPlane>(std::move(*requests), std::move(*events), std::move(*guard),
                                                 std::move(start), std::move(*second_look), std::move(poll));
  if (kept != nullptr) {
    auto adopted = plane->adopt(kept->sas);
    if (!adopted) return tl::unexpected(adopted.error());
    kept->stayed = std::move(*adopted);
  }
  return plane;
}

}  // namespace oakgate
