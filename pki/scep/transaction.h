// An enrolment over time, as a small state machine of values: asked, polled, granted or given up; and when a
// certificate is to be renewed. RFC 8894 sections 2.3 to 2.5 and 4.4. No clock, no file, no network: the
// daemon and the command keep a Transaction in the state folder and ask what is to be done.
#pragma once

#include <string>

#include "ike/base/trust.h"
#include "pki/certificate.h"

namespace oakgate::pki::scep {

// A request the authority has not decided yet. Nothing in it is secret: the challenge password went out with
// the request and is not kept, the private key stays in its own file.
struct Transaction {
  std::string id;               // transactionID: 32 hexadecimal digits
  bool renewal = false;         // of the certificate that is `signer`
  bool encryption_key = false;  // for the trustpoint's encryption key, not its (signing or only) key
  Bytes subject;                // DER Name
  Bytes signer;                 // DER: the certificate that signed the request; the answer is for it
  std::string fingerprint;      // of the request, MD5, as an authority's operator compares it
  WallTime started{};
  int polls = 0;  // made so far
  WallTime next_poll{};
  friend bool operator==(const Transaction&, const Transaction&) = default;
};

enum class Step : std::uint8_t { wait, poll, give_up };
// `retry_count` 0 never gives up.
[[nodiscard]] Step next_step(const Transaction& transaction, const EnrollmentSettings& settings,
                             WallTime now);
// A poll was made and nothing is decided, or nobody answered: both count, as they do for IOS.
void note_poll(Transaction& transaction, const EnrollmentSettings& settings, WallTime now);

// When a certificate is to be renewed: when 80 % of its life have passed, or 30 days before its end,
// whichever is later. So a year's certificate is not renewed months too early (authorities refuse that), and
// one of a week is not renewed at once.
[[nodiscard]] WallTime renewal_time(const Certificate& certificate);
// After a renewal that failed: a tenth of what is left, between `retry_period` and a day.
[[nodiscard]] WallTime next_renewal_attempt(const Certificate& certificate,
                                            const EnrollmentSettings& settings, WallTime now);

}  // namespace oakgate::pki::scep
