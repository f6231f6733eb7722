// An IKE SA (ISAKMP SA) and the exchanges under it, as data. What happens to them stands in main_mode.cc,
// quick_mode.cc and informational.cc; how messages reach them in exchange.cc and transport.cc.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "ike/base/policy.h"
#include "ike/base/result.h"
#include "ike/crypto/dh.h"
#include "ike/crypto/keys.h"
#include "ike/effects.h"
#include "ike/nat_traversal.h"
#include "ike/states.h"
#include "ike/timers.h"
#include "ike/transform_match.h"
#include "ike/wire/message.h"

namespace oakgate::ike {

using IkeSaId = StrongNumber<struct IkeSaIdTag, std::uint64_t>;    // never used again
using SaPairId = StrongNumber<struct SaPairIdTag, std::uint64_t>;  // likewise

enum class ExchangeKind : std::uint8_t { main_mode, quick_mode, informational };

// A message that was taken, by its digest, and what it was answered with: a retransmission gets the same
// answer.
struct AnsweredMessage {
  Bytes digest;
  Bytes reply;  // empty: none
};

// Secret while `private_value` is set.
struct KeyExchange {
  std::optional<crypto::DhKeyPair> ours;
  Bytes theirs;
  std::optional<SecretBytes> shared;
};

// A datagram that waits, with where it came from: it may be the one that floats to port 4500.
struct HeldMessage {
  Endpoint local;
  Endpoint remote;
  Bytes data;
};

// What every exchange has: where it stands, its IV, and what makes it survive loss and repetition.
struct Exchange {
  ExchangeKind kind{};
  Role role{};
  State state{};
  MessageId id;     // 0: Main Mode
  Bytes iv;         // moves only with a message that was good
  Bytes last_sent;  // the datagram; retransmitted until the exchange moves on
  int tries = 0;
  TimerId retransmit_timer;
  std::vector<AnsweredMessage> answered;  // the last few
  std::optional<HeldMessage> held;        // one message that came while a job was under way
  std::optional<JobId> job;               // under way
  State resume_state{};                   // where to fall back to if the job fails by the peer's fault
  std::optional<Error> hint;              // the best explanation so far, should the exchange time out
  KeyExchange key_exchange;
  Bytes nonce_i;
  Bytes nonce_r;
  virtual ~Exchange() = default;
};

// Main Mode's own; given up once the SA is established and duplicates need no answer any more.
struct MainMode : Exchange {
  Bytes sa_body;  // SAi_b
  std::vector<Bytes> nat_hashes;
};

struct QuickMode : Exchange {
  Reqid reqid;  // the selector pair it is about; set once known
  Spi our_spi;
  std::optional<ChosenTransform> chosen;
  std::vector<SaPairId> replaces;  // SA pairs of the selector pair that were there when it began
  std::optional<SaPairId> result;
  bool failed = false;
};

struct PeerCapabilities {
  bool nat_traversal = false;
  bool dead_peer_detection = false;
};

struct IkeSa {
  IkeSaId id;
  CookiePair cookies;
  Role role{};
  std::string peer;  // configured name
  Endpoint local;
  Endpoint remote;
  State state{};  // the phase 1 exchange's, kept when that is gone
  std::optional<IsakmpPolicy> policy;
  crypto::Phase1Keys keys;  // secret; empty before they are derived
  Bytes last_phase1_block;  // IVs of later exchanges grow from it
  PeerCapabilities capabilities;
  NatSituation nat;
  std::optional<Identity> remote_identity;
  std::unique_ptr<MainMode> main_mode;
  std::unordered_map<MessageId, std::unique_ptr<QuickMode>> quick_modes;
  // Message ids that were used, oldest first: a replayed first message is recognised by them.
  std::unordered_set<MessageId> seen_ids;
  std::deque<MessageId> seen_order;
  std::optional<Instant> established_at;
  TimerId half_open_timer;
  IpAddress half_open_source;  // where it was counted
  TimerId rekey_timer;
  TimerId expiry_timer;
  TimerId keepalive_timer;
  int notifies_sent = 0;  // in clear, before authentication: bounded
  [[nodiscard]] bool established() const { return state == State::established; }
  [[nodiscard]] bool half_open() const { return role == Role::responder && !established(); }
};

}  // namespace oakgate::ike
