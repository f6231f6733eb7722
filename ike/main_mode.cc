#include "ike/main_mode.h"

#include <algorithm>
#include <array>

#include "ike/base/vendor_ids.h"
#include "ike/crypto/keys.h"
#include "ike/identities.h"
#include "ike/informational.h"
#include "ike/phase1.h"
#include "ike/policy_match.h"
#include "ike/sa_book.h"
#include "ike/transport.h"

namespace oakgate::ike {

namespace {

using wire::ExchangeType;
using wire::Payload;
using wire::PayloadType;

constexpr std::size_t kShortestNonce = 8;  // RFC 2409 section 5: "between 8 and 256 bytes inclusive"
constexpr std::size_t kLongestNonce = 256;
constexpr std::uint8_t kMany = 64;

MainMode& mode(Run& run) {
  return static_cast<MainMode&>(run.exchange);
}
Peer& peer_of(Run& run) {
  return *run.core.find_peer(run.sa.peer);
}

// ---- vendor IDs

std::vector<Payload> with_vendor_ids(const Peer& peer, wire::SaPayload sa) {
  std::vector<Payload> payloads;
  payloads.emplace_back(std::move(sa));
  const auto add = [&](VendorId id) {
    payloads.emplace_back(wire::VendorIdPayload{*from_hex(vendor_id_info(id).hex)});
  };
  if (peer.config.nat_traversal) add(VendorId::nat_t_rfc3947);
  add(VendorId::dpd);
  return payloads;
}

void read_vendor_ids(Run& run) {
  for (const auto* payload : payloads_of<wire::VendorIdPayload>(run.message->body)) {
    const auto known = find_vendor_id(payload->data);
    if (known == VendorId::nat_t_rfc3947)
      run.sa.capabilities.nat_traversal = peer_of(run).config.nat_traversal;
    if (known == VendorId::dpd) run.sa.capabilities.dead_peer_detection = true;
    Event event = run.core.event(EventId::vendor_id_received, run.sa);
    const ByteView body(payload->data);
    event.fields = {{"name", known ? std::string(vendor_id_info(*known).name)
                                   : to_hex(body.first(std::min<std::size_t>(body.size(), 32)))}};
    event.authenticated = false;
    run.core.raise(std::move(event));
  }
}

// ---- the policy

void policy_chosen(Run& run, const ChosenPolicy& chosen) {
  run.sa.policy = chosen.policy;
  Event event = run.core.event(EventId::phase1_policy_chosen, run.sa);
  event.fields = {{"policy", to_string(chosen.policy)},
                  {"lifetime", std::to_string(chosen.policy.lifetime.count())}};
  run.core.raise(std::move(event));
}

void no_policy(Run& run, const Error& error) {
  Event event = run.core.event(EventId::phase1_no_policy, run.sa);
  event.error = error;
  event.authenticated = false;
  run.core.raise(std::move(event));
}

// Responder, message 1: HDR, SA
Result<void> take_offer(Run& run) {
  const auto& offer = *payload_of<wire::SaPayload>(run.message->body);
  auto chosen = choose_policy(peer_of(run).config.policies, offer);
  if (!chosen) {
    no_policy(run, chosen.error());
    return fail(std::move(chosen.error()));
  }
  read_vendor_ids(run);
  policy_chosen(run, *chosen);
  mode(run).sa_body = offer.raw_body;
  return send_clear(run.core, run.sa, run.exchange, ExchangeType::identity_protection,
                    with_vendor_ids(peer_of(run), std::move(chosen->reply)), Expect::nothing);
}

// Initiator, message 2: HDR, SA
Result<void> take_choice(Run& run) {
  auto chosen =
      check_chosen_policy(peer_of(run).config.policies, *payload_of<wire::SaPayload>(run.message->body));
  if (!chosen) {
    no_policy(run, chosen.error());
    return fail(std::move(chosen.error()));
  }
  set_responder_cookie(run.core, run.sa, run.message->header.cookies.responder);
  read_vendor_ids(run);
  policy_chosen(run, *chosen);
  start_job(run, DhGenerate{run.sa.policy->group}, State::mm_i_sent_sa);
  return {};
}

// ---- the key exchange

struct KeyExchangeValues {
  Bytes public_value;
  Bytes nonce;
};

Result<KeyExchangeValues> read_key_exchange(const Run& run) {
  const auto& ke = *payload_of<wire::KeyExchangePayload>(run.message->body);
  const auto& nonce = *payload_of<wire::NoncePayload>(run.message->body);
  const DhGroupInfo& group = info(run.sa.policy->group);
  if (ke.data.size() != group.public_bytes) {
    return reject(NotifyType::invalid_key_information, ErrorCode::malformed,
                  "the KE payload has " + std::to_string(ke.data.size()) + " bytes",
                  std::to_string(group.public_bytes) + " bytes for " + std::string(group.name));
  }
  if (nonce.data.size() < kShortestNonce || nonce.data.size() > kLongestNonce) {
    return reject(NotifyType::payload_malformed, ErrorCode::malformed,
                  "the nonce has " + std::to_string(nonce.data.size()) + " bytes", "8 to 256 bytes");
  }
  return KeyExchangeValues{ke.data, nonce.data};
}

Result<NatSituation> read_nat(const Run& run) {
  if (!run.sa.capabilities.nat_traversal) return NatSituation{};
  std::vector<Bytes> hashes;
  for (const auto* payload : payloads_of<wire::NatDetectionPayload>(run.message->body)) {
    if (payload->type == PayloadType::nat_d) hashes.push_back(payload->hash);
  }
  return detect_nat(run.sa.policy->hash, run.message->header.cookies, run.message->datagram.local,
                    run.message->datagram.remote, hashes);
}

void nat_found(Run& run, const NatSituation& nat) {
  run.sa.nat = nat;
  if (!nat.any()) return;
  Event event = run.core.event(EventId::nat_detected, run.sa);
  event.fields = {{"where", nat.to_string()}};
  event.authenticated = false;
  run.core.raise(std::move(event));
}

Result<void> send_key_exchange(Run& run, const Bytes& nonce, Expect expect) {
  std::vector<Payload> payloads;
  payloads.emplace_back(wire::KeyExchangePayload{run.exchange.key_exchange.ours->public_value});
  payloads.emplace_back(wire::NoncePayload{nonce});
  if (run.sa.capabilities.nat_traversal) {
    auto detection = nat_detection_payloads(run.sa.policy->hash, run.sa.cookies, run.sa.local, run.sa.remote);
    if (!detection) return fail(std::move(detection.error()));
    payloads.insert(payloads.end(), detection->begin(), detection->end());
  }
  return send_clear(run.core, run.sa, run.exchange, ExchangeType::identity_protection, payloads, expect);
}

crypto::DhKeyPair take_pair(Run& run) {
  return std::get<crypto::DhKeyPair>(std::move(*run.job->result));
}
SecretBytes take_secret(Run& run) {
  return std::get<SecretBytes>(std::move(*run.job->result));
}

// Initiator: our key pair is there; message 3: HDR, KE, Ni
Result<void> offer_key(Run& run) {
  run.exchange.key_exchange.ours = take_pair(run);
  run.exchange.nonce_i = run.core.random(run.core.limits().nonce_bytes);
  return send_key_exchange(run, run.exchange.nonce_i, Expect::answer);
}

// Responder, message 3
Result<void> take_key(Run& run) {
  auto values = read_key_exchange(run);
  if (!values) return fail(std::move(values.error()));
  auto nat = read_nat(run);
  if (!nat) return fail(std::move(nat.error()));
  nat_found(run, *nat);
  run.exchange.key_exchange.theirs = std::move(values->public_value);
  run.exchange.nonce_i = std::move(values->nonce);
  start_job(run, DhGenerate{run.sa.policy->group}, State::mm_r_sent_sa);
  return {};
}

Result<void> start_shared(Run& run, State fall_back) {
  start_job(run, DhShared{run.exchange.key_exchange.ours->clone(), run.exchange.key_exchange.theirs},
            fall_back);
  return {};
}

// Responder: message 4: HDR, KE, Nr; meanwhile g^xy is computed.
Result<void> answer_key(Run& run) {
  run.exchange.key_exchange.ours = take_pair(run);
  run.exchange.nonce_r = run.core.random(run.core.limits().nonce_bytes);
  // The peer has shown that it receives at its address, so message 4 may be repeated unasked.
  if (auto sent = send_key_exchange(run, run.exchange.nonce_r, Expect::answer); !sent) return sent;
  return start_shared(run, State::mm_r_sent_sa);
}

// Initiator, message 4
Result<void> take_key_answer(Run& run) {
  auto values = read_key_exchange(run);
  if (!values) return fail(std::move(values.error()));
  auto nat = read_nat(run);
  if (!nat) return fail(std::move(nat.error()));
  nat_found(run, *nat);
  run.exchange.key_exchange.theirs = std::move(values->public_value);
  run.exchange.nonce_r = std::move(values->nonce);
  return start_shared(run, State::mm_i_sent_ke);
}

// ---- SKEYID and the keys

// SKEYID = prf(pre-shared-key, Ni_b | Nr_b), computed where the key is.
Result<void> ask_for_skeyid(Run& run) {
  run.exchange.key_exchange.shared = take_secret(run);
  Bytes nonces = run.exchange.nonce_i;
  nonces.insert(nonces.end(), run.exchange.nonce_r.begin(), run.exchange.nonce_r.end());
  start_job(run, PreSharedKeyPrf{run.sa.peer, run.sa.policy->hash, std::move(nonces)}, run.exchange.state);
  return {};
}

const Bytes& public_of(const Run& run, Role role) {
  const KeyExchange& ke = run.exchange.key_exchange;
  return role == run.sa.role ? ke.ours->public_value : ke.theirs;
}

Result<void> derive_keys(Run& run) {
  const IsakmpPolicy& policy = *run.sa.policy;
  auto keys = crypto::derive_phase1_keys(policy.hash, policy.encryption, take_secret(run),
                                         *run.exchange.key_exchange.shared, run.sa.cookies);
  if (!keys) return fail(std::move(keys.error()));
  auto iv = crypto::phase1_iv(policy.hash, policy.encryption, public_of(run, Role::initiator),
                              public_of(run, Role::responder));
  if (!iv) return fail(std::move(iv.error()));
  run.sa.keys = std::move(*keys);
  run.exchange.iv = std::move(*iv);
  return {};
}

Result<Bytes> hash_of(const Run& run, Role sender, ByteView id_body) {
  const Role other = sender == Role::initiator ? Role::responder : Role::initiator;
  return crypto::authentication_hash(run.sa.policy->hash, run.sa.keys, sender,
                                     {public_of(run, sender), public_of(run, other), run.sa.cookies,
                                      static_cast<const MainMode&>(run.exchange).sa_body, id_body});
}

// ---- authentication

Payload initial_contact(const IkeSa& sa) {
  // RFC 2407 section 4.6.3.3: the SPI is the two cookies.
  Bytes spi(sa.cookies.initiator.begin(), sa.cookies.initiator.end());
  spi.insert(spi.end(), sa.cookies.responder.begin(), sa.cookies.responder.end());
  return wire::NotifyPayload{
      wire::kDoiIpsec, wire::kProtocolIsakmp, NotifyType::initial_contact, std::move(spi), {}};
}

// HDR*, ID, HASH [, INITIAL-CONTACT]
Result<void> send_authentication(Run& run, Expect expect) {
  wire::IdPayload id = phase1_id(peer_of(run).config.local_identity, run.sa.local.address);
  auto hash = hash_of(run, run.sa.role, id.body());
  if (!hash) return fail(std::move(hash.error()));
  std::vector<Payload> payloads{std::move(id), wire::HashPayload{std::move(*hash)}};
  if (run.core.current_sa(peer_of(run)) == nullptr) payloads.push_back(initial_contact(run.sa));
  return send_encrypted(run.core, run.sa, run.exchange, ExchangeType::identity_protection, payloads, expect);
}

// RFC 3947 section 4: from message 5 on both sides use port 4500 if there is a NAT between them.
void float_ports(IkeSa& sa) {
  sa.local.port = kNatTraversalPort;
  if (sa.remote.port == kIkePort) sa.remote.port = kNatTraversalPort;
}

// Initiator: keys are there; message 5
Result<void> authenticate(Run& run) {
  if (auto derived = derive_keys(run); !derived) return derived;
  if (run.sa.nat.any()) float_ports(run.sa);
  return send_authentication(run, Expect::answer);
}

Result<void> keys_ready(Run& run) {
  return derive_keys(run);
}

// The HASH of the other side, then who it says it is. Past the first the sender has proved to know the key.
Result<Identity> check_authentication(Run& run) {
  const Role sender = run.sa.role == Role::initiator ? Role::responder : Role::initiator;
  const auto& id = *payload_of<wire::IdPayload>(run.message->body);
  auto expected = hash_of(run, sender, id.body());
  if (!expected) return fail(std::move(expected.error()));
  if (!equal_constant_time(*expected, payload_of<wire::HashPayload>(run.message->body)->data)) {
    return reject(NotifyType::invalid_hash_information, ErrorCode::wrong_key,
                  "the peer's HASH does not verify: its pre-shared key is not ours",
                  "the same pre-shared key on both sides",
                  "compare the pre-shared key configured here and at the peer");
  }
  run.authenticated = true;
  return parse_phase1_id(id);
}

bool identity_fits(const Run& run, const Identity& wanted, const Identity& proved) {
  if (wanted.kind != proved.kind) return false;
  if (wanted.kind != IdentityKind::address) return wanted.text == proved.text;
  if (!wanted.address.is_any()) return wanted.address == proved.address;
  // Behind a NAT a peer knows only its inner address; the key, chosen by the outer one, is what proves it.
  return proved.address == run.message->datagram.remote.address || run.sa.nat.remote;
}

Result<Identity> check_identity(Run& run) {
  auto proved = check_authentication(run);
  if (!proved) return proved;
  const Identity& wanted = peer_of(run).config.remote_identity;
  if (identity_fits(run, wanted, *proved)) return proved;
  const std::string expected = wanted.kind == IdentityKind::address && wanted.address.is_any()
                                   ? run.message->datagram.remote.address.to_string()
                                   : wanted.to_string();
  return reject(NotifyType::invalid_id_information, ErrorCode::identity_mismatch,
                "the peer proved to be " + proved->to_string(), expected,
                "set the peer's identity to what it proves, or have the peer send the expected one");
}

// Initiator, message 6: HDR*, IDir, HASH_R
Result<void> take_authentication(Run& run) {
  auto proved = check_identity(run);
  if (!proved) {
    if (run.authenticated) run.sa.last_phase1_block = run.message->next_iv;
    return fail(std::move(proved.error()));
  }
  phase1_established(run, std::move(*proved));
  return {};
}

// Responder, message 5: HDR*, IDii, HASH_I; answered by message 6
Result<void> take_and_answer_authentication(Run& run) {
  auto proved = check_identity(run);
  if (!proved) return fail(std::move(proved.error()));
  // Only an authenticated message moves an SA's ends: here it floats to port 4500.
  run.sa.local = run.message->datagram.local;
  run.sa.remote = run.message->datagram.remote;
  if (auto sent = send_authentication(run, Expect::nothing); !sent) return sent;
  phase1_established(run, std::move(*proved));
  return {};
}

// ---- the tables

constexpr std::array kFirstPayloads{PayloadRule{PayloadType::sa, 1, 1},
                                    PayloadRule{PayloadType::vendor_id, 0, kMany}};
constexpr std::array kKeyPayloads{
    PayloadRule{PayloadType::key_exchange, 1, 1},  PayloadRule{PayloadType::nonce, 1, 1},
    PayloadRule{PayloadType::nat_d, 0, kMany},     PayloadRule{PayloadType::nat_d_draft, 0, kMany},
    PayloadRule{PayloadType::vendor_id, 0, kMany}, PayloadRule{PayloadType::certificate_request, 0, kMany}};
constexpr std::array kAuthPayloads{
    PayloadRule{PayloadType::identification, 1, 1}, PayloadRule{PayloadType::hash, 1, 1},
    PayloadRule{PayloadType::notification, 0, kMany}, PayloadRule{PayloadType::vendor_id, 0, kMany}};

constexpr Trigger kMessage = Trigger::message;
constexpr Trigger kJob = Trigger::job;
constexpr PayloadType kAny = PayloadType::none;
constexpr std::string_view kRfc = "RFC 2409 section 5.4";

constexpr std::array kInitiator{
    Step{State::mm_i_sent_sa, kMessage, false, PayloadType::sa, kFirstPayloads, take_choice,
         State::mm_i_generating, kRfc},
    Step{State::mm_i_generating, kJob, false, kAny, {}, offer_key, State::mm_i_sent_ke, kRfc},
    Step{State::mm_i_sent_ke, kMessage, false, kAny, kKeyPayloads, take_key_answer, State::mm_i_sharing,
         kRfc},
    Step{State::mm_i_sharing, kJob, false, kAny, {}, ask_for_skeyid, State::mm_i_keying, kRfc},
    Step{State::mm_i_keying, kJob, false, kAny, {}, authenticate, State::mm_i_sent_auth, kRfc},
    Step{State::mm_i_sent_auth, kMessage, true, kAny, kAuthPayloads, take_authentication, State::established,
         kRfc},
};
constexpr std::array kResponder{
    Step{State::mm_r_start, kMessage, false, PayloadType::sa, kFirstPayloads, take_offer, State::mm_r_sent_sa,
         kRfc},
    Step{State::mm_r_sent_sa, kMessage, false, kAny, kKeyPayloads, take_key, State::mm_r_generating, kRfc},
    Step{State::mm_r_generating, kJob, false, kAny, {}, answer_key, State::mm_r_sharing, kRfc},
    Step{State::mm_r_sharing, kJob, false, kAny, {}, ask_for_skeyid, State::mm_r_keying, kRfc},
    Step{State::mm_r_keying, kJob, false, kAny, {}, keys_ready, State::mm_r_sent_ke, kRfc},
    Step{State::mm_r_sent_ke, kMessage, true, kAny, kAuthPayloads, take_and_answer_authentication,
         State::established, kRfc},
};

}  // namespace

std::span<const Step> main_mode_steps(Role role) {
  if (role == Role::initiator) return kInitiator;
  return kResponder;
}

Result<void> send_first_offer(Core& core, IkeSa& sa, const Peer& peer) {
  const wire::SaPayload offer = offer_policies(peer.config.policies);
  sa.main_mode->sa_body = wire::encode_sa_body(offer);
  return send_clear(core, sa, *sa.main_mode, ExchangeType::identity_protection, with_vendor_ids(peer, offer),
                    Expect::answer);
}

}  // namespace oakgate::ike
