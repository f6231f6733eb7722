// Whose packet it is, where there are several workers. Both SAs of a tunnel, and all that follow them, belong
// to one worker, by the reqid: its engine alone has sequence numbers, window and waiting packets. Any other
// that reads such a packet hands it over.
//
// Each worker has a copy of its own, changed between two batches, so that nothing is shared on a packet's
// way. The most specific policy decides here as it does in an engine, which has its own tunnels' alone.
#pragma once

#include <unordered_map>

#include "ike/ports/data_plane.h"
#include "xfrm/soft/packet_batch.h"
#include "xfrm/soft/selector_table.h"

namespace oakgate::soft {

class Steering {
 public:
  Steering(unsigned self, unsigned workers) : self_(self), workers_(workers) {}

  // Consecutive reqids, as configured tunnels have them, are dealt out in turn.
  [[nodiscard]] static unsigned owner_of(Reqid reqid, unsigned workers) { return reqid.value % workers; }

  // Adds, or replaces the one with the same reqid. Both sides of its selectors are of one family.
  void protect(const ProtectPolicy& policy);
  void unprotect(Reqid reqid);
  // An inbound SA.
  void add(const SaId& id, Reqid reqid);
  void remove(const SaId& id);

  // Nobody's packets are this worker's own: its engine drops and counts them.
  [[nodiscard]] unsigned owner_of_leaving(ByteView inner_packet) const;
  [[nodiscard]] unsigned owner_of_arriving(const BatchPacket& packet) const;

 private:
  struct SaIdHash {
    std::size_t operator()(const SaId& id) const noexcept { return std::hash<Spi>{}(id.spi); }
  };
  unsigned self_;
  unsigned workers_;
  SelectorTable<Reqid> selectors_;
  std::unordered_map<Reqid, SelectorPair> pairs_;
  std::unordered_map<SaId, unsigned, SaIdHash> inbound_;
};

}  // namespace oakgate::soft
