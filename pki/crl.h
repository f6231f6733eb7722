// Certificate revocation lists: RFC 5280 sections 5 and 6.3. Complete CRLs only; delta and indirect ones are
// refused by name. A Crl says what is written in it; whether it is trusted, and for which certificate it
// speaks, its callers ask with the functions below. Not secret.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "ike/base/result.h"
#include "ike/base/types.h"
#include "pki/certificate.h"

namespace oakgate::pki {

inline constexpr std::size_t kMaxCrlBytes = 10'000'000;
inline constexpr std::size_t kMaxCrlEntries = 1'000'000;

// Reasons of revocation, RFC 5280 section 4.2.1.13's ReasonFlags, as OpenSSL counts them.
using ReasonMask = std::uint32_t;

class Crl {
 public:
  // DER or PEM. ErrorCode::crl_invalid: too large, too many entries, no CRL, bytes behind it, delta,
  // indirect, an unknown critical extension, no nextUpdate (RFC 5280 section 5.1.2.5 demands one).
  [[nodiscard]] static Result<Crl> parse(ByteView file);

  [[nodiscard]] const Bytes& der() const;
  [[nodiscard]] Bytes issuer() const;  // DER Name
  [[nodiscard]] std::string issuer_text() const;
  [[nodiscard]] WallTime this_update() const;
  [[nodiscard]] WallTime next_update() const;
  [[nodiscard]] std::size_t entries() const;
  [[nodiscard]] std::string number() const;  // hexadecimal; empty: the extension is absent
  // Published after `other`, a list of the same issuer and scope: by thisUpdate, which counts in seconds, and
  // of two lists of one second by the CRL number (RFC 5280 section 5.2.3: it never goes down; none counts as
  // the lowest).
  [[nodiscard]] bool newer_than(const Crl& other) const;
  [[nodiscard]] std::string signature_digest() const;
  [[nodiscard]] Bytes scope()
      const;  // DER of the issuing distribution point; empty: everything of the issuer

  // ErrorCode::crl_invalid: another name, keyUsage without cRLSign (RFC 5280 section 6.3.3 (f)), or a
  // signature that does not verify. A good signature is remembered.
  [[nodiscard]] Result<void> signed_by(const Certificate& issuer) const;
  // ErrorCode::crl_invalid: "New CRL Not Yet Valid (router time not synched to CA?)", or nextUpdate passed.
  [[nodiscard]] Result<void> current(WallTime now) const;
  // Which reasons it speaks of for `certificate`, all of them for an ordinary CRL; 0: it is none of this
  // CRL's (RFC 5280 section 6.3.3 (b), RFC 4945 section 5.1.3.13). The issuer's name is compared as well.
  [[nodiscard]] ReasonMask covers(const Certificate& certificate) const;
  struct Entry {
    WallTime revoked_at{};
    std::string reason;  // "keyCompromise"; empty: none given
  };
  // Of the certificate with that serial number: it has to be covered.
  [[nodiscard]] std::optional<Entry> find(const Certificate& certificate) const;
  // Whether it is in that name: RFC 5280 section 7.1.
  [[nodiscard]] bool is_of(const X509_NAME* issuer) const;

 private:
  struct Content;
  Crl() = default;
  // Shared by copies, in the cache and in snapshots that worker threads read: up to 10 MB, never changed.
  std::shared_ptr<const Content> content_;
};
inline constexpr ReasonMask kAllReasons = 0x807f;  // OpenSSL's CRLDP_ALL_REASONS

}  // namespace oakgate::pki
