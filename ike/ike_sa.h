// An IKE SA (ISAKMP SA) and the exchanges under it, as data. What happens to them stands in main_mode.cc,
// phase1.cc, quick_mode.cc and informational.cc; how messages reach them in exchange.cc and transport.cc.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ike/base/nat_forms.h"
#include "ike/base/policy.h"
#include "ike/base/result.h"
#include "ike/crypto/dh.h"
#include "ike/crypto/keys.h"
#include "ike/effects.h"
#include "ike/encrypted_payloads.h"
#include "ike/fragments.h"
#include "ike/nat_traversal.h"
#include "ike/states.h"
#include "ike/timers.h"
#include "ike/transform_match.h"
#include "ike/wire/message.h"

namespace oakgate::ike {

using IkeSaId = StrongNumber<struct IkeSaIdTag, std::uint64_t>;    // never used again
using SaPairId = StrongNumber<struct SaPairIdTag, std::uint64_t>;  // likewise

enum class ExchangeKind : std::uint8_t {
  main_mode,
  aggressive_mode,
  quick_mode,
  informational,
  transaction,
  new_group
};
[[nodiscard]] constexpr bool is_phase1(ExchangeKind kind) {
  return kind == ExchangeKind::main_mode || kind == ExchangeKind::aggressive_mode;
}

using MessageDigest = std::array<std::uint8_t, 32>;  // SHA-256

// A message that was taken, by its digest.
struct AnsweredMessage {
  MessageDigest digest{};
  bool by_last_sent = false;  // that is what it was answered with: a retransmission gets the same answer
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

struct PeerCapabilities {
  const NatForm* nat_traversal = nullptr;  // the form that both sides speak; null: none
  std::optional<VendorId> nat_vendor_id;   // by which the peer announced it: it is answered by the same
  bool dead_peer_detection = false;
  bool fragmentation = false;  // it takes fragments, and we send them
};

// Where an exchange, and the SA it makes, stood before a message was taken. What a message says may prove
// false only after a job (a public value that is none, a signature that does not verify): anybody could have
// sent it, so everything goes back to this, and the genuine message is taken as if nothing had been.
struct Checkpoint {
  State state{};
  Bytes iv;
  std::vector<AnsweredMessage> answered;
  Bytes last_sent;
  int tries = 0;
  bool repeating = false;  // last_sent was waiting for an answer
  // Of the SA, in phase 1.
  Cookie responder_cookie{};
  std::string peer;
  std::optional<IsakmpPolicy> policy;
  PeerCapabilities capabilities;
  NatSituation nat;
};

// What every exchange has: where it stands, its IV, and what makes it survive loss and repetition.
struct Exchange {
  ExchangeKind kind{};
  Role role{};
  State state{};
  MessageId id;     // 0: phase 1
  Bytes iv;         // moves only with a message that was good
  Bytes last_sent;  // the datagram; retransmitted until the exchange moves on
  int tries = 0;
  TimerId retransmit_timer;
  std::vector<AnsweredMessage> answered;  // the last few
  std::optional<JobId> job;               // under way
  // What most exchanges have for moments; null: nothing.
  std::unique_ptr<HeldMessage> held;       // one message that came while a job was under way
  std::unique_ptr<Checkpoint> checkpoint;  // before the message that was taken last
  std::unique_ptr<Error> hint;             // the best explanation so far, should the exchange time out
  KeyExchange key_exchange;
  Bytes nonce_i;
  Bytes nonce_r;
  Exchange() = default;
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;
  virtual ~Exchange() = default;

  // `datagram` goes out now; as the answer to the message that was taken last, if there was one.
  void sent(Bytes datagram);
  // It is done, and stays only to answer repetitions: what the negotiation alone needed goes.
  virtual void retire();
};

// What RSA-encrypted nonces need between messages 2 and 6 (rsa_encryption.cc). Secret.
struct EncryptedNonces {
  Bytes peer_spki;  // whom we encrypt to
  SecretBytes nonce_i;
  SecretBytes nonce_r;
  Bytes own_id;         // the ID body we send
  SecretBytes peer_id;  // the ID body that came, decrypted; bytes of any kind until HASH verifies
  std::vector<EncryptedBody> received;  // of message 3 or 4
  Endpoint local;                       // that message's ends
  Endpoint remote;
  std::vector<Bytes> nat_hashes;      // revised mode: its NAT-D, decrypted
  bool hopeless = false;              // what came cannot be the peer's, which must not show before HASH
  bool proved = false;                // HASH verified
  SkeyidForm form = SkeyidForm::rfc;  // of IkeSa::keys
  // Responder: the keys by each form of SKEYID that the peer may use; those that fit become IkeSa::keys.
  struct Form {
    SkeyidForm form{};
    crypto::Phase1Keys keys;
  };
  std::vector<Form> forms;
};

// Phase 1's own; given up once the SA is established and duplicates need no answer any more.
struct Phase1Exchange : Exchange {
  Bytes sa_body;  // SAi_b
  // Of the message that authenticates the peer, kept while jobs prove it: its ends (it may be the one that
  // floats to port 4500) and whether it holds INITIAL-CONTACT.
  Endpoint proof_local;
  Endpoint proof_remote;
  bool initial_contact = false;
  bool certificate_wanted = false;        // the peer sent CERT_REQ
  std::optional<wire::IdPayload> own_id;  // once it is chosen
  std::vector<wire::Payload> left_out;    // vendor IDs that message 2 has no room for
  std::vector<wire::Payload> own_proof;   // CERT, while SIG is being made
  int proofs = 0;                         // of the peer that were looked at: bounded
  // Aggressive Mode: what messages 1 and 2 hold, until the keys are there.
  wire::SaPayload reply;
  wire::IdPayload peer_id;
  Bytes peer_proof;  // HASH_R or SIG_R
  std::vector<CertificateBlob> peer_certificates;
  std::unique_ptr<EncryptedNonces> encrypted;

