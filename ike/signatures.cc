#include "ike/signatures.h"

#include <algorithm>
#include <array>

#include "ike/certificates.h"
#include "ike/crypto/keys.h"
#include "ike/identities.h"
#include "ike/main_mode.h"
#include "ike/phase1.h"
#include "ike/phase1_parts.h"
#include "ike/sa_book.h"
#include "ike/transport.h"
#include "ike/tunnels.h"

namespace oakgate::ike {

namespace {

using wire::ExchangeType;
using wire::Payload;
using wire::PayloadType;

// ---- who the peer is

bool same_choice(const IsakmpPolicy& a, const IsakmpPolicy& b) {
  return a.encryption == b.encryption && a.hash == b.hash && a.group == b.group &&
         a.authentication == b.authentication;
}

bool can_be(Run& run, Peer& peer, const Identity& claimed) {
  const IpAddress& source = phase1_of(run).proof_remote.address;
  const auto& policies = peer.config.policies;
  return std::any_of(peer.called_from.begin(), peer.called_from.end(),
                     [&](const Subnet& subnet) { return subnet.contains(source); }) &&
         std::any_of(policies.begin(), policies.end(),
                     [&](const IsakmpPolicy& policy) { return same_choice(policy, *run.sa.policy); }) &&
         identity_fits(peer.config.remote_identity, claimed, source, false) &&
         own_certificate(run.core, peer, *run.sa.policy).has_value() && waiver_holds(run.core, peer);
}

// Several peers may call from one address, and message 1 does not say which: the most specific address chose
// the policies, now the claimed identity chooses among those that have the same one.
void choose_peer(Run& run, const Identity& claimed) {
  if (run.sa.role == Role::initiator) return;
  if (identity_fits(peer_of(run).config.remote_identity, claimed, phase1_of(run).proof_remote.address,
                    run.sa.nat.remote)) {
    return;
  }
  const std::vector<std::string>& names = run.core.state().peer_order;
  const auto found = std::find_if(names.begin(), names.end(), [&](const std::string& name) {
    return name != run.sa.peer && can_be(run, *run.core.find_peer(name), claimed);
  });
  if (found != names.end()) move_to_peer(run.core, run.sa, *found);
}

NotifyType notify_for(ErrorCode code) {
  switch (code) {
    case ErrorCode::identity_mismatch:
      return NotifyType::invalid_id_information;
    case ErrorCode::certificate_invalid:
    case ErrorCode::certificate_expired:
    case ErrorCode::certificate_not_yet_valid:
    case ErrorCode::certificate_revoked:
    case ErrorCode::key_too_small:
      return NotifyType::invalid_certificate;
    default:
      return NotifyType::authentication_failed;
  }
}

std::string date_text(WallTime time) {
  const auto days = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(days);
  const std::chrono::hh_mm_ss clock(time - days);
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%d-%02u-%02u %02d:%02d:%02d UTC", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()));
  return text.data();
}

void verified(Run& run, VerifiedPeer peer) {
  Event event = run.core.event(EventId::certificate_verified, run.sa);
  event.fields = {{"subject", peer.subject},
                  {"issuer", peer.issuer},
                  {"serial", peer.serial},
                  {"until", date_text(peer.not_after)}};
  run.core.raise(std::move(event));
  peer.chain.clear();  // whoever verified it keeps it
  run.sa.certificate = std::make_unique<VerifiedPeer>(std::move(peer));
}

// ---- Main Mode's handlers

// Initiator, message 5, and responder, message 6.
Result<void> send_proof(Run& run, Expect expect) {
  std::vector<Payload> payloads = signed_payloads(run);
  payloads.insert(payloads.begin(), *phase1_of(run).own_id);
  append_initial_contact(run, payloads);
  return send_encrypted(run.core, run.sa, run.exchange, ExchangeType::identity_protection, payloads, expect);
}

// Initiator: g^xy is there; the keys, and our signature
Result<void> sign(Run& run) {
  if (auto derived = derive_signature_keys(run); !derived) return derived;
  return start_signing(run);
}

Result<void> prove(Run& run) {
  if (run.sa.nat.any()) float_ports(run.sa);
  return send_proof(run, Expect::answer);
}

// Initiator, message 6: HDR*, IDir, [CERT,] SIG_R; responder, message 5: HDR*, IDii, [CERT,] SIG_I
Result<void> take_proof(Run& run) {
  keep_proof(run);
  // RFC 2408 section 3.10: it "MUST be accepted at any point"; libreswan asks in message 5.
  read_certificate_requests(run);
  auto certificates = read_certificates(run);
  if (!certificates) return fail(std::move(certificates.error()));
  return start_verifying(run, *payload_of<wire::IdPayload>(run.message->body), std::move(*certificates),
                         payload_of<wire::SignaturePayload>(run.message->body)->data);
}

// Initiator: the peer is who it must be.
Result<void> finish(Run& run) {
  if (auto good = take_verdict(run); !good) return good;
  phase1_established(run, run.sa.certificate->identity);
  return {};
}

// Responder: the peer is who it must be; now we sign.
Result<void> answer_proof(Run& run) {
  if (auto good = take_verdict(run); !good) return good;
  return start_signing(run);
}

Result<void> prove_and_finish(Run& run) {
  // Only an authenticated message moves an SA's ends: here it floats to port 4500.
  follow_proof(run);
  if (auto sent = send_proof(run, Expect::nothing); !sent) return sent;
  phase1_established(run, run.sa.certificate->identity);
  return {};
}

// ---- the tables

constexpr std::array kProofPayloads{PayloadRule{PayloadType::identification, 1, 1},
                                    PayloadRule{PayloadType::signature, 1, 1},
                                    PayloadRule{PayloadType::certificate, 0, kManyPayloads},
                                    PayloadRule{PayloadType::certificate_request, 0, kManyPayloads},
                                    PayloadRule{PayloadType::notification, 0, kManyPayloads},
                                    PayloadRule{PayloadType::vendor_id, 0, kManyPayloads}};

constexpr Trigger kMessage = Trigger::message;
constexpr Trigger kJob = Trigger::job;
constexpr PayloadType kAny = PayloadType::none;
constexpr std::string_view kRfc = "RFC 2409 section 5.1";

constexpr std::array kInitiator{
    Step{State::mm_i_generating, kJob, false, kAny, {}, offer_key, State::mm_i_sent_ke, kRfc},
    Step{State::mm_i_sent_ke, kMessage, false, kAny, kKeyPayloads, take_key_answer, State::mm_i_sharing,
         kRfc},
    Step{State::mm_i_sharing, kJob, false, kAny, {}, sign, State::mm_i_signing, kRfc},
    Step{State::mm_i_signing, kJob, false, kAny, {}, prove, State::mm_i_sent_auth, kRfc},
    Step{State::mm_i_sent_auth, kMessage, true, kAny, kProofPayloads, take_proof, State::mm_i_verifying,
         kRfc},
    Step{State::mm_i_verifying, kJob, false, kAny, {}, finish, State::established, kRfc},
};
constexpr std::array kResponder{
    Step{State::mm_r_sent_sa, kMessage, false, kAny, kKeyPayloads, take_key, State::mm_r_generating, kRfc},
    Step{State::mm_r_generating, kJob, false, kAny, {}, answer_key, State::mm_r_sharing, kRfc},
    Step{State::mm_r_sharing, kJob, false, kAny, {}, derive_signature_keys, State::mm_r_sent_ke, kRfc},
    Step{State::mm_r_sent_ke, kMessage, true, kAny, kProofPayloads, take_proof, State::mm_r_verifying, kRfc},
    Step{State::mm_r_verifying, kJob, false, kAny, {}, answer_proof, State::mm_r_signing, kRfc},
    Step{State::mm_r_signing, kJob, false, kAny, {}, prove_and_finish, State::established, kRfc},
};

}  // namespace

std::span<const Step> signature_steps(Role role) {
  if (role == Role::initiator) return kInitiator;
  return kResponder;
}

Result<void> derive_signature_keys(Run& run) {
  run.exchange.key_exchange.shared = take_secret(run);
  auto skeyid = crypto::skeyid_for_signatures(run.sa.policy->hash, run.exchange.nonce_i, run.exchange.nonce_r,
                                              *run.exchange.key_exchange.shared);
  if (!skeyid) return fail(std::move(skeyid.error()));
  return derive_keys(run, std::move(*skeyid));
}

Result<void> start_signing(Run& run) {
  auto own = own_certificate(run.core, peer_of(run), *run.sa.policy);
  if (!own) return fail(std::move(own.error()));
  if (auto chosen = choose_own_id(run, *run.sa.policy); !chosen) return chosen;
  auto hash = hash_of(run, run.sa.role, phase1_of(run).own_id->body());
  if (!hash) return fail(std::move(hash.error()));
  std::vector<Payload>& payloads = phase1_of(run).own_proof;
  payloads.clear();
  append_certificates(run, **own, payloads);
  start_job(run, Sign{(*own)->key, std::move(*hash)});
  return {};
}

std::vector<Payload> signed_payloads(Run& run) {
  std::vector<Payload> payloads = std::move(phase1_of(run).own_proof);
  phase1_of(run).own_proof.clear();
  payloads.emplace_back(wire::SignaturePayload{std::get<Bytes>(std::move(*run.job->result))});
  return payloads;
}

Result<void> start_verifying(Run& run, const wire::IdPayload& id, std::vector<CertificateBlob> certificates,
                             Bytes signature) {
  tell_odd_identity(run, id);
  auto claimed = parse_phase1_id(id);
  if (!claimed) return fail(std::move(claimed.error()));
  if (phase1_of(run).proofs >= run.core.limits().proofs) {
    // What was wrong with the ones before is what an operator has to know.
    if (run.exchange.hint) return fail(*run.exchange.hint);
    return fail(ErrorCode::in_use, "too many signatures in one negotiation do not verify");
  }
  ++phase1_of(run).proofs;
  choose_peer(run, *claimed);
  auto hash = hash_of(run, other(run.sa.role), id.body());
  if (!hash) return fail(std::move(hash.error()));
  const PeerConfig& peer = peer_of(run).config;
  start_verification(
      run, {peer.name, peer.trustpoint, peer.remote_identity, phase1_of(run).proof_remote.address,
            run.sa.nat.remote, std::move(*claimed), std::move(certificates), run.sa.policy->authentication,
            std::move(*hash), std::move(signature)});
  return {};
}

Result<void> take_verdict(Run& run) {
  auto verdict = std::get<PeerVerdict>(std::move(*run.job->result));
  if (!verdict.signature_good || !verdict.peer) {
    Error error = verdict.peer ? Error{ErrorCode::signature_invalid,
                                       "the peer's signature does not verify",
                                       {},
                                       {},
                                       NotifyType::invalid_signature}
                               : std::move(verdict.peer.error());
    if (!error.notify) error.notify = notify_for(error.code);
    run.tampered = !verdict.signature_good;
    run.authenticated = verdict.signature_good;
    return fail(std::move(error));
  }
  run.authenticated = true;
  verified(run, std::move(*verdict.peer));
  return {};
}

}  // namespace oakgate::ike
