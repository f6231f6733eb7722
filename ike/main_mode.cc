#include "ike/main_mode.h"

#include <algorithm>
#include <array>

#include "ike/base/vendor_ids.h"
#include "ike/crypto/keys.h"
#include "ike/identities.h"
#include "ike/informational.h"
#include "ike/policy_match.h"
#include "ike/sa_book.h"
#include "ike/transport.h"
#include "ike/tunnels.h"

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

void announce_weak(Run& run, const Peer& peer) {
  const auto weak = weak_things(*run.sa.policy);
  if (weak.empty()) return;
  run.core.raise(weak_used_event(run.core, peer, {}, weak));
}

void established(Run& run, Identity proved) {
  Core& core = run.core;
  Peer& peer = peer_of(run);
  IkeSa& sa = run.sa;
  leave_half_open(core, sa);
  sa.state = State::established;
  sa.remote_identity = std::move(proved);
  sa.established_at = core.now().instant;
  // The chain of IVs of every later exchange begins with the last block of phase 1 (RFC 2409 Appendix B).
  sa.last_phase1_block = run.exchange.iv;
  run.exchange.key_exchange = {};
  // The exchange stays a while, to answer repetitions of the last message.
  const TimerId forget =
      core.arm(core.limits().half_open_life, {TimerKind::exchange_forgotten, sa.id.value, 0});
  static_cast<void>(forget);
  Event proof = core.event(EventId::phase1_authenticated, sa);
  proof.fields = {{"identity", sa.remote_identity->to_string()}};
  core.raise(std::move(proof));
  Event event = core.event(EventId::phase1_established, sa);
  event.fields = {{"policy", to_string(*sa.policy)},
                  {"lifetime", std::to_string(sa.policy->lifetime.count())},
                  {"nat", sa.nat.to_string()},
                  {"role", sa.role == Role::initiator ? "initiator" : "responder"}};
  core.raise(std::move(event));
  announce_weak(run, peer);
  arm_lifetime(core, sa, sa.policy->lifetime);
  // Only the side behind the NAT has a mapping to keep open (RFC 3948 section 4).
  if (sa.nat.local)
    sa.keepalive_timer = core.arm(core.limits().keepalive, {TimerKind::keepalive_due, sa.id.value, 0});
}

// The peer's older SAs, were there any when this exchange began, are of a life it no longer remembers.
void read_initial_contact(Run& run) {
  for (const auto* notify : payloads_of<wire::NotifyPayload>(run.message->body)) {
    if (notify->type == NotifyType::initial_contact) on_initial_contact(run.core, run.sa);
  }
}

void supersede(Run& run) {
  Peer& peer = peer_of(run);
  std::vector<IkeSaId> older;
  for (const IkeSaId id : peer.ike_sas) {
    if (id != run.sa.id && id < run.sa.id) older.push_back(id);
  }
  // Who renews takes the old SA away, and only what was there when the renewal began.
  for (const IkeSaId id : older) {
    IkeSa* sa = run.core.find_sa(id);
    if (sa == nullptr || !sa->established()) continue;
    const bool busy = std::any_of(sa->quick_modes.begin(), sa->quick_modes.end(),
                                  [](const auto& entry) { return entry.second->state != State::done; });
    if (!busy) delete_ike_sa(run.core, *sa, "renewed");  // else it ends by its own life
  }
}

// Initiator, message 6: HDR*, IDir, HASH_R
Result<void> take_authentication(Run& run) {
  auto proved = check_identity(run);
  if (!proved) {
    if (run.authenticated) run.sa.last_phase1_block = run.message->next_iv;
    return fail(std::move(proved.error()));
  }
  Peer& peer = peer_of(run);
  peer.negotiating.reset();
  read_initial_contact(run);
  established(run, std::move(*proved));
  supersede(run);
  phase1_ready(run.core, peer);
  return {};
}

