// What the exchanges and authentication methods of phase 1 share: vendor IDs, the policy that was chosen, KE
// and nonce, NAT detection, key derivation, HASH_I and HASH_R, identities. RFC 2409 sections 5 to 5.4, RFC
// 3947. The tables that use these stand in main_mode.cc, aggressive_mode.cc, signatures.cc and
// rsa_encryption.cc.
//
// A handler that takes its peer's last message calls keep_proof: jobs come between the message and the SA.
#pragma once

#include <string>
#include <vector>

#include "ike/exchange.h"
#include "ike/policy_match.h"

namespace oakgate::ike {

inline constexpr std::uint8_t kManyPayloads = 64;

[[nodiscard]] Phase1Exchange& phase1_of(Run& run);
[[nodiscard]] Role other(Role role);
[[nodiscard]] wire::ExchangeType exchange_type(const Run& run);

// ---- vendor IDs: the first message of each side. A responder answers a form of NAT traversal by the vendor
// ID that announced it.
void append_vendor_ids(const Peer& peer, const PeerCapabilities& theirs,
                       std::vector<wire::Payload>& payloads);
void read_vendor_ids(Run& run);
// IOS sends some of them with its key exchange only. Not about NAT-T: for that it is too late by then.
void read_late_vendor_ids(Run& run);
// Main Mode, message 2: never longer than message 1, whose sender may not be who it says. Vendor IDs that do
// not fit are left out, and sent with message 4.
void leave_out_what_does_not_fit(Run& run, std::vector<wire::Payload>& payloads);
void append_left_out(Run& run, std::vector<wire::Payload>& payloads);

// ---- the policy
using Policies = Result<std::vector<IsakmpPolicy>>;
// Responder, the first message: one of `policies` becomes the SA's, and what else the message says is read.
// The SA payload to answer with.
[[nodiscard]] Result<wire::SaPayload> take_offered_policy(Run& run, Policies policies);
// Initiator, the answer: its choice becomes the SA's policy, the responder's cookie the SA's.
[[nodiscard]] Result<void> take_chosen_policy(Run& run, const Policies& policies);

// ---- the key exchange
// INVALID-KEY-INFORMATION for a public value that is not as long as the policy's group asks.
[[nodiscard]] Result<void> check_public_value(const Run& run, ByteView value);
// RFC 2409 section 5: 8 to 256 bytes.
[[nodiscard]] Result<void> check_nonce(ByteView nonce);
// KE and NONCE of a message in clear, checked and kept.
[[nodiscard]] Result<void> read_key_exchange(Run& run);
// NAT-D of the form that both sides speak: what is found is kept and told. Others mean nothing.
[[nodiscard]] Result<void> read_nat(Run& run);
// The same, of NAT-D hashes that came from `remote` to `local`.
[[nodiscard]] Result<void> judge_nat(Run& run, const Endpoint& local, const Endpoint& remote,
                                     const std::vector<Bytes>& hashes);
[[nodiscard]] Result<void> append_nat_detection(const Run& run, std::vector<wire::Payload>& payloads);
// RFC 3947 section 4: from message 5 (Aggressive Mode: 3) on port 4500 is used if there is a NAT; drafts 00
// and 01 stay where they are.
void float_ports(IkeSa& sa);

// Our key pair has been made; our nonce with it.
void take_own_key(Run& run);
void start_shared(Run& run);
[[nodiscard]] SecretBytes take_secret(Run& run);
[[nodiscard]] const Bytes& public_of(const Run& run, Role role);
[[nodiscard]] Bytes both_nonces(const Run& run);  // Ni_b | Nr_b

// ---- keys: `skeyid` as the method has it, g^xy already in key_exchange.shared
[[nodiscard]] Result<void> derive_keys(Run& run, SecretBytes skeyid);
// HASH_I or HASH_R.
[[nodiscard]] Result<Bytes> hash_of(const Run& run, Role sender, ByteView id_body);

// ---- authentication
// INITIAL-CONTACT, if we know of no other IKE SA with this peer.
void append_initial_contact(Run& run, std::vector<wire::Payload>& payloads);
// Keeps what the peer's last message says besides its proof.
void keep_proof(Run& run);
// Responder: the initiator uses port 4500 exactly if it believes in a NAT (RFC 3947 section 4). NAT-D are not
// authenticated, and a spoilt one must not leave two sides that disagree: it decides. keep_proof does this in
// Main Mode; Aggressive Mode learns of the NAT only with the proof.
void settle_nat(Run& run);
// The peer is proved: the responder's ends move to where the proof came from.
void follow_proof(Run& run);
// Who we say we are, once for an exchange: own_id. With signatures our certificate has a say
// (certificates.h).
[[nodiscard]] Result<void> choose_own_id(Run& run, const IsakmpPolicy& policy);
// The other side's HASH, whose ID is `id`: past it, the sender has proved to know the keys.
[[nodiscard]] Result<void> check_hash(Run& run, const wire::IdPayload& id, ByteView hash);
// Some peers, VPN 3000 among them, put another protocol and port into their ID: that is told, and means
// nothing.
void tell_odd_identity(Run& run, const wire::IdPayload& id);
// Who the peer says it is, if that is whom the configuration wants: IDENTITY otherwise. Only for methods
// whose key belongs to the configured peer: signatures let the certificate decide.
[[nodiscard]] Result<Identity> check_identity(Run& run, const wire::IdPayload& id);

}  // namespace oakgate::ike
