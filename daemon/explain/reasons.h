// Why negotiations fail, for people: one table with a sentence, what mends it in our configuration and what
// mends it at an IOS or PIX device. The lines of the device are those that `oakgate export cisco` prints for
// the peer: a row says which of them; what no export holds stands here.
//
// Placeholders: {peer} its name, {address} where it is, {us} our address, {tunnel}, {port} of UDP, {awaited}
// the message that did not come, {theirs} and {ours}, {differences} in words, {detail} the error's text,
// {expected}, {key} the source of the pre-shared key, {trustpoint}, {why} Aggressive Mode is refused.
#pragma once

#include <span>
#include <string_view>

namespace oakgate::explain {

enum class Reason {
  policy_differs,
  policy_refused,
  transforms_differ,
  transforms_refused,
  pfs_differs,
  selectors_differ,
  selectors_refused,
  wrong_key,
  no_rsa_key,
  identity_differs,
  identity_refused,
  unknown_caller,
  aggressive_refused,
  silent_at_once,
  silent_in_key_exchange,
  silent_on_4500,
  silent_after_proof,
  silent_after_certificate,
  silent_in_quick_mode,
  dead,
  certificate_expired,
  certificate_not_yet_valid,
  certificate_revoked,
  certificate_untrusted,
  signature_invalid,
  crl_unavailable,
  crl_invalid,
  no_certificate,
  key_too_small,
  certificate_refused,
  waiver_ended,
  address_unknown,
  plane_refused,
  xauth_asked,
  limit_reached,
  cancelled,
  malformed,
  other,
};

struct ReasonRow {
  Reason reason;
  std::string_view word;      // in JSON
  std::string_view sentence;  // one
  std::string_view here;      // lines, by '\n'
  std::string_view exported;  // phrases, by '|': the lines of the export that hold one; empty: none
  std::string_view ios;       // further lines, by '\n'
  std::string_view pix;
};

[[nodiscard]] const ReasonRow& reason_row(Reason reason);
[[nodiscard]] std::span<const ReasonRow> reason_table();

// An attribute of a proposal: the key of ours, and which lines of the export tell the device ours.
struct AttributeRow {
  std::string_view attribute;
  std::string_view exported;
};
[[nodiscard]] std::span<const AttributeRow> attribute_table();

}  // namespace oakgate::explain
