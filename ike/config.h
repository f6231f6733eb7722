// What the protocol core has to know of the configuration: plain values the daemon makes from conf/.
//
// No secrets: pre-shared keys stay in the KeyStore, asked for by the peer's name. No addresses to look up:
// host names and routes are resolved outside and come in by SetPeerAddresses.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ike/base/nat_forms.h"
#include "ike/base/net.h"
#include "ike/base/policy.h"
#include "ike/base/trust.h"
#include "ike/base/types.h"
#include "ike/crypto/public_key.h"

namespace oakgate::ike {

// One pair of `local` x `remote`: one SA pair of its own, exact proxy identities. As an initiator we never
// narrow it; a peer may, where `accept` is subset (narrowed_pairs.h).
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
  RekeyMode rekey = RekeyMode::on_traffic;  // one that starts by itself is renewed though it is idle
  std::uint16_t replay_window = 64;
  bool esn = false;  // extended sequence numbers, RFC 4304: asked for and insisted on
  PacketHandling handling;
  KernelTies ties;
  AcceptMode accept = AcceptMode::exact;
  friend bool operator==(const TunnelConfig&, const TunnelConfig&) = default;
};

struct PublicKey {
  std::string name;  // in `public_keys:`; with several, the one that the peer's identity names is taken
  Bytes spki;        // DER SubjectPublicKeyInfo, RSA
  friend bool operator==(const PublicKey&, const PublicKey&) = default;
};
// RSA-encrypted nonces, RFC 2409 sections 5.2 and 5.3.
struct RsaEncryption {
  std::vector<PublicKey> peer_keys;  // the first is the one we begin with
  std::string own_key;               // its name in the KeyStore
  Bytes own_spki;                    // HASH(1) names it; empty: the key is not there yet
  SkeyidForm skeyid = SkeyidForm::automatic;
  friend bool operator==(const RsaEncryption&, const RsaEncryption&) = default;
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
  NatTraversal nat_traversal = NatTraversal::rfc;
  bool fragmentation = true;  // IKE fragmentation: announced, taken, and done if the peer announces it
  bool aggressive = false;    // Aggressive Mode: we begin with it, and answer it
  DeadPeerDetection dpd;      // RFC 3706
  SendCertificate send_certificate = SendCertificate::on_request;
  std::string trustpoint;  // for signatures: what proves us, and whom the peer must chain to; empty: none
  std::optional<RsaEncryption> rsa_encryption;
  std::vector<TunnelConfig> tunnels;
  friend bool operator==(const PeerConfig&, const PeerConfig&) = default;
};

// Bounds and timers: every one explicit, none reachable from the wire without one.
struct Limits {
  std::size_t half_open_total = 1024;     // phase 1 negotiations as responder, not yet authenticated
  std::size_t half_open_per_source = 16;  // and of one source (half_open.h)
  int aggressive_per_minute = 60;         // message 1 of Aggressive Mode that are computed for, for each peer
  int aggressive_burst = 20;
  std::size_t sas_per_peer = 64;           // IKE SAs held with one peer
  std::size_t exchanges_per_sa = 64;       // phase 2 exchanges under way under one IKE SA
  std::size_t transactions_per_sa = 16;    // Transactions and New Group Modes answered lately
  std::size_t remembered_messages = 1024;  // message ids of an IKE SA that a replay is recognised by
  std::size_t narrowed_per_tunnel = 64;    // pairs that the peer has narrowed (narrowed_pairs.h)
  Milliseconds retransmit_first{1000};     // doubled each time, up to:
  Milliseconds retransmit_ceiling{8000};
  int retransmit_tries = 5;  // after the first transmission
  // More tries for our authentication with a certificate: the peer may be waiting for its CRL.
  int verification_tries = 3;
  Milliseconds half_open_life{30000};  // a responder's patience for an unauthenticated peer
  int proofs = 8;                      // signatures of one negotiation that are looked at
  int half_open_extensions = 2;        // so often again, while a computation or verification of ours lasts
  Milliseconds retry_first{5000};      // before a failed tunnel starts again; doubled, up to:
  Milliseconds retry_ceiling{60000};
  Milliseconds old_sa_grace{10000};       // a replaced SA still receives for so long
  Milliseconds last_packets{2000};        // and for so long after we have told the peer to delete it
  Milliseconds switch_delay{8000};        // a renewed SA pair sends so long after message 3 (tunnels.h)
  Milliseconds connected_wait{3000};      // for a peer's CONNECTED, if it set the commit bit
  Milliseconds keepalive{20000};          // NAT keep-alives, RFC 3948 section 4
  Milliseconds reassembly{30000};         // fragments of a message are kept for so long
  Milliseconds probe_pause{60000};        // between probes that unauthenticated messages cause
  Milliseconds unknown_spi_pause{10000};  // between INVALID-SPI notifies to one peer
  Milliseconds move_pause{5000};          // between two moves of one peer behind a NAT
  // SA pairs of an earlier run are renewed so long after the start, at random, that their peers do not all
  // come at once; and later by a little for each of them.
  Milliseconds adopted_first{1000};
  Milliseconds adopted_last{10000};
  Milliseconds adopted_each{10};
  std::size_t nonce_bytes = 20;  // of our nonces: 8 to 256, RFC 2409 section 5
};

// What the protocol has to know of a trustpoint. It changes while the daemon runs (enrolment, renewal), so it
// comes by SetTrustpoint, not with the configuration. Nothing in it is secret.
struct OwnCertificate {
  Bytes certificate;         // DER
  std::vector<Bytes> chain;  // DER, the intermediates behind it, without the root
  std::string key;           // its name in the KeyStore
  crypto::KeyKind algorithm = crypto::KeyKind::rsa;
  Bytes subject;  // DER Name
  // What it says we are: subjectAltName, and IOS's unstructuredName and unstructuredAddress in the subject.
  std::vector<IpAddress> addresses;
  std::vector<std::string> host_names;
  std::vector<std::string> user_names;  // user@host
  friend bool operator==(const OwnCertificate&, const OwnCertificate&) = default;
};
// Of a key of ours that decrypts: HASH(1) of RSA-encrypted nonces may name the key by it.
struct EncryptionCertificate {
  std::string key;  // its name in the KeyStore
  Bytes certificate;
  friend bool operator==(const EncryptionCertificate&, const EncryptionCertificate&) = default;
};
struct TrustpointState {
  std::string name;
  std::vector<Bytes> ca_names;        // DER Names, for CERT_REQ: those whose certificates we accept
  std::optional<OwnCertificate> own;  // the one that signs
  std::string why_none;               // if there is no `own`: "no certificate yet: `oakgate pki enroll corp`"
  std::optional<EncryptionCertificate> own_encryption{};
  friend bool operator==(const TrustpointState&, const TrustpointState&) = default;
};

struct EngineConfig {
  std::string gateway;  // its name, for events
  std::vector<PeerConfig> peers;
  Limits limits{};
  bool keep = false;  // SAs outlive the daemon: KeepPair and ForgetPair say what there is to remember
};

}  // namespace oakgate::ike