// A Main Mode of our own that nobody has answered yet is not needed any more.
void give_up_own(Run& run, Peer& peer) {
  if (!peer.negotiating || *peer.negotiating == run.sa.id) return;
  IkeSa* own = run.core.find_sa(*peer.negotiating);
  if (own == nullptr || own->state != State::mm_i_sent_sa) return;
  peer.negotiating.reset();
  remove_ike_sa(run.core, *own);
}

// Responder, message 5: HDR*, IDii, HASH_I; answered by message 6
Result<void> take_and_answer_authentication(Run& run) {
  auto proved = check_identity(run);
  if (!proved) return fail(std::move(proved.error()));
  Peer& peer = peer_of(run);
  // Only an authenticated message moves an SA's ends: here it floats to port 4500.
  run.sa.local = run.message->datagram.local;
  run.sa.remote = run.message->datagram.remote;
  if (auto sent = send_authentication(run, Expect::nothing); !sent) return sent;
  read_initial_contact(run);
  established(run, std::move(*proved));
  // A peer configured by a range, or by a name that does not resolve, is where it called from last.
  const bool fixed = peer.config.called_from.size() == 1 && peer.config.called_from.front().is_host();
  if (!fixed || !peer.remote) {
    peer.local = run.sa.local.address;
    peer.remote = run.sa.remote.address;
  }
  give_up_own(run, peer);
  phase1_ready(run.core, peer);
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

Cookie random_cookie(Core& core) {
  Cookie cookie{};
  const Bytes raw = core.random(cookie.size());
  std::copy(raw.begin(), raw.end(), cookie.begin());
  if (cookie == Cookie{}) cookie.back() = 1;  // zero means "none yet"
  return cookie;
}

std::unique_ptr<IkeSa> new_sa(Core& core, const Peer& peer, Role role) {
  auto sa = std::make_unique<IkeSa>();
  sa->id = IkeSaId{core.next_id()};
  sa->role = role;
  sa->peer = peer.config.name;
  sa->main_mode = std::make_unique<MainMode>();
  sa->main_mode->kind = ExchangeKind::main_mode;
  sa->main_mode->role = role;
  sa->main_mode->state = role == Role::initiator ? State::mm_i_sent_sa : State::mm_r_start;
  sa->state = sa->main_mode->state;
  return sa;
}

void raise_started(Core& core, const IkeSa& sa) {
  Event event = core.event(EventId::phase1_started, sa);
  event.fields = {{"role", sa.role == Role::initiator ? "initiator" : "responder"}};
  event.authenticated = sa.role == Role::initiator;
  core.raise(std::move(event));
}

// Why an initiator heard nothing more, in the words of an operator.
Error timeout_error(const IkeSa& sa, const Peer& peer, int tries) {
  const std::string who = peer.config.name + " (" + sa.remote.address.to_string() + ")";
  const std::string asked = " after " + std::to_string(tries + 1) + " attempts";
  if (sa.state == State::mm_i_sent_auth) {
    return {ErrorCode::wrong_key,
            who + " did not answer our authentication" + asked +
                ", which is how a different pre-shared key shows",
            "the peer's HASH_R",
            "compare the pre-shared key configured here and at the peer",
            {}};
  }
  if (sa.state == State::mm_i_sent_ke) {
    return {ErrorCode::no_answer,
            who + " stopped answering in the key exchange" + asked,
            "message 4 of Main Mode",
            "see whether large or fragmented UDP datagrams are dropped on the way, or the peer crashed",
            {}};
  }
  return {ErrorCode::no_answer,
          who + " does not answer" + asked,
          "an answer from UDP port 500",
          "see whether the peer runs IKE, knows this gateway, and UDP ports 500 and 4500 pass the firewalls",
          {}};
}

}  // namespace

std::span<const Step> main_mode_steps(Role role) {
  if (role == Role::initiator) return kInitiator;
  return kResponder;
}

