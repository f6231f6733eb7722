#include "daemon/explain/diagnosis.h"

#include <fmt/format.h>

#include <map>
#include <optional>
#include <utility>

#include "daemon/explain/facts.h"
#include "daemon/explain/mend.h"
#include "daemon/text.h"

namespace oakgate::explain {

namespace {

using ike::EventId;
using ike::Failure;
using ike::ProposalComparison;

constexpr std::size_t kDetail = 1024;

// ---- the reason

bool by_certificate(const conf::PeerConfig* peer) {
  return peer != nullptr && !peer->trustpoint.empty() && !peer->pre_shared_key;
}

Reason silence(const Failure& failure, const conf::PeerConfig* peer) {
  if (failure.event == EventId::phase2_failed) return Reason::silent_in_quick_mode;
  if (failure.event == EventId::peer_dead) return Reason::dead;
  const std::string_view awaited = field(failure, "awaited");
  if (awaited.starts_with("message 4")) return Reason::silent_in_key_exchange;
  if (!awaited.starts_with("message 6")) return Reason::silent_at_once;
  if (by_certificate(peer)) return Reason::silent_after_certificate;
  const bool floated = failure.remote && failure.remote->port != 500;
  return floated ? Reason::silent_on_4500 : Reason::silent_after_proof;
}

bool is_phase2(const Failure& failure) {
  return failure.event == EventId::phase2_failed || failure.event == EventId::phase2_no_proposal ||
         failure.event == EventId::phase2_proxy_ids;
}

Reason no_proposal(const Failure& failure) {
  const ProposalComparison* near = nearest(failure);
  if (near == nullptr) return is_phase2(failure) ? Reason::transforms_refused : Reason::policy_refused;
  if (!is_phase2(failure)) return Reason::policy_differs;
  const bool pfs_alone = near->differences.size() == 1 && near->differences[0].attribute == "pfs";
  return pfs_alone ? Reason::pfs_differs : Reason::transforms_differ;
}

// Where the code alone tells.
std::optional<Reason> by_code(ErrorCode code) {
  static const std::map<ErrorCode, Reason> table{
      {ErrorCode::certificate_expired, Reason::certificate_expired},
      {ErrorCode::certificate_not_yet_valid, Reason::certificate_not_yet_valid},
      {ErrorCode::certificate_revoked, Reason::certificate_revoked},
      {ErrorCode::certificate_invalid, Reason::certificate_untrusted},
      {ErrorCode::signature_invalid, Reason::signature_invalid},
      {ErrorCode::crl_unavailable, Reason::crl_unavailable},
      {ErrorCode::fetch_failed, Reason::crl_unavailable},
      {ErrorCode::crl_invalid, Reason::crl_invalid},
      {ErrorCode::no_certificate, Reason::no_certificate},
      {ErrorCode::no_public_key, Reason::no_rsa_key},
      {ErrorCode::key_too_small, Reason::key_too_small},
      {ErrorCode::weak_waiver_expired, Reason::waiver_ended},
      {ErrorCode::address_unknown, Reason::address_unknown},
      {ErrorCode::data_plane, Reason::plane_refused},
      {ErrorCode::cancelled, Reason::cancelled},
      {ErrorCode::malformed, Reason::malformed},
  };
  const auto found = table.find(code);
  return found == table.end() ? std::nullopt : std::optional(found->second);
}

Reason reason_of(const Failure& failure, const conf::PeerConfig* peer) {
  const ErrorCode code = failure.error.code;
  if (failure.event == EventId::limit_reached) return Reason::limit_reached;
  if (failure.event == EventId::xauth_refused) return Reason::xauth_asked;
  if (failure.event == EventId::data_plane_failed) return Reason::plane_refused;
  switch (code) {
    case ErrorCode::no_answer:
      return silence(failure, peer);
    case ErrorCode::no_proposal_chosen:
      return no_proposal(failure);
    case ErrorCode::wrong_key:
      // A timeout: silence is how it shows.
      if (failure.error.text.find("did not answer") != std::string::npos) return silence(failure, peer);
      return Reason::wrong_key;
    case ErrorCode::unknown_peer:
      return peer == nullptr ? Reason::unknown_caller : Reason::aggressive_refused;
    case ErrorCode::proxy_id_mismatch:
      return field(failure, "offered").empty() ? Reason::selectors_refused : Reason::selectors_differ;
    case ErrorCode::identity_mismatch:
      return failure.error.text.starts_with("the peer refused") ? Reason::identity_refused
                                                                : Reason::identity_differs;
    case ErrorCode::peer_refused:
      return by_certificate(peer) && !is_phase2(failure) ? Reason::certificate_refused : Reason::other;
    default:
      return by_code(code).value_or(Reason::other);
  }
}

// ---- attribute by attribute

void compare_attributes(const ProposalComparison& near, const conf::PeerConfig* peer, Diagnosis& out) {
  const IsakmpPolicy* policy = peer == nullptr ? nullptr : policy_of(*peer, near);
  if (policy != nullptr) {
    for (const auto& [attribute, ours] : words_of(*policy)) {
      const ike::AttributeDifference* differs = difference_in(near, attribute);
      out.attributes.push_back({std::string(attribute),
                                differs != nullptr ? printable(differs->theirs) : ours, ours,
                                differs != nullptr ? "differs" : "equal"});
    }
    return;
  }
  for (const ike::AttributeDifference& one : near.differences)
    out.attributes.push_back(
        {std::string(one.attribute), printable(one.theirs), printable(one.ours), "differs"});
}

void add_unknown_attributes(const conf::PeerConfig& peer, Reason reason, const std::string& tunnel,
                            Diagnosis& out) {
  if (reason == Reason::policy_refused) {
    for (const IsakmpPolicy& policy : peer.policies) {
      for (const auto& [attribute, ours] : words_of(policy))
        out.attributes.push_back(
            {fmt::format("policy {} {}", policy.number, attribute), "", ours, "unknown"});
      out.attributes.push_back({fmt::format("policy {} lifetime", policy.number), "",
                                fmt::format("{} s", policy.lifetime.count()), "unknown"});
    }
    return;
  }
  for (const conf::TunnelConfig& one : peer.tunnels) {
    if (!tunnel.empty() && one.name != tunnel) continue;
    for (const TransformSet& set : one.transform_sets)
      out.attributes.push_back({"transform-set", "", to_string(set), "unknown"});
    out.attributes.push_back({"pfs", "", one.pfs ? std::string(info(*one.pfs).name) : "none", "unknown"});
  }
}

void add_identity(const Failure& failure, const Values& values, Diagnosis& out) {
  const auto proved = proved_identity(failure);
  out.attributes.push_back({"identity", printable(proved ? proved->text : failure.error.text, kDetail),
                            values.at("expected"), "differs"});
}

void add_aggressive(const Failure& failure, const conf::PeerConfig* peer, Diagnosis& out) {
  const auto claimed = claimed_identity(failure);
  if (!claimed || peer == nullptr) return;
  const std::string wanted = peer->identity ? peer->identity->to_string() : peer->address.to_string();
  out.attributes.push_back({"exchange", "Aggressive Mode", peer->aggressive ? "either" : "Main Mode",
                            peer->aggressive ? "equal" : "differs"});
  out.attributes.push_back({"identity", printable(claimed->text, kDetail), printable(wanted, kDetail),
                            claims_what_is_expected(failure, *peer) ? "equal" : "differs"});
}

void add_attributes(const Failure& failure, const conf::PeerConfig* peer, const Values& values,
                    Diagnosis& out) {
  switch (out.reason) {
    case Reason::policy_differs:
    case Reason::transforms_differ:
    case Reason::pfs_differs:
      compare_attributes(*nearest(failure), peer, out);
      return;
    case Reason::policy_refused:
    case Reason::transforms_refused:
      if (peer != nullptr) add_unknown_attributes(*peer, out.reason, tunnel_of(failure, peer), out);
      return;
    case Reason::selectors_differ:
      out.attributes.push_back({"proxy identities", values.at("theirs"), values.at("ours"), "differs"});
      return;
    case Reason::selectors_refused:
      out.attributes.push_back({"proxy identities", "", values.at("ours"), "unknown"});
      return;
    case Reason::identity_differs:
      add_identity(failure, values, out);
      return;
    case Reason::aggressive_refused:
      add_aggressive(failure, peer, out);
      return;
    case Reason::wrong_key:
    case Reason::silent_after_proof:
      out.attributes.push_back({"pre-shared key", "", values.at("key"), "differs"});
      return;
    default:
      return;
  }
}

}  // namespace

Diagnosis diagnose(const Failure& failure, const conf::Config& config, const conf::PeerConfig* peer) {
  Diagnosis out;
  out.reason = reason_of(failure, peer);
  const Values values = values_of(failure, peer);
  out.sentence = expand(reason_row(out.reason).sentence, values);
  add_attributes(failure, peer, values, out);
  mend_here(failure, config, peer, values, out);
  mend_there(failure, config, peer, values, out);
  return out;
}

}  // namespace oakgate::explain
