#include "ike/aggressive_mode.h"

#include <algorithm>
#include <array>

#include "ike/certificates.h"
#include "ike/identities.h"
#include "ike/main_mode.h"
#include "ike/phase1.h"
#include "ike/phase1_parts.h"
#include "ike/policy_match.h"
#include "ike/sa_book.h"
#include "ike/signatures.h"
#include "ike/transport.h"

namespace oakgate::ike {

namespace {

using wire::ExchangeType;
using wire::Payload;
using wire::PayloadType;

bool signs(const Run& run) {
  return info(run.sa.policy->authentication).signs;
}

// ---- the policy

// Those that Aggressive Mode can carry here; if there is none, why.
Result<std::vector<IsakmpPolicy>> aggressive_policies(Core& core, const Peer& peer) {
  auto policies = usable_policies(core, peer);
  if (!policies) return policies;
  std::erase_if(*policies, [](const IsakmpPolicy& policy) { return info(policy.authentication).encrypts; });
  if (!policies->empty()) return policies;
  return reject(NotifyType::no_proposal_chosen, ErrorCode::no_proposal_chosen,
                "no policy of peer " + peer.config.name + " can be used in Aggressive Mode",
                "pre-shared keys or signatures",
                "take `aggressive: true` away from the peer, or give it another policy");
}

// Initiator: what is offered has the first one's group and method.
Result<std::vector<IsakmpPolicy>> offered_policies(Core& core, const Peer& peer) {
  auto policies = aggressive_policies(core, peer);
  if (!policies) return policies;
  const IsakmpPolicy first = policies->front();
  std::erase_if(*policies, [&](const IsakmpPolicy& policy) {
    return policy.group != first.group || policy.authentication != first.authentication;
  });
  return policies;
}

// ---- message 1

// Initiator: our key pair is there; HDR, SA, KE, Ni, IDii
Result<void> send_offer(Run& run) {
  Peer& peer = peer_of(run);
  auto policies = offered_policies(run.core, peer);
  if (!policies) return fail(std::move(policies.error()));
  take_own_key(run);
  if (auto chosen = choose_own_id(run, policies->front()); !chosen) return chosen;
  const wire::SaPayload offer = offer_policies(*policies);
  phase1_of(run).sa_body = wire::encode_sa_body(offer);
  std::vector<Payload> payloads{offer, wire::KeyExchangePayload{public_of(run, Role::initiator)},
                                wire::NoncePayload{run.exchange.nonce_i}, *phase1_of(run).own_id};
  append_certificate_requests(run, policies->front(), payloads);
  append_vendor_ids(peer, run.sa.capabilities, payloads);
  return send_clear(run.core, run.sa, run.exchange, ExchangeType::aggressive, payloads, Expect::answer);
}

// Responder: HDR, SA, KE, Ni, IDii. The peer was found by its identity; nothing is proved.
Result<void> take_offer(Run& run) {
  Policies policies = aggressive_policies(run.core, peer_of(run));
  // The public value is of one group: a policy of another one cannot be chosen any more.
  const std::size_t bytes = payload_of<wire::KeyExchangePayload>(run.message->body)->data.size();
  const auto other_group = [&](const IsakmpPolicy& policy) {
    return info(policy.group).public_bytes != bytes;
  };
  if (policies) std::erase_if(*policies, other_group);
  auto reply = take_offered_policy(run, std::move(policies));
  if (!reply) return fail(std::move(reply.error()));
  if (auto read = read_key_exchange(run); !read) return read;
  Phase1Exchange& phase1 = phase1_of(run);
  phase1.reply = std::move(*reply);
  phase1.peer_id = *payload_of<wire::IdPayload>(run.message->body);
  start_job(run, DhGenerate{run.sa.policy->group});
  return {};
}

// ---- message 2

// Responder: our key pair is there; g^xy is next.
Result<void> share(Run& run) {
  take_own_key(run);
  start_shared(run);
  return {};
}

// HDR, SA, KE, Nr, IDir, then `proof`
Result<void> send_answer(Run& run, std::vector<Payload> proof) {
  std::vector<Payload> payloads{phase1_of(run).reply,
                                wire::KeyExchangePayload{public_of(run, Role::responder)},
                                wire::NoncePayload{run.exchange.nonce_r}, *phase1_of(run).own_id};
  payloads.insert(payloads.end(), std::make_move_iterator(proof.begin()),
                  std::make_move_iterator(proof.end()));
  append_certificate_requests(run, *run.sa.policy, payloads);
  if (auto appended = append_nat_detection(run, payloads); !appended) return appended;
  append_vendor_ids(peer_of(run), run.sa.capabilities, payloads);
  return send_clear(run.core, run.sa, run.exchange, ExchangeType::aggressive, payloads, Expect::nothing);
}

Result<void> answer_with_hash(Run& run) {
  if (auto derived = derive_keys(run, take_secret(run)); !derived) return derived;
  if (auto chosen = choose_own_id(run, *run.sa.policy); !chosen) return chosen;
  auto hash = hash_of(run, Role::responder, phase1_of(run).own_id->body());
  if (!hash) return fail(std::move(hash.error()));
  return send_answer(run, {wire::HashPayload{std::move(*hash)}});
}

Result<void> derive_and_sign(Run& run) {
  if (auto derived = derive_signature_keys(run); !derived) return derived;
  return start_signing(run);
}

Result<void> answer_with_signature(Run& run) {
  return send_answer(run, signed_payloads(run));
}

// The proof in message 2 can be looked at only when the keys are there.
Result<void> keep_peer_proof(Run& run) {
  Phase1Exchange& phase1 = phase1_of(run);
  const wire::Body& body = run.message->body;
  const auto* hash = payload_of<wire::HashPayload>(body);
  const auto* signature = payload_of<wire::SignaturePayload>(body);
  if (signs(run) ? signature == nullptr : hash == nullptr) {
    return reject(NotifyType::payload_malformed, ErrorCode::malformed, "message 2 does not prove who sent it",
                  signs(run) ? "a SIG payload" : "a HASH payload");
  }
  auto certificates = read_certificates(run);
  if (!certificates) return fail(std::move(certificates.error()));
  keep_proof(run);
  phase1.peer_id = *payload_of<wire::IdPayload>(body);
  phase1.peer_proof = signs(run) ? signature->data : hash->data;
  phase1.peer_certificates = std::move(*certificates);
  return {};
}

// Initiator: HDR, SA, KE, Nr, IDir, HASH_R or SIG_R
Result<void> take_answer(Run& run) {
  const Policies policies = offered_policies(run.core, peer_of(run));
  if (auto taken = take_chosen_policy(run, policies); !taken) return taken;
  if (auto read = read_key_exchange(run); !read) return read;
  if (auto kept = keep_peer_proof(run); !kept) return kept;
  if (auto read = read_nat(run); !read) return read;
  start_shared(run);
  return {};
}

// ---- message 3

// HDR*, `proof`, NAT-D, NAT-D: RFC 3947 section 4 has it sent from port 4500 already.
Result<void> send_proof(Run& run, std::vector<Payload> proof) {
  if (run.sa.nat.any()) float_ports(run.sa);
  if (auto appended = append_nat_detection(run, proof); !appended) return appended;
  append_initial_contact(run, proof);
  return send_encrypted(run.core, run.sa, run.exchange, ExchangeType::aggressive, proof, Expect::nothing);
}

// Initiator: the keys are there; is HASH_R right?
Result<void> prove_with_hash(Run& run) {
  if (auto derived = derive_keys(run, take_secret(run)); !derived) return derived;
  const Phase1Exchange& phase1 = phase1_of(run);
  if (auto checked = check_hash(run, phase1.peer_id, phase1.peer_proof); !checked) {
    run.tampered = true;  // message 2 came in clear, from anybody
    return checked;
  }
  auto proved = check_identity(run, phase1.peer_id);
  if (!proved) return fail(std::move(proved.error()));
  auto hash = hash_of(run, Role::initiator, phase1.own_id->body());
  if (!hash) return fail(std::move(hash.error()));
  if (auto sent = send_proof(run, {wire::HashPayload{std::move(*hash)}}); !sent) return sent;
  phase1_established(run, std::move(*proved));
  return {};
}

Result<void> verify_answer(Run& run) {
  if (auto derived = derive_signature_keys(run); !derived) return derived;
  Phase1Exchange& phase1 = phase1_of(run);
  return start_verifying(run, phase1.peer_id, std::move(phase1.peer_certificates),
                         std::move(phase1.peer_proof));
}

Result<void> sign(Run& run) {
  if (auto good = take_verdict(run); !good) return good;
  return start_signing(run);
}

Result<void> prove_with_signature(Run& run) {
  if (auto sent = send_proof(run, signed_payloads(run)); !sent) return sent;
  phase1_established(run, run.sa.certificate->identity);
  return {};
}

// Responder: HDR*, HASH_I
Result<void> take_hash(Run& run) {
  keep_proof(run);
  const wire::IdPayload& id = phase1_of(run).peer_id;
  if (auto checked = check_hash(run, id, payload_of<wire::HashPayload>(run.message->body)->data); !checked)
    return checked;
  if (auto read = read_nat(run); !read) return read;
  settle_nat(run);
  auto proved = check_identity(run, id);
  if (!proved) return fail(std::move(proved.error()));
  follow_proof(run);
  phase1_established(run, std::move(*proved));
  return {};
}

// Responder: HDR*, [CERT,] SIG_I
Result<void> take_signature(Run& run) {
  keep_proof(run);
  auto certificates = read_certificates(run);
  if (!certificates) return fail(std::move(certificates.error()));
  if (auto read = read_nat(run); !read) return read;
  settle_nat(run);
  return start_verifying(run, phase1_of(run).peer_id, std::move(*certificates),
                         payload_of<wire::SignaturePayload>(run.message->body)->data);
}

Result<void> finish(Run& run) {
  if (auto good = take_verdict(run); !good) return good;
  follow_proof(run);
  phase1_established(run, run.sa.certificate->identity);
  return {};
}

// ---- the tables

constexpr std::uint8_t kMany = kManyPayloads;
constexpr std::array kOfferPayloads{
    PayloadRule{PayloadType::sa, 1, 1},
    PayloadRule{PayloadType::key_exchange, 1, 1},
    PayloadRule{PayloadType::nonce, 1, 1},
    PayloadRule{PayloadType::identification, 1, 1},
    PayloadRule{PayloadType::certificate_request, 0, kMany},
    PayloadRule{PayloadType::notification, 0, kMany},
    PayloadRule{PayloadType::vendor_id, 0, kMany},
};
constexpr std::array kAnswerPayloads{
    PayloadRule{PayloadType::sa, 1, 1},
    PayloadRule{PayloadType::key_exchange, 1, 1},
    PayloadRule{PayloadType::nonce, 1, 1},
    PayloadRule{PayloadType::identification, 1, 1},
    PayloadRule{PayloadType::hash, 0, 1},
    PayloadRule{PayloadType::signature, 0, 1},
    PayloadRule{PayloadType::certificate, 0, kMany},
    PayloadRule{PayloadType::certificate_request, 0, kMany},
    PayloadRule{PayloadType::nat_d, 0, kMany},
    PayloadRule{PayloadType::nat_d_draft, 0, kMany},
    PayloadRule{PayloadType::notification, 0, kMany},
    PayloadRule{PayloadType::vendor_id, 0, kMany},
};
constexpr std::array kHashPayloads{
    PayloadRule{PayloadType::hash, 1, 1},
    PayloadRule{PayloadType::nat_d, 0, kMany},
    PayloadRule{PayloadType::nat_d_draft, 0, kMany},
    PayloadRule{PayloadType::notification, 0, kMany},
    PayloadRule{PayloadType::vendor_id, 0, kMany},
};
constexpr std::array kSignaturePayloads{
    PayloadRule{PayloadType::signature, 1, 1},        PayloadRule{PayloadType::certificate, 0, kMany},
    PayloadRule{PayloadType::nat_d, 0, kMany},        PayloadRule{PayloadType::nat_d_draft, 0, kMany},
    PayloadRule{PayloadType::notification, 0, kMany}, PayloadRule{PayloadType::vendor_id, 0, kMany},
};

constexpr Trigger kMessage = Trigger::message;
constexpr Trigger kJob = Trigger::job;
constexpr PayloadType kAny = PayloadType::none;
constexpr std::string_view kRfc = "RFC 2409 section 5.4";
constexpr std::string_view kRfcSignatures = "RFC 2409 section 5.1";

constexpr std::array kInitiatorFirst{
    Step{State::ag_i_generating, kJob, false, kAny, {}, send_offer, State::ag_i_sent_offer, kRfc},
    Step{State::ag_i_sent_offer, kMessage, false, PayloadType::sa, kAnswerPayloads, take_answer,
         State::ag_i_sharing, kRfc},
};
constexpr std::array kResponderFirst{
    Step{State::ag_r_start, kMessage, false, PayloadType::sa, kOfferPayloads, take_offer,
         State::ag_r_generating, kRfc},
    Step{State::ag_r_generating, kJob, false, kAny, {}, share, State::ag_r_sharing, kRfc},
};

constexpr std::array kInitiatorKey{
    Step{State::ag_i_sharing, kJob, false, kAny, {}, ask_for_skeyid, State::ag_i_keying, kRfc},
    Step{State::ag_i_keying, kJob, false, kAny, {}, prove_with_hash, State::established, kRfc},
};
// RFC 2409 section 5: message 3 may come in clear, too.
constexpr std::array kResponderKey{
    Step{State::ag_r_sharing, kJob, false, kAny, {}, ask_for_skeyid, State::ag_r_keying, kRfc},
    Step{State::ag_r_keying, kJob, false, kAny, {}, answer_with_hash, State::ag_r_sent_answer, kRfc},
    Step{State::ag_r_sent_answer, kMessage, true, kAny, kHashPayloads, take_hash, State::established, kRfc},
    Step{State::ag_r_sent_answer, kMessage, false, kAny, kHashPayloads, take_hash, State::established, kRfc},
};
constexpr std::array kInitiatorSignature{
    Step{State::ag_i_sharing, kJob, false, kAny, {}, verify_answer, State::ag_i_verifying, kRfcSignatures},
    Step{State::ag_i_verifying, kJob, false, kAny, {}, sign, State::ag_i_signing, kRfcSignatures},
    Step{
        State::ag_i_signing, kJob, false, kAny, {}, prove_with_signature, State::established, kRfcSignatures},
};
constexpr std::array kResponderSignature{
    Step{State::ag_r_sharing, kJob, false, kAny, {}, derive_and_sign, State::ag_r_signing, kRfcSignatures},
    Step{State::ag_r_signing,
         kJob,
         false,
         kAny,
         {},
         answer_with_signature,
         State::ag_r_sent_answer,
         kRfcSignatures},
    Step{State::ag_r_sent_answer, kMessage, true, kAny, kSignaturePayloads, take_signature,
         State::ag_r_verifying, kRfcSignatures},
    Step{State::ag_r_sent_answer, kMessage, false, kAny, kSignaturePayloads, take_signature,
         State::ag_r_verifying, kRfcSignatures},
    Step{State::ag_r_verifying, kJob, false, kAny, {}, finish, State::established, kRfcSignatures},
};

}  // namespace

std::span<const Step> aggressive_first_steps(Role role) {
  if (role == Role::initiator) return kInitiatorFirst;
  return kResponderFirst;
}

std::span<const Step> aggressive_steps(Role role, AuthMethod method) {
  if (info(method).encrypts) return {};
  if (info(method).signs) {
    if (role == Role::initiator) return kInitiatorSignature;
    return kResponderSignature;
  }
  if (role == Role::initiator) return kInitiatorKey;
  return kResponderKey;
}

Result<void> begin_aggressive(Core& core, IkeSa& sa, const Peer& peer) {
  auto policies = offered_policies(core, peer);
  if (!policies) {
    policies.error().notify.reset();  // there is nobody to tell yet
    return fail(std::move(policies.error()));
  }
  Run run{core, sa, *sa.phase1};
  start_job(run, DhGenerate{policies->front().group});
  return {};
}

Result<Identity> claimed_identity(Received& message) {
  if (message.header.encrypted())
    return fail(ErrorCode::malformed, "message 1 of Aggressive Mode came encrypted");
  if (auto parsed = parse_clear(message); !parsed) return fail(std::move(parsed.error()));
  const auto* id = payload_of<wire::IdPayload>(message.body);
  if (id == nullptr) return fail(ErrorCode::malformed, "message 1 of Aggressive Mode names nobody");
  return parse_phase1_id(*id);
}

void ask_for_message_3(Core& core, IkeSa& sa) {
  if (sa.phase1 == nullptr || sa.state != State::ag_r_sent_answer || sa.phase1->job) return;
  if (sa.phase1->tries >= core.limits().retransmit_tries) return;
  ++sa.phase1->tries;
  send_datagram(core, sa, sa.phase1->last_sent);
}

}  // namespace oakgate::ike
