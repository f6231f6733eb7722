#include "ike/main_mode.h"

#include <array>

#include "ike/certificates.h"
#include "ike/identities.h"
#include "ike/phase1.h"
#include "ike/phase1_parts.h"
#include "ike/policy_match.h"
#include "ike/sa_book.h"
#include "ike/transport.h"

namespace oakgate::ike {

namespace {

using wire::ExchangeType;
using wire::Payload;
using wire::PayloadType;

// ---- the policy, for every method

std::vector<Payload> first_payloads(const Peer& peer, const IkeSa& ike_sa, wire::SaPayload sa) {
  std::vector<Payload> payloads;
  payloads.emplace_back(std::move(sa));
  append_vendor_ids(peer, ike_sa.capabilities, payloads);
  return payloads;
}

// Responder, message 1: HDR, SA
Result<void> take_offer(Run& run) {
  auto reply = take_offered_policy(run, usable_policies(run.core, peer_of(run)));
  if (!reply) return fail(std::move(reply.error()));
  std::vector<Payload> payloads = first_payloads(peer_of(run), run.sa, std::move(*reply));
  leave_out_what_does_not_fit(run, payloads);
  return send_clear(run.core, run.sa, run.exchange, ExchangeType::identity_protection, payloads,
                    Expect::nothing);
}

// Initiator, message 2: HDR, SA
Result<void> take_choice(Run& run) {
  const Policies policies = usable_policies(run.core, peer_of(run));
  if (auto taken = take_chosen_policy(run, policies); !taken) return taken;
  start_job(run, DhGenerate{run.sa.policy->group});
  return {};
}

// ---- the key exchange

Result<void> send_key_exchange(Run& run, const Bytes& nonce) {
  std::vector<Payload> payloads;
  payloads.emplace_back(wire::KeyExchangePayload{run.exchange.key_exchange.ours->public_value});
  payloads.emplace_back(wire::NoncePayload{nonce});
  append_certificate_requests(run, *run.sa.policy, payloads);
  if (auto appended = append_nat_detection(run, payloads); !appended) return appended;
  append_left_out(run, payloads);
  return send_clear(run.core, run.sa, run.exchange, ExchangeType::identity_protection, payloads,
                    Expect::answer);
}

// ---- authentication

// HDR*, ID, HASH [, INITIAL-CONTACT]
Result<void> send_authentication(Run& run, Expect expect) {
  if (auto chosen = choose_own_id(run, *run.sa.policy); !chosen) return chosen;
  const wire::IdPayload& id = *phase1_of(run).own_id;
  auto hash = hash_of(run, run.sa.role, id.body());
  if (!hash) return fail(std::move(hash.error()));
  std::vector<Payload> payloads{id, wire::HashPayload{std::move(*hash)}};
  append_initial_contact(run, payloads);
  return send_encrypted(run.core, run.sa, run.exchange, ExchangeType::identity_protection, payloads, expect);
}

// Initiator: keys are there; message 5
Result<void> authenticate(Run& run) {
  if (auto derived = derive_keys(run, take_secret(run)); !derived) return derived;
  if (run.sa.nat.any()) float_ports(run.sa);
  return send_authentication(run, Expect::answer);
}

Result<void> keys_ready(Run& run) {
  return derive_keys(run, take_secret(run));
}

// The HASH of the other side, then who it says it is.
Result<Identity> check_authentication(Run& run) {
  keep_proof(run);
  const auto& id = *payload_of<wire::IdPayload>(run.message->body);
  if (auto checked = check_hash(run, id, payload_of<wire::HashPayload>(run.message->body)->data); !checked)
    return fail(std::move(checked.error()));
  return check_identity(run, id);
}

// Initiator, message 6: HDR*, IDir, HASH_R
Result<void> take_authentication(Run& run) {
  auto proved = check_authentication(run);
  if (!proved) return fail(std::move(proved.error()));
  phase1_established(run, std::move(*proved));
  return {};
}

// Responder, message 5: HDR*, IDii, HASH_I; answered by message 6
Result<void> take_and_answer_authentication(Run& run) {
  auto proved = check_authentication(run);
  if (!proved) return fail(std::move(proved.error()));
  // Only an authenticated message moves an SA's ends: here it floats to port 4500.
  follow_proof(run);
  if (auto sent = send_authentication(run, Expect::nothing); !sent) return sent;
  phase1_established(run, std::move(*proved));
  return {};
}

// ---- the tables

constexpr std::array kFirstPayloads{PayloadRule{PayloadType::sa, 1, 1},
                                    PayloadRule{PayloadType::vendor_id, 0, kManyPayloads},
                                    PayloadRule{PayloadType::certificate_request, 0, kManyPayloads}};
constexpr std::array kAuthPayloads{PayloadRule{PayloadType::identification, 1, 1},
                                   PayloadRule{PayloadType::hash, 1, 1},
                                   PayloadRule{PayloadType::notification, 0, kManyPayloads},
                                   PayloadRule{PayloadType::vendor_id, 0, kManyPayloads}};

constexpr Trigger kMessage = Trigger::message;
constexpr Trigger kJob = Trigger::job;
constexpr PayloadType kAny = PayloadType::none;
constexpr std::string_view kRfcFirst = "RFC 2409 section 5";
constexpr std::string_view kRfc = "RFC 2409 section 5.4";

constexpr std::array kInitiatorFirst{
    Step{State::mm_i_sent_sa, kMessage, false, PayloadType::sa, kFirstPayloads, take_choice,
         State::mm_i_generating, kRfcFirst},
};
constexpr std::array kResponderFirst{
    Step{State::mm_r_start, kMessage, false, PayloadType::sa, kFirstPayloads, take_offer, State::mm_r_sent_sa,
         kRfcFirst},
};
constexpr std::array kInitiator{
    Step{State::mm_i_generating, kJob, false, kAny, {}, offer_key, State::mm_i_sent_ke, kRfc},
    Step{State::mm_i_sent_ke, kMessage, false, kAny, kKeyPayloads, take_key_answer, State::mm_i_sharing,
         kRfc},
    Step{State::mm_i_sharing, kJob, false, kAny, {}, ask_for_skeyid, State::mm_i_keying, kRfc},
    Step{State::mm_i_keying, kJob, false, kAny, {}, authenticate, State::mm_i_sent_auth, kRfc},
    Step{State::mm_i_sent_auth, kMessage, true, kAny, kAuthPayloads, take_authentication, State::established,
         kRfc},
};
constexpr std::array kResponder{
    Step{State::mm_r_sent_sa, kMessage, false, kAny, kKeyPayloads, take_key, State::mm_r_generating, kRfc},
    Step{State::mm_r_generating, kJob, false, kAny, {}, answer_key, State::mm_r_sharing, kRfc},
    Step{State::mm_r_sharing, kJob, false, kAny, {}, ask_for_skeyid, State::mm_r_keying, kRfc},
    Step{State::mm_r_keying, kJob, false, kAny, {}, keys_ready, State::mm_r_sent_ke, kRfc},
    Step{State::mm_r_sent_ke, kMessage, true, kAny, kAuthPayloads, take_and_answer_authentication,
         State::established, kRfc},
};

}  // namespace

std::span<const Step> main_mode_first_steps(Role role) {
  if (role == Role::initiator) return kInitiatorFirst;
  return kResponderFirst;
}

// Initiator: our key pair is there; message 3: HDR, KE, Ni
Result<void> offer_key(Run& run) {
  take_own_key(run);
  return send_key_exchange(run, run.exchange.nonce_i);
}

// Responder, message 3
Result<void> take_key(Run& run) {
  if (auto read = read_key_exchange(run); !read) return read;
  if (auto read = read_nat(run); !read) return read;
  read_late_vendor_ids(run);
  read_certificate_requests(run);
  start_job(run, DhGenerate{run.sa.policy->group});
  return {};
}

// Responder: message 4: HDR, KE, Nr; meanwhile g^xy is computed.
Result<void> answer_key(Run& run) {
  take_own_key(run);
  // The peer has shown that it receives at its address, so message 4 may be repeated unasked.
  if (auto sent = send_key_exchange(run, run.exchange.nonce_r); !sent) return sent;
  start_shared(run);
  return {};
}

// Initiator, message 4
Result<void> take_key_answer(Run& run) {
  if (auto read = read_key_exchange(run); !read) return read;
  if (auto read = read_nat(run); !read) return read;
  read_late_vendor_ids(run);
  read_certificate_requests(run);
  start_shared(run);
  return {};
}

// SKEYID = prf(pre-shared-key, Ni_b | Nr_b), computed where the key is.
Result<void> ask_for_skeyid(Run& run) {
  run.exchange.key_exchange.shared = take_secret(run);
  start_job(run, PreSharedKeyPrf{run.sa.peer, run.sa.policy->hash, both_nonces(run)});
  return {};
}

std::span<const Step> pre_shared_key_steps(Role role) {
  if (role == Role::initiator) return kInitiator;
  return kResponder;
}

Result<void> send_first_offer(Core& core, IkeSa& sa, const Peer& peer) {
  auto policies = usable_policies(core, peer);
  if (!policies) return fail(std::move(policies.error()));
  const wire::SaPayload offer = offer_policies(*policies);
  sa.phase1->sa_body = wire::encode_sa_body(offer);
  return send_clear(core, sa, *sa.phase1, ExchangeType::identity_protection, first_payloads(peer, sa, offer),
                    Expect::answer);
}

}  // namespace oakgate::ike
