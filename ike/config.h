// What the protocol core has to know of the configuration: plain values the daemon makes from conf/.
//
// No secrets: pre-shared keys stay in the KeyStore, asked for by the peer's name. No addresses to look up:
// host names and routes are resolved outside and come in by SetPeerAddresses.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ike/base/net.h"
#include "ike/base/policy.h"
#include "ike/base/types.h"

namespace oakgate::ike {

// One pair of `local` x `remote`: one SA pair of its own, exact proxy identities, never narrowed.
struct PairConfig {
  Reqid reqid;  // unique over the configuration; stable over reloads for an unchanged pair
  SelectorPair selectors;
  friend bool operator==(const PairConfig&, const PairConfig&) = default;
};

struct TunnelConfig {
  std::string name;
  std::vector<PairConfig> pairs;
  std::vector<TransformSet> transform_sets;  // in order of preference
  std::optional<DhGroup> pfs;  // asked for as initiator; a responder accepts any group it allows
  Lifetime lifetime;
  StartMode start = StartMode::on_traffic;
  std::uint16_t replay_window = 64;
  friend bool operator==(const TunnelConfig&, const TunnelConfig&) = default;
};

struct PeerConfig {
  std::string name;
  // Which source addresses may be this peer when it calls: a host for a fixed peer, wider for a range, empty
  // while a host name is unresolved (SetPeerAddresses fills it in).
  std::vector<Subnet> called_from;
  // Whom we prove to be and whom the peer must prove to be. Kind `address` with the any-address means: the
  // address of the SA's own end, whatever it is.
  Identity local_identity;
  Identity remote_identity;
  std::vector<IsakmpPolicy> policies;  // in order of priority
  WeakWaiver waiver;
  std::vector<Weak> needs_waiver;  // weak things this peer can use; empty: the waiver's end does not matter
  bool nat_traversal = true;       // RFC 3947
  std::vector<TunnelConfig> tunnels;
  friend bool operator==(const PeerConfig&, const PeerConfig&) = default;
};

// Bounds and timers: every one explicit, none reachable from the wire without one.
struct Limits {
  std::size_t half_open_total = 1024;      // phase 1 negotiations as responder, not yet authenticated
  std::size_t half_open_per_source = 16;   // and of one source address
  std::size_t sas_per_peer = 64;           // IKE SAs held with one peer
  std::size_t exchanges_per_sa = 64;       // phase 2 exchanges under way under one IKE SA
  std::size_t remembered_messages = 1024;  // message ids of an IKE SA that a replay is recognised by
  Milliseconds retransmit_first{1000};     // doubled each time, up to:
  Milliseconds retransmit_ceiling{8000};
  int retransmit_tries = 5;            // after the first transmission
  Milliseconds half_open_life{30000};  // a responder's patience for an unauthenticated peer
  Milliseconds retry_first{5000};      // before a failed tunnel starts again; doubled, up to:
  Milliseconds retry_ceiling{60000};
  Milliseconds old_sa_grace{10000};  // a replaced SA still receives for so long
  Milliseconds keepalive{20000};     // NAT keep-alives, RFC 3948 section 4
  std::size_t nonce_bytes = 20;      // of our nonces: 8 to 256, RFC 2409 section 5
};

struct EngineConfig {
  std::string gateway;  // its name, for events
  std::vector<PeerConfig> peers;
  Limits limits;
};

}  // namespace oakgate::ike