void start_main_mode(Core& core, Peer& peer) {
  auto fresh = new_sa(core, peer, Role::initiator);
  fresh->cookies.initiator = random_cookie(core);
  fresh->local = {*peer.local, kIkePort};
  fresh->remote = {*peer.remote, kIkePort};
  IkeSa& sa = add_ike_sa(core, std::move(fresh));
  peer.negotiating = sa.id;
  raise_started(core, sa);
  const wire::SaPayload offer = offer_policies(peer.config.policies);
  sa.main_mode->sa_body = wire::encode_sa_body(offer);
  auto sent = send_clear(core, sa, *sa.main_mode, ExchangeType::identity_protection,
                         with_vendor_ids(peer, offer), Expect::answer);
  if (!sent) main_mode_failed(core, sa, std::move(sent.error()));
}

void answer_main_mode(Core& core, Received& message) {
  const Datagram& datagram = message.datagram;
  Peer* peer = core.peer_for_source(datagram.remote.address);
  const auto refuse = [&](EventId id, Error error) {
    Event event;
    event.id = id;
    if (peer != nullptr) event.peer = peer->config.name;
    event.local = datagram.local;
    event.remote = datagram.remote;
    event.authenticated = false;
    event.error = std::move(error);
    core.raise(std::move(event));
  };
  if (peer == nullptr) {
    refuse(EventId::unknown_peer, {ErrorCode::unknown_peer,
                                   "No pre-shared key with " + datagram.remote.address.to_string(),
                                   "a configured peer",
                                   "add a peer with this address to peers, or find out who calls",
                                   {}});
    return;
  }
  if (!waiver_holds(core, *peer)) return;
  if (auto room = check_half_open(core, datagram.remote.address); !room) {
    refuse(EventId::limit_reached, std::move(room.error()));
    return;
  }
  auto fresh = new_sa(core, *peer, Role::responder);
  fresh->cookies = {message.header.cookies.initiator, random_cookie(core)};
  fresh->local = datagram.local;
  fresh->remote = datagram.remote;
  IkeSa& sa = add_ike_sa(core, std::move(fresh));
  raise_started(core, sa);
  run_message(core, sa, *sa.main_mode, message);
  if (sa.state == State::mm_r_start) remove_ike_sa(core, sa);  // the offer was refused: nothing stays
}

void main_mode_failed(Core& core, IkeSa& sa, Error error) {
  if (sa.last_phase1_block.empty()) {
    if (error.notify) notify_in_clear(core, sa, *error.notify);
  } else {
    // The peer has an established SA, and has to hear that we have none.
    if (error.notify) notify_protected(core, sa, *error.notify, {});
    send_delete_isakmp(core, sa);
  }
  Event event = core.event(EventId::phase1_failed, sa);
  event.error = error;
  core.raise(std::move(event));
  Peer* peer = core.find_peer(sa.peer);
  const bool ours = peer != nullptr && peer->negotiating == sa.id;
  if (ours) peer->negotiating.reset();
  remove_ike_sa(core, sa);
  if (peer == nullptr) return;
  if (core.current_sa(*peer) == nullptr) set_error(core, *peer, error);
  if (ours) phase1_lost(core, *peer, error);
}

void main_mode_timed_out(Core& core, IkeSa& sa) {
  const Peer* peer = core.find_peer(sa.peer);
  if (sa.role == Role::responder) return;  // its patience is half_open_timer
  Error error = sa.main_mode->hint.value_or(timeout_error(sa, *peer, sa.main_mode->tries));
  error.notify.reset();
  main_mode_failed(core, sa, std::move(error));
}

void main_mode_hint(Core& core, IkeSa& sa, const Error& error) {
  // What an unauthenticated message says is shown while nothing better is known; it changes nothing else.
  Peer* peer = core.find_peer(sa.peer);
  if (peer != nullptr && core.current_sa(*peer) == nullptr) set_error(core, *peer, error);
}

}  // namespace oakgate::ike
