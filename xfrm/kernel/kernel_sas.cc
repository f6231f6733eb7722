#include "xfrm/kernel/kernel_sas.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "xfrm/netlink/state_probe.h"
#include "xfrm/netlink/tunnel_interfaces.h"

namespace oakgate {

namespace {

constexpr std::size_t kAtOnce = 512;  // messages under way: each has its buffer
constexpr std::size_t kManySas = 64;  // asked for at once: one dump instead of a request each

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

}  // namespace

std::vector<std::pair<SaId, Reqid>> KernelSas::known(const std::vector<SaId>& ids) const {
  std::vector<std::pair<SaId, Reqid>> found;
  for (const SaId& id : ids) {
    if (const auto sa = sas_.find(id); sa != sas_.end()) found.emplace_back(id, sa->second.reqid);
  }
  return found;
}

std::vector<std::pair<MovedSa, Reqid>> KernelSas::moved(const XfrmEventBatch& events) const {
  std::vector<std::pair<MovedSa, Reqid>> moved;
  for (const MovedSa& one : events.moved) {
    if (const auto sa = sas_.find(one.id); sa != sas_.end()) moved.emplace_back(one, sa->second.reqid);
  }
  return moved;
}

std::vector<std::pair<SaId, Reqid>> KernelSas::take_gone(const XfrmEventBatch& events) {
  auto gone = known(events.expired);
  for (const auto& [id, reqid] : gone) sas_.erase(id);
  return gone;
}

// By one dump: SAs that are gone, or past their soft limit, and acquires. (Mappings are said again with the
// peer's next packet.)
Result<void> KernelSas::resynchronise(XfrmEventBatch& batch) {
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

Result<void> KernelSas::remove_unknown(const std::vector<StateReport>& states) {
  std::vector<MarkedSa> unknown;
  for (const StateReport& state : states) {
    if (!state.larval && !sas_.contains(state.id)) unknown.emplace_back(state.id, state.mark);
  }
  return remove_states(unknown);
}

Result<std::vector<SaId>> KernelSas::adopt(std::span<const SaSpec> kept) {
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

Result<void> KernelSas::install(std::span<const SaSpec> sas) {
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
void KernelSas::see_to_offload(std::span<const SaSpec> sas) {
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
}

PacketMark KernelSas::mark_of_sa(const SaId& id) const {
  const auto found = sas_.find(id);
  return found == sas_.end() ? PacketMark{} : found->second.mark;
}

Result<void> KernelSas::remove_all() {
  std::vector<SaId> ids;
  for (const auto& [id, held] : sas_) ids.push_back(id);
  return remove(ids);
}

Result<void> KernelSas::remove(std::span<const SaId> sas) {
  std::vector<MarkedSa> marked;
  marked.reserve(sas.size());
  for (const SaId& id : sas) marked.emplace_back(id, mark_of_sa(id));
  return remove_states(marked);
}

Result<void> KernelSas::remove_states(std::span<const MarkedSa> sas) {
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

Result<void> KernelSas::move(std::span<const SaMove> sas) {
  auto moved = move_states(requests_, sas_, sas);
  if (!moved && moved.error().code != ErrorCode::unsupported)
    second_look_.soon();  // they may be at either place, or gone
  return moved;
}

Result<std::map<SaId, SaCounters>> KernelSas::query(std::span<const SaId> sas) {
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
Result<std::map<SaId, SaCounters>> KernelSas::query_all() {
  std::map<SaId, SaCounters> found;
  auto states = our_states(requests_);
  if (!states) return tl::unexpected(states.error());
  for (const StateReport& state : *states) {
    if (!state.larval) found[state.id] = state.counters;
  }
  return found;
}

Result<std::vector<SaCounters>> KernelSas::counters(std::span<const SaId> sas) {
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

void KernelSas::add_earlier(SaCounters& counters) const {
  const auto sa = sas_.find(counters.id);
  if (sa == sas_.end()) return;
  counters.replayed += sa->second.replayed;
  counters.not_authentic += sa->second.not_authentic;
}

}  // namespace oakgate
