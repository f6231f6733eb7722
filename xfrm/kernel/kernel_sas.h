// The kernel plane's SAs: what the SAD holds of ours, and what is believed of it (DataPlane's install,
// remove, move and counters). Policies and routes are the guard's, events the plane's.
//
// What the kernel did is not always known: an answer may be lost, or a state stay for want of memory. Then a
// second look is due: resynchronise().
#pragma once

#include <map>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "ike/ports/data_plane.h"
#include "xfrm/kernel/migration.h"
#include "xfrm/kernel/xfrm_events.h"
#include "xfrm/netlink/netlink_socket.h"
#include "xfrm/netlink/second_look.h"
#include "xfrm/netlink/xfrm_state.h"

namespace oakgate {

class KernelSas {
 public:
  KernelSas(NetlinkSocket requests, SecondLook second_look)
      : requests_(std::move(requests)), second_look_(std::move(second_look)) {}

  // As DataPlane has them.
  [[nodiscard]] Result<void> install(std::span<const SaSpec> sas);
  [[nodiscard]] Result<void> remove(std::span<const SaId> sas);
  [[nodiscard]] Result<void> move(std::span<const SaMove> sas);
  [[nodiscard]] Result<std::vector<SaCounters>> counters(std::span<const SaId> sas);
  [[nodiscard]] Result<void> remove_all();

  // Once, before any other SA: those that are there as `kept` says are this run's, all others of ours go.
  [[nodiscard]] Result<std::vector<SaId>> adopt(std::span<const SaSpec> kept);

  // Due when its descriptor is readable: resynchronise().
  [[nodiscard]] SecondLook& second_look() { return second_look_; }
  // The kernel's states and ours are the same again: what it holds and we do not know is removed, what it has
  // lost is in `batch` as expired; what it had no room to say is there, too.
  [[nodiscard]] Result<void> resynchronise(XfrmEventBatch& batch);

  // Those of the events that are ours.
  [[nodiscard]] std::vector<std::pair<SaId, Reqid>> known(const std::vector<SaId>& ids) const;
  [[nodiscard]] std::vector<std::pair<MovedSa, Reqid>> moved(const XfrmEventBatch& events) const;
  // Of the expired ones; they are forgotten.
  [[nodiscard]] std::vector<std::pair<SaId, Reqid>> take_gone(const XfrmEventBatch& events);
  // What the kernel's earlier states of the SA had counted.
  void add_earlier(SaCounters& counters) const;
  // For the operator, of what was installed since.
  [[nodiscard]] std::vector<Error> take_warnings() { return std::exchange(warnings_, {}); }
  [[nodiscard]] bool has_warnings() const { return !warnings_.empty(); }

 private:
  using MarkedSa = std::pair<SaId, PacketMark>;
  [[nodiscard]] Result<void> remove_states(std::span<const MarkedSa> sas);
  [[nodiscard]] Result<void> remove_unknown(const std::vector<StateReport>& states);
  [[nodiscard]] Result<std::map<SaId, SaCounters>> query(std::span<const SaId> sas);
  [[nodiscard]] Result<std::map<SaId, SaCounters>> query_all();
  [[nodiscard]] PacketMark mark_of_sa(const SaId& id) const;
  void see_to_offload(std::span<const SaSpec> sas);

  NetlinkSocket requests_;
  SecondLook second_look_;
  HeldSas sas_;
  std::vector<Error> warnings_;
  std::set<Reqid> not_offloaded_;  // told already
};

}  // namespace oakgate
