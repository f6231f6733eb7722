#include "ike/base/result.h"

namespace oakgate {

std::string_view to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::internal:
      return "internal";
    case ErrorCode::malformed:
      return "malformed";
    case ErrorCode::unsupported:
      return "unsupported";
    case ErrorCode::not_authenticated:
      return "not-authenticated";
    case ErrorCode::no_proposal_chosen:
      return "no-proposal-chosen";
    case ErrorCode::wrong_key:
      return "wrong-key";
    case ErrorCode::unknown_peer:
      return "unknown-peer";
    case ErrorCode::identity_mismatch:
      return "identity-mismatch";
    case ErrorCode::proxy_id_mismatch:
      return "proxy-id-mismatch";
    case ErrorCode::no_answer:
      return "no-answer";
    case ErrorCode::peer_refused:
      return "peer-refused";
    case ErrorCode::weak_waiver_expired:
      return "weak-waiver-expired";
    case ErrorCode::address_unknown:
      return "address-unknown";
    case ErrorCode::data_plane:
      return "data-plane";
    case ErrorCode::not_permitted:
      return "not-permitted";
    case ErrorCode::in_use:
      return "in-use";
    case ErrorCode::not_found:
      return "not-found";
    case ErrorCode::configuration:
      return "configuration";
    case ErrorCode::cancelled:
      return "cancelled";
    case ErrorCode::no_certificate:
      return "no-certificate";
    case ErrorCode::no_public_key:
      return "no-public-key";
    case ErrorCode::certificate_invalid:
      return "certificate-invalid";
    case ErrorCode::certificate_expired:
      return "certificate-expired";
    case ErrorCode::certificate_not_yet_valid:
      return "certificate-not-yet-valid";
    case ErrorCode::certificate_revoked:
      return "certificate-revoked";
    case ErrorCode::crl_unavailable:
      return "crl-unavailable";
    case ErrorCode::crl_invalid:
      return "crl-invalid";
    case ErrorCode::signature_invalid:
      return "signature-invalid";
    case ErrorCode::key_too_small:
      return "key-too-small";
    case ErrorCode::fetch_failed:
      return "fetch-failed";
    case ErrorCode::enrollment_failed:
      return "enrollment-failed";
    case ErrorCode::enrollment_pending:
      return "enrollment-pending";
  }
  return "internal";
}

}  // namespace oakgate
