// What `status` and the `show` commands need, copied out of the core at one moment. No secrets.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ike/base/policy.h"
#include "ike/base/result.h"
#include "ike/config.h"
#include "ike/ports/data_plane.h"
#include "ike/ports/peer_verifier.h"

namespace oakgate::ike {

struct LastError {
  Error error;
  WallTime at;
};

struct IkeSaSnapshot {
  CookiePair cookies;
  Role role{};
  Endpoint local;
  Endpoint remote;
  std::string state;  // "QM_IDLE", "MM_KEY_EXCH", ...: the IOS words
  bool established = false;
  bool current = false;                     // the one new exchanges use
  std::optional<IsakmpPolicy> policy;       // as negotiated, once it is
  std::string nat;                          // "none", "local", "remote", "both"
  std::string remote_identity;              // proved; empty before
  std::optional<VerifiedPeer> certificate;  // that proved it, without its chain
  std::optional<Instant> established_at;
  std::optional<Instant> rekey_at;
  std::optional<Instant> expires_at;
};

enum class SaRole : std::uint8_t { current, old };
struct SaPairSnapshot {
  SelectorPair selectors;
  Reqid reqid;
  bool narrowed = false;  // by the peer: a part of what is configured
  SaRole role{};
  SaId in;  // ESP, or AH where that is alone
  SaId out;
  std::optional<SaId> ah_in{};  // AH over ESP
  std::optional<SaId> ah_out{};
  std::optional<SaId> comp_in{};  // IPComp inside them
  std::optional<SaId> comp_out{};
  TransformSet set;
  std::string algorithms;  // "esp-aes-256 esp-sha256-hmac"
  std::optional<DhGroup> pfs;
  std::optional<UdpEncapsulation> encapsulation;
  IpAddress local_gateway;
  IpAddress remote_gateway;
  std::uint16_t replay_window = 0;
  bool esn = false;  // extended sequence numbers
  Instant established_at;
  std::optional<Instant> rekey_at;  // none for an old one
  Instant expires_at;
  Kilobytes kilobytes;        // hard limit; 0: none
  std::uint64_t packets = 0;  // likewise, of each SA
  bool adopted = false;       // an earlier run negotiated it
};

enum class TunnelState : std::uint8_t {
  up,
  connecting,
  down
};  // up: every pair has an SA, or a narrowed one of it
struct TunnelSnapshot {
  std::string name;
  TunnelState state{};
  StartMode start{};
  std::vector<PairConfig> pairs;
  std::vector<PairConfig> narrowed;     // that the peer has made of them
  std::optional<LastError> last_error;  // cleared when the tunnel comes up
  std::optional<Instant> up_since;
  std::optional<Instant> retry_at;
  std::vector<SaPairSnapshot> sas;
};

// The peer's `allow_weak`, and what of it this configuration needs.
struct WaiverSnapshot {
  std::vector<Weak> needed;
  std::optional<std::chrono::sys_days> until;  // the last day; none: without end
  std::string reason;
};

enum class PeerState : std::uint8_t { established, connecting, down };
struct TunnelCounts {
  std::size_t configured = 0;
  std::size_t up = 0;
};

// How much there is of what is bounded.
struct EngineLoad {
  std::size_t isakmp_sas = 0;  // negotiations under way too
  std::size_t half_open = 0;   // of these, as responder, not yet authenticated
  std::size_t half_open_limit = 0;
  std::size_t half_open_limit_of_a_source = 0;
};

struct PeerSnapshot {
  std::string name;
  std::optional<IpAddress> local;
  std::optional<IpAddress> remote;
  PeerState state{};
  std::vector<IkeSaSnapshot> isakmp_sas;  // the current one first
  std::optional<LastError> last_error;
  bool waiver_expired = false;
  std::optional<WaiverSnapshot> waiver;  // if it needs one
  std::vector<TunnelSnapshot> tunnels;
};

}  // namespace oakgate::ike
