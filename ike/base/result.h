// Result<T>: how every function that can fail says so. No exceptions cross a function of ours; those of
// libraries are caught where they enter.
//
// An Error answers an operator's questions: what happened to whom, what was expected, how to mend it. It
// never holds a secret. `code` is stable and documented (oakgate(8)); the texts may change.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "ike/base/notify_types.h"

namespace oakgate {

enum class ErrorCode : std::uint8_t {
  internal,             // a bug or a resource that ran out
  malformed,            // bytes that break the message format
  unsupported,          // well-formed, but nothing we speak
  not_authenticated,    // a hash, tag or padding that does not verify
  no_proposal_chosen,   // no policy or transform set in common
  wrong_key,            // most likely a different pre-shared key
  unknown_peer,         // no peer is configured for the address or identity
  identity_mismatch,    // the peer proved to be somebody else
  proxy_id_mismatch,    // selectors (proxy identities) differ
  no_answer,            // the peer is silent
  peer_refused,         // the peer sent an error notification
  weak_waiver_expired,  // allow_weak is past its end date
  address_unknown,      // a host name does not resolve, or no local address fits
  data_plane,           // the data plane refused
  not_permitted,        // privileges are missing
  in_use,               // a port, socket or state directory another process holds
  not_found,            // no such peer, tunnel, file or device
  configuration,        // the configuration is not valid
  cancelled,            // an operator or a shutdown ended it
  no_certificate,       // no certificate of ours, or none came from the peer
  no_public_key,        // no RSA key is configured or known for the peer
  certificate_invalid,  // a certificate that does not chain to the trustpoint, or is not what RFC 5280 asks
  certificate_expired,  // past its end
  certificate_not_yet_valid,  // before its beginning: often our clock
  certificate_revoked,        // on a CRL, or an OCSP responder says so
  crl_unavailable,            // revocation has to be checked and there is no CRL
  crl_invalid,                // stale, not yet valid, wrongly signed, or of a kind we refuse
  signature_invalid,          // a signature that does not verify
  key_too_small,              // a key below what is allowed
  fetch_failed,               // HTTP or LDAP brought nothing usable
  enrollment_failed,          // the certification authority refused, or answered nonsense
  enrollment_pending,         // the certification authority has not decided yet
};

// The stable word for a code: "no-proposal-chosen". Used in JSON and logs.
[[nodiscard]] std::string_view to_string(ErrorCode code);
inline constexpr ErrorCode kLastErrorCode = ErrorCode::enrollment_pending;

struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string text;                    // what happened, and to whom
  std::string expected;                // what would have been right; may be empty
  std::string remedy;                  // what to do about it; may be empty
  std::optional<NotifyType> notify{};  // what the RFC has the peer told; none: say nothing
};

template <typename T>
using Result = tl::expected<T, Error>;

// `return fail(ErrorCode::..., "what", "expected", "remedy");`
[[nodiscard]] inline tl::unexpected<Error> fail(ErrorCode code, std::string text, std::string expected = {},
                                                std::string remedy = {}) {
  return tl::unexpected<Error>(Error{code, std::move(text), std::move(expected), std::move(remedy), {}});
}
[[nodiscard]] inline tl::unexpected<Error> fail(Error error) {
  return tl::unexpected<Error>(std::move(error));
}
// A protocol refusal: the peer may be told `notify`.
[[nodiscard]] inline tl::unexpected<Error> reject(NotifyType notify, ErrorCode code, std::string text,
                                                  std::string expected = {}, std::string remedy = {}) {
  return tl::unexpected<Error>(Error{code, std::move(text), std::move(expected), std::move(remedy), notify});
}

}  // namespace oakgate
