// What must hold in every simulated network at every moment, whatever the wire and the gateways do; and the
// ladder of messages that led to it when it does not.
//
// After each event: no SA is in a data plane past its life; no key is in two SAs; the SAs of a selector are
// bounded in number. Each virtual second, from the gateways' own account: an SA in a data plane belongs to an
// SA pair or to an exchange that is still young; a replaced SA pair is gone after its grace; IKE SAs are
// bounded in number.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>

#include "tests/sim/simulator.h"

namespace oakgate::sim {

class Watch {
 public:
  // Sees every datagram by the network's tap, in front of the one that is there.
  explicit Watch(Simulator& network);
  // Call after each event. False once something is broken; `broken()` says what.
  bool holds();
  [[nodiscard]] const std::string& broken() const { return broken_; }
  // When the network is quiet, both ends of each selector have one SA pair, the same. Empty if so.
  [[nodiscard]] std::string disagreement(const Gateway& here, const Gateway& there) const;
  // The last datagrams, a line each, and each gateway's last events.
  [[nodiscard]] std::string ladder() const;

 private:
  void look_at_planes();
  void look_at_accounts();
  void look_at(const Gateway& gateway);
  void fail(const Gateway& gateway, const std::string& what);

  Simulator& network_;
  std::function<bool(const Endpoint&, const Endpoint&, Bytes&)> inner_;
  std::deque<std::string> lines_;
  std::map<std::string, SaId> keys_;                            // whose it is, of all that ever were
  std::map<const Gateway*, std::map<SaId, Instant>> unowned_;   // since when
  std::map<const Gateway*, std::map<SaId, Instant>> replaced_;  // likewise
  std::map<const Gateway*, std::uint64_t> installed_;           // the newest order that was looked at
  Instant next_account_{};
  std::string broken_;
};

}  // namespace oakgate::sim
