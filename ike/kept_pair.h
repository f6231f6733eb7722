// An SA pair as it is remembered beyond the daemon's life (`on_exit: keep`): everything but its keys.
// kept_pairs.h has what is done with it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ike/base/types.h"
#include "ike/ports/data_plane.h"

namespace oakgate::ike {

struct KeptPair {
  std::string peer;
  std::string tunnel;
  Reqid reqid;
  SelectorPair selectors;
  std::optional<Reqid> narrows;  // the configured pair that it is a part of (narrowed_pairs.h)
  Role negotiated_as{};
  bool old = false;            // when it came there was another that stays (a collision)
  bool receives_only = false;  // found by the next run: its outbound SAs are not there (yet)
  bool lost = false;           // likewise, an inbound one
  SaId in;                     // as SaPair has them
  SaId out;
  std::optional<SaId> ah_in{};
  std::optional<SaId> ah_out{};
  std::optional<SaId> comp_in{};
  std::optional<SaId> comp_out{};
  TransformSet set;
  std::optional<DhGroup> pfs;
  std::optional<UdpEncapsulation> encapsulation;
  IpAddress local_gateway;
  IpAddress remote_gateway;
  Lifetime lifetime;
  bool esn = false;
  PacketMark mark;          // of its SAs, as its tunnel's was
  std::uint32_t if_id = 0;  // likewise
  Instant established_at;   // monotonic over the life of the machine, not of the process
  Instant keyed_at;
  [[nodiscard]] std::vector<SaId> inbound() const;
  [[nodiscard]] std::vector<SaId> outbound() const;
  friend bool operator==(const KeptPair&, const KeptPair&) = default;
};

}  // namespace oakgate::ike
