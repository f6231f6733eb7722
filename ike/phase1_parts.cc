#include "ike/phase1_parts.h"

#include <algorithm>

#include "ike/base/vendor_ids.h"
#include "ike/certificates.h"
#include "ike/crypto/distinguished_name.h"
#include "ike/crypto/keys.h"
#include "ike/identities.h"
#include "ike/sa_book.h"

namespace oakgate::ike {

namespace {

using wire::Payload;
using wire::PayloadType;

constexpr std::size_t kShortestNonce = 8;  // RFC 2409 section 5: "between 8 and 256 bytes inclusive"
constexpr std::size_t kLongestNonce = 256;

Payload initial_contact(const IkeSa& sa) {
  // RFC 2407 section 4.6.3.3: the SPI is the two cookies.
  Bytes spi(sa.cookies.initiator.begin(), sa.cookies.initiator.end());
  spi.insert(spi.end(), sa.cookies.responder.begin(), sa.cookies.responder.end());
  return wire::NotifyPayload{
      wire::kDoiIpsec, wire::kProtocolIsakmp, NotifyType::initial_contact, std::move(spi), {}};
}

void no_policy(Run& run, const Error& error, ProposalReport report) {
  Event event = run.core.event(EventId::phase1_no_policy, run.sa);
  event.error = error;
  event.proposals = std::move(report);
  event.authenticated = false;
  run.core.raise(std::move(event));
}

void take_policy(Run& run, const ChosenPolicy& chosen) {
  read_vendor_ids(run);
  read_certificate_requests(run);
  run.sa.policy = chosen.policy;
  run.sa.life_shortened = chosen.shortened;
  Event event = run.core.event(EventId::phase1_policy_chosen, run.sa);
  event.fields = {{"policy", to_string(chosen.policy)},
                  {"lifetime", std::to_string(chosen.policy.lifetime.count())}};
  run.core.raise(std::move(event));
}

}  // namespace

Phase1Exchange& phase1_of(Run& run) {
  return static_cast<Phase1Exchange&>(run.exchange);
}
Role other(Role role) {
  return role == Role::initiator ? Role::responder : Role::initiator;
}
wire::ExchangeType exchange_type(const Run& run) {
  return run.exchange.kind == ExchangeKind::aggressive_mode ? wire::ExchangeType::aggressive
                                                            : wire::ExchangeType::identity_protection;
}

// ---- vendor IDs

void append_vendor_ids(const Peer& peer, const PeerCapabilities& theirs, std::vector<Payload>& payloads) {
  const auto add = [&](VendorId id) {
    payloads.emplace_back(wire::VendorIdPayload{*from_hex(vendor_id_info(id).hex)});
  };
  if (const NatForm* form = find_nat_form(peer.config.nat_traversal))
    add(theirs.nat_vendor_id.value_or(form->announced));
  add(VendorId::dpd);
  if (peer.config.fragmentation) add(VendorId::fragmentation);
}

void read_vendor_ids(Run& run) {
  PeerCapabilities& theirs = run.sa.capabilities;
  const NatForm* form = find_nat_form(peer_of(run).config.nat_traversal);
  for (const auto* payload : payloads_of<wire::VendorIdPayload>(run.message->body)) {
    const auto known = find_vendor_id(payload->data);
    if (form == nullptr || (known != form->announced && known != form->also)) continue;
    theirs.nat_traversal = form;
    if (theirs.nat_vendor_id != form->announced) theirs.nat_vendor_id = known;
  }
  read_late_vendor_ids(run);
}

void read_late_vendor_ids(Run& run) {
  for (const auto* payload : payloads_of<wire::VendorIdPayload>(run.message->body)) {
    const auto known = find_vendor_id(payload->data);
    if (known == VendorId::dpd) run.sa.capabilities.dead_peer_detection = true;
    if (peer_of(run).config.fragmentation && announces_fragments(payload->data, exchange_type(run)))
      run.sa.capabilities.fragmentation = true;
    Event event = run.core.event(EventId::vendor_id_received, run.sa);
    const ByteView body(payload->data);
    event.fields = {{"name", known ? std::string(vendor_id_info(*known).name)
                                   : to_hex(body.first(std::min<std::size_t>(body.size(), 32)))}};
    event.authenticated = false;
    run.core.raise(std::move(event));
  }
}

void leave_out_what_does_not_fit(Run& run, std::vector<Payload>& payloads) {
  const std::size_t room = run.message->datagram.data.size();
  std::vector<Payload>& left_out = phase1_of(run).left_out;
  left_out.clear();
  while (wire::kHeaderBytes + wire::encode_body(payloads).size() > room &&
         std::holds_alternative<wire::VendorIdPayload>(payloads.back())) {
    left_out.push_back(std::move(payloads.back()));
    payloads.pop_back();
  }
}

void append_left_out(Run& run, std::vector<Payload>& payloads) {
  const std::vector<Payload>& left_out = phase1_of(run).left_out;
  payloads.insert(payloads.end(), left_out.begin(), left_out.end());
}

// ---- the policy

Result<wire::SaPayload> take_offered_policy(Run& run, Policies policies) {
  if (!policies) {
    policies.error().notify = NotifyType::no_proposal_chosen;
    return fail(std::move(policies.error()));
  }
  const auto& offer = *payload_of<wire::SaPayload>(run.message->body);
  auto chosen = choose_policy(*policies, offer);
  if (!chosen) {
    const Error error = with_unusable(run.core, peer_of(run), std::move(chosen.error()));
    no_policy(run, error, compare_policies(*policies, offer));
    return fail(error);
  }
  phase1_of(run).sa_body = offer.raw_body;
  take_policy(run, *chosen);
  return std::move(chosen->reply);
}

Result<void> take_chosen_policy(Run& run, const Policies& policies) {
  if (!policies) return fail(policies.error());
  const auto& reply = *payload_of<wire::SaPayload>(run.message->body);
  auto chosen = check_chosen_policy(*policies, reply);
  if (!chosen) {
    no_policy(run, chosen.error(), compare_policies(*policies, reply));
    return fail(std::move(chosen.error()));
  }
  set_responder_cookie(run.core, run.sa, run.message->header.cookies.responder);
  take_policy(run, *chosen);
  return {};
}

// ---- the key exchange

Result<void> check_public_value(const Run& run, ByteView value) {
  const DhGroupInfo& group = info(run.sa.policy->group);
  if (value.size() == group.public_bytes) return {};
  return reject(NotifyType::invalid_key_information, ErrorCode::malformed,
                "the KE payload has " + std::to_string(value.size()) + " bytes",
                std::to_string(group.public_bytes) + " bytes for " + std::string(group.name));
}

Result<void> check_nonce(ByteView nonce) {
  if (nonce.size() >= kShortestNonce && nonce.size() <= kLongestNonce) return {};
  return reject(NotifyType::payload_malformed, ErrorCode::malformed,
                "the nonce has " + std::to_string(nonce.size()) + " bytes", "8 to 256 bytes");
}

Result<void> read_key_exchange(Run& run) {
  const Bytes& theirs = payload_of<wire::KeyExchangePayload>(run.message->body)->data;
  const Bytes& nonce = payload_of<wire::NoncePayload>(run.message->body)->data;
  if (auto checked = check_public_value(run, theirs); !checked) return checked;
  if (auto checked = check_nonce(nonce); !checked) return checked;
  run.exchange.key_exchange.theirs = theirs;
  (run.sa.role == Role::initiator ? run.exchange.nonce_r : run.exchange.nonce_i) = nonce;
  return {};
}

Result<void> read_nat(Run& run) {
  const NatForm* form = run.sa.capabilities.nat_traversal;
  if (form == nullptr) return {};
  std::vector<Bytes> hashes;
  for (const auto* payload : payloads_of<wire::NatDetectionPayload>(run.message->body)) {
    if (payload->type == nat_d_type(*form)) hashes.push_back(payload->hash);
  }
  return judge_nat(run, run.message->datagram.local, run.message->datagram.remote, hashes);
}

Result<void> judge_nat(Run& run, const Endpoint& local, const Endpoint& remote,
                       const std::vector<Bytes>& hashes) {
  const NatForm* form = run.sa.capabilities.nat_traversal;
  if (form == nullptr) return {};
  auto nat = detect_nat(run.sa.policy->hash, run.sa.cookies, local, remote, hashes);
  if (!nat) return fail(std::move(nat.error()));
  run.sa.nat = *nat;
  if (!nat->any()) return {};
  Event event = run.core.event(EventId::nat_detected, run.sa);
  event.fields = {{"where", nat->to_string()}, {"form", std::string(form->word)}};
  event.authenticated = false;
  run.core.raise(std::move(event));
  return {};
}

Result<void> append_nat_detection(const Run& run, std::vector<Payload>& payloads) {
  const NatForm* form = run.sa.capabilities.nat_traversal;
  if (form == nullptr) return {};
  auto detection =
      nat_detection_payloads(run.sa.policy->hash, run.sa.cookies, run.sa.local, run.sa.remote, *form);
  if (!detection) return fail(std::move(detection.error()));
  payloads.insert(payloads.end(), detection->begin(), detection->end());
  return {};
}

void float_ports(IkeSa& sa) {
  if (sa.capabilities.nat_traversal == nullptr || !sa.capabilities.nat_traversal->floats) return;
  sa.local.port = kNatTraversalPort;
  if (sa.remote.port == kIkePort) sa.remote.port = kNatTraversalPort;
}

void take_own_key(Run& run) {
  run.exchange.key_exchange.ours = std::get<crypto::DhKeyPair>(std::move(*run.job->result));
  (run.sa.role == Role::initiator ? run.exchange.nonce_i : run.exchange.nonce_r) =
      run.core.random(run.core.limits().nonce_bytes);
}

void start_shared(Run& run) {
  start_job(run, DhShared{run.exchange.key_exchange.ours->clone(), run.exchange.key_exchange.theirs});
}

SecretBytes take_secret(Run& run) {
  return std::get<SecretBytes>(std::move(*run.job->result));
}

const Bytes& public_of(const Run& run, Role role) {
  const KeyExchange& ke = run.exchange.key_exchange;
  return role == run.sa.role ? ke.ours->public_value : ke.theirs;
}

Bytes both_nonces(const Run& run) {
  Bytes nonces = run.exchange.nonce_i;
  nonces.insert(nonces.end(), run.exchange.nonce_r.begin(), run.exchange.nonce_r.end());
  return nonces;
}

// ---- keys

Result<void> derive_keys(Run& run, SecretBytes skeyid) {
  const IsakmpPolicy& policy = *run.sa.policy;
  auto keys = crypto::derive_phase1_keys(policy.hash, policy.encryption, std::move(skeyid),
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
  return crypto::authentication_hash(run.sa.policy->hash, run.sa.keys, sender,
                                     {public_of(run, sender), public_of(run, other(sender)), run.sa.cookies,
                                      static_cast<const Phase1Exchange&>(run.exchange).sa_body, id_body});
}

// ---- authentication

void append_initial_contact(Run& run, std::vector<Payload>& payloads) {
  const Peer& peer = peer_of(run);
  // "[Only] when this is the first SA being established with the remote system": who says it while SA pairs
  // are there has the peer drop its ends of them.
  const bool carries = std::any_of(peer.pairs.begin(), peer.pairs.end(),
                                   [](const auto& entry) { return !entry.second.sas.empty(); });
  if (run.core.current_sa(peer) == nullptr && !carries) payloads.push_back(initial_contact(run.sa));
}

void keep_proof(Run& run) {
  Phase1Exchange& phase1 = phase1_of(run);
  phase1.proof_local = run.message->datagram.local;
  phase1.proof_remote = run.message->datagram.remote;
  const auto notifies = payloads_of<wire::NotifyPayload>(run.message->body);
  phase1.initial_contact = std::any_of(notifies.begin(), notifies.end(), [](const auto* notify) {
    return notify->type == NotifyType::initial_contact;
  });
  if (run.exchange.kind == ExchangeKind::main_mode && run.sa.role == Role::responder) settle_nat(run);
}

void settle_nat(Run& run) {
  const bool floated = phase1_of(run).proof_local.port == kNatTraversalPort;
  const NatForm* form = run.sa.capabilities.nat_traversal;
  if (form == nullptr || !form->floats || floated == run.sa.nat.any()) return;
  run.sa.nat = floated ? NatSituation{false, true} : NatSituation{};
}

void follow_proof(Run& run) {
  run.sa.local = phase1_of(run).proof_local;
  run.sa.remote = phase1_of(run).proof_remote;
}

Result<void> choose_own_id(Run& run, const IsakmpPolicy& policy) {
  std::optional<wire::IdPayload>& id = phase1_of(run).own_id;
  if (id) return {};
  Identity identity = peer_of(run).config.local_identity;
  if (info(policy.authentication).signs) {
    auto own = own_certificate(run.core, peer_of(run), policy);
    if (!own) return fail(std::move(own.error()));
    auto proved = own_identity(run, **own);
    if (!proved) return fail(std::move(proved.error()));
    identity = std::move(*proved);
  } else if (identity.kind == IdentityKind::dn) {
    auto der = crypto::name_from_text(identity.text);
    if (!der) return fail(std::move(der.error()));
    identity.der = std::move(*der);
  }
  id = phase1_id(identity, run.sa.local.address);
  return {};
}

Result<void> check_hash(Run& run, const wire::IdPayload& id, ByteView hash) {
  auto expected = hash_of(run, other(run.sa.role), id.body());
  if (!expected) return fail(std::move(expected.error()));
  if (!equal_constant_time(*expected, hash)) {
    return reject(NotifyType::invalid_hash_information, ErrorCode::wrong_key,
                  "the peer's HASH does not verify: its pre-shared key is not ours",
                  "the same pre-shared key on both sides",
                  "compare the pre-shared key configured here and at the peer");
  }
  run.authenticated = true;
  return {};
}

void tell_odd_identity(Run& run, const wire::IdPayload& id) {
  if (names_ike(id)) return;
  Event event = run.core.event(EventId::odd_identity, run.sa);
  event.authenticated = run.authenticated;
  event.fields = {{"identity", describe(id)},
                  {"protocol", std::to_string(id.protocol)},
                  {"port", std::to_string(id.port)}};
  run.core.raise(std::move(event));
}

Result<Identity> check_identity(Run& run, const wire::IdPayload& id) {
  tell_odd_identity(run, id);
  auto proved = parse_phase1_id(id);
  if (!proved) return proved;
  const Identity& wanted = peer_of(run).config.remote_identity;
  if (identity_fits(wanted, *proved, phase1_of(run).proof_remote.address, run.sa.nat.remote)) return proved;
  const std::string expected = wanted.kind == IdentityKind::address && wanted.address.is_any()
                                   ? phase1_of(run).proof_remote.address.to_string()
                                   : wanted.to_string();
  return reject(NotifyType::invalid_id_information, ErrorCode::identity_mismatch,
                "the peer proved to be " + proved->to_string(), expected,
                "set the peer's identity to what it proves, or have the peer send the expected one");
}

}  // namespace oakgate::ike
