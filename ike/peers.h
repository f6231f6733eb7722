// What the core knows of each configured peer while it runs: addresses, IKE SAs, selector pairs and their SA
// pairs, what was asked for and what went wrong last.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "ike/config.h"
#include "ike/effects.h"
#include "ike/ike_sa.h"
#include "ike/snapshot.h"
#include "ike/timers.h"

namespace oakgate::ike {

// An inbound and an outbound SA that were negotiated together; of AH and ESP in one proposal, two of each.
struct SaPair {
  SaPairId id;
  Reqid reqid;
  SaRole role = SaRole::current;
  Role negotiated_as{};
  SaId in;  // the one that carries the inner packets: ESP, or AH where that is alone
  SaId out;
  std::optional<SaId> ah_in{};  // the AH over it, of a bundle; both or neither
  std::optional<SaId> ah_out{};
  std::optional<SaId> comp_in{};  // the IPComp inside them; both or neither
  std::optional<SaId> comp_out{};
  TransformSet set;
  std::optional<DhGroup> pfs;
  std::optional<UdpEncapsulation> encapsulation;
  IpAddress local_gateway;
  IpAddress remote_gateway;
  Lifetime lifetime;
  bool esn = false;
  std::uint64_t packets = 0;             // that it had carried when they were counted last
  std::optional<Instant> soft_limit_at;  // of kilobytes
  Instant established_at;
  Instant keyed_at;  // its life counts from here; before `established_at` if the last message came late
  // A renewal's outbound SAs while they wait to be installed (tunnels.h). Secret.
  std::vector<SaSpec> held_out;
  bool peer_told = false;      // it is deleted, but still receives what is on its way
  bool adopted = false;        // of an earlier run (kept_pairs.h)
  bool receives_only = false;  // whose outbound SAs that run had not installed yet
  // As the data plane counted them last: DPD asks whether they have grown.
  std::uint64_t packets_in = 0;
  std::uint64_t packets_out = 0;
  TimerId rekey_timer;
  TimerId expiry_timer;
  TimerId grace_timer;
  TimerId switch_timer;
  TimerId adopted_timer;
  [[nodiscard]] std::vector<SaId> inbound() const { return those(in, ah_in, comp_in); }
  [[nodiscard]] std::vector<SaId> outbound() const { return those(out, ah_out, comp_out); }
  [[nodiscard]] std::vector<SaId> ids() const {
    std::vector<SaId> all = inbound();
    for (const SaId& other : outbound()) all.push_back(other);
    return all;
  }

 private:
  static std::vector<SaId> those(const SaId& carrier, const std::optional<SaId>& ah,
                                 const std::optional<SaId>& comp) {
    std::vector<SaId> all{carrier};
    if (ah) all.push_back(*ah);
    if (comp) all.push_back(*comp);
    return all;
  }
};

// One selector pair of one tunnel at run time.
struct Pair {
  PairConfig config;
  std::size_t tunnel = 0;        // index into PeerConfig::tunnels
  std::optional<Reqid> narrows;  // the peer made it, a part of that one (narrowed_pairs.h); none: configured
  std::vector<SaPair> sas;       // the newest first
  bool wanted = false;           // to be negotiated as soon as phase 1 is there
  std::optional<std::pair<IkeSaId, MessageId>> negotiating;  // our Quick Mode under way
  int failures = 0;                                          // in a row: the back-off
  TimerId retry_timer;
  std::optional<Instant> holdoff_until;  // acquires do not start before
  std::optional<ProtectPolicy> guarded;  // what the data plane was told last
};

struct TunnelRuntime {
  std::optional<LastError> last_error;
  std::optional<Instant> up_since;
  bool held_down = false;  // an operator's `down`: we do not start by ourselves
};

// A token bucket: a call costs a minute, `credit` in milliseconds times calls a minute.
struct CallRate {
  std::int64_t credit = 0;
  std::optional<Instant> since;
};

struct Peer {
  PeerConfig config;
  std::optional<IpAddress> local;
  std::optional<IpAddress> remote;
  std::vector<Subnet> called_from;
  std::vector<IkeSaId> ike_sas;        // the newest first
  std::optional<IkeSaId> negotiating;  // our phase 1 under way
  std::vector<TunnelRuntime> tunnels;  // as in config
  std::map<Reqid, Pair> pairs;
  std::optional<LastError> last_error;
  bool waiver_expired = false;
  // Of an earlier run, and not carried on with: the peer is told once there is an IKE SA.
  std::vector<SaId> owed_deletes;
  CallRate aggressive_calls;
  std::optional<Instant> moved_at;  // when its SA pairs last were, without an IKE SA
  SkeyidForm skeyid =
      SkeyidForm::automatic;  // the form of RSA-encrypted nonces it uses; automatic: not known yet
};

// An `up` that waits for its pairs.
struct Waiter {
  CommandId command;
  std::string peer;
  std::vector<Reqid> missing;
};

}  // namespace oakgate::ike