  void retire() override;
};

struct QuickMode : Exchange {
  Reqid reqid;  // the selector pair it is about; set once known
  std::vector<wire::IdPayload>
      peer_ids;           // responder: the peer's client identities, IDci first, if it sent any
  ProtocolSpis our_spis;  // what the peer sends with; as initiator, of every protocol offered
  std::optional<ChosenTransform> chosen;
  std::uint32_t soft_percent = 90;  // of the kilobytes, when the SA pair is renewed
  std::vector<SaPairId> replaces;   // SA pairs of the selector pair that were there when it began
  std::optional<SaPairId> result;
  Instant begun_at{};
  bool withdrawn = false;       // our offer, not needed any more: sent no more, but an answer counts
  Instant keyed_at{};           // when its inbound SA went to the data plane: life counts from there
  bool holds_outbound = false;  // its outbound SA is not installed by the exchange (tunnels.h)
  bool commit = false;          // the peer set the commit bit: it says CONNECTED (quick_mode.h)
  bool failed = false;

  void retire() override;
};

// What dead_peers.cc knows of the peer's life, by one established SA.
struct DeadPeerWatch {
  TimerId timer;
  Instant heard;                         // the last sign of life that cannot be a replay
  bool asked_for = false;                // traffic has gone to the peer since
  std::optional<Instant> probing_since;  // R-U-THERE are out, the first since then
  int probes = 0;                        // of this round
  std::uint32_t sequence = 0;            // of our last R-U-THERE
  std::optional<JobId> counting;         // the data plane is asked
  std::optional<Instant> hinted;         // when an unauthenticated message last caused a probe
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
  bool life_shortened = false;  // responder: our life is shorter than the one offered, which the peer is told
  crypto::Phase1Keys keys;      // secret; empty before they are derived
  Bytes last_phase1_block;      // IVs of later exchanges grow from it
  PeerCapabilities capabilities;
  NatSituation nat;
  std::optional<Identity> remote_identity;
  std::unique_ptr<VerifiedPeer> certificate;  // that proved it, without its chain; null: none did
  std::unique_ptr<Phase1Exchange> phase1;
  std::map<MessageId, std::unique_ptr<QuickMode>> quick_modes;
  // Transactions and New Group Modes of the peer's, kept a while to answer repetitions (transactions.h).
  std::map<MessageId, std::unique_ptr<Exchange>> transactions;
  std::optional<Error> xauth_refused;  // the peer asked for it: should it take the SA away, that is why
  // Message ids that were used, a ring once it is full: a replayed first message is recognised by them. They
  // are looked through one by one: there are few, and at most Limits::remembered_messages.
  std::vector<MessageId> seen_ids;
  std::size_t seen_oldest = 0;
  // When the peer surely was at work on this negotiation: its first message came (again, if that proved
  // false).
  Instant begun_at{};
  std::optional<Instant> established_at;
  TimerId half_open_timer;
  std::size_t request_bytes = 0;  // of the last message: an answer in clear is not longer
  TimerId rekey_timer;
  TimerId expiry_timer;
  TimerId keepalive_timer;
  std::unique_ptr<Reassembly> fragments;  // of the message that is coming in pieces, while it is
  TimerId fragments_timer;
  DeadPeerWatch watch;
  std::optional<Instant> told_unknown_spi;  // when we last sent INVALID-SPI
  std::optional<Endpoint> proved_at;        // where an authentic message just came from
  std::optional<Instant> moved_at;          // when the peer was last found somewhere else
  int patience = 0;       // how often half_open_timer was armed anew, while a job was under way
  int notifies_sent = 0;  // in clear, before authentication: bounded
  [[nodiscard]] bool established() const { return state == State::established; }
  [[nodiscard]] bool half_open() const { return role == Role::responder && !established(); }
};

}  // namespace oakgate::ike
