#include "pki/revocation.h"

#include <fmt/format.h>

#include <algorithm>

namespace oakgate::pki {
namespace {

// A CA certificate that signs CRLs is itself subject to revocation, by a CRL whose signer ... : so far.
constexpr int kMaxSignerDepth = 3;

Error revoked_error(const Certificate& certificate, WallTime at, const std::string& reason,
                    const std::string& source) {
  return {ErrorCode::certificate_revoked,
          fmt::format("the certificate of \"{}\", serial number {}, was revoked {}{} ({})",
                      certificate.subject_text(), certificate.serial(), time_text(at),
                      reason.empty() ? "" : ": " + reason, source),
          "a certificate that is not revoked",
          "The peer has to enroll again.",
          {}};
}

class Checker {
 public:
  Checker(const RevocationInput& input, WallTime now) : input_(input), now_(now) {}

  RevocationFinding check_path(const std::vector<Certificate>& path, int depth) {
    RevocationFinding out;
    for (std::size_t index = 0; index + 1 < path.size() && !out.revoked; ++index) {
      RevocationFinding one = check_one(path[index], path[index + 1], depth);
      out.revoked = std::move(one.revoked);
      if (!out.unknown) out.unknown = std::move(one.unknown);
      if (!out.was_revoked) out.was_revoked = std::move(one.was_revoked);
      out.responders.insert(out.responders.end(), one.responders.begin(), one.responders.end());
    }
    return out;
  }

 private:
  RevocationFinding check_one(const Certificate& certificate, const Certificate& issuer, int depth) {
    RevocationFinding out = ask_crls(certificate, issuer, depth);
    if (out.revoked || !input_.ocsp) return out;
    const auto status = input_.ocsp(certificate, issuer);
    if (!status) return out;
    const Doubt doubt = status->responder ? doubt_about(*status->responder, issuer, depth) : Doubt{};
    // Who may have lost its key does not vouch for anybody; who has lost it does not accuse, either.
    if (doubt.why && (!status->revoked || doubt.revoked)) {
      if (!out.unknown) return out;
      out.unknown = doubt.why;
      if (!doubt.revoked) out.responders.push_back(*status->responder);
      return out;
    }
    if (!status->revoked) return {};
    out.revoked = revoked_error(certificate, status->revoked_at, status->reason, "by OCSP");
    return out;
  }

  struct Doubt {
    std::optional<Error> why;
    bool revoked = false;  // else it is not known
  };
  Doubt doubt_about(const Certificate& responder, const Certificate& issuer, int depth) {
    const RevocationFinding found = ask_crls(responder, issuer, depth);
    const std::string whose = "the OCSP responder \"" + responder.subject_text() + '"';
    for (const auto& revoked : {found.revoked, found.was_revoked}) {
      if (!revoked) continue;
      return {Error{ErrorCode::crl_invalid,
                    whose + " has itself been revoked: " + revoked->text,
                    "an answer of a responder that is not revoked",
                    "Give the responder a new key and certificate.",
                    {}},
              true};
    }
    if (!found.unknown) return {};
    return {
        Error{
            ErrorCode::crl_unavailable,
            "nothing says whether the certificate of " + whose + " has been revoked: " + found.unknown->text,
            "a CRL that speaks of it, or id-pkix-ocsp-nocheck in it",
            "Name a URL of its CA's CRL in `crl:` of the trustpoint, or have the certificate issued with "
            "id-pkix-ocsp-nocheck.",
            {}},
        false};
  }

  // What CRLs at hand say. First those signed with the very key that signed the certificate; only if they do
  // not suffice, those signed with another key of its issuer: some CAs keep a list for each of their keys.
  RevocationFinding ask_crls(const Certificate& certificate, const Certificate& issuer, int depth) {
    RevocationFinding out;
    ReasonMask reasons = 0;
    std::vector<Crl> by_others;
    std::vector<Bytes> asked;  // scopes: of each the newest list alone counts
    for (const Crl& crl : by_age()) {
      const ReasonMask covered = crl.covers(certificate);
      if (covered == 0 || std::find(asked.begin(), asked.end(), crl.scope()) != asked.end()) continue;
      if (auto mine = crl.signed_by(issuer); !mine) {
        if (!out.unknown) out.unknown = std::move(mine.error());
        by_others.push_back(crl);
        continue;
      }
      // A list that will be valid later does not make an older one worthless.
      if (crl.this_update() <= now_) asked.push_back(crl.scope());
      if (ask(crl, certificate, out)) reasons |= covered;
    }
    for (const Crl& crl : by_others) {
      if (reasons == kAllReasons || out.revoked) break;
      if (signed_by_another(crl, depth) && ask(crl, certificate, out)) reasons |= crl.covers(certificate);
    }
    if (out.revoked) return out;
    if (reasons == kAllReasons) return {};
    if (!out.unknown) out.unknown = no_crl(certificate);
    return out;
  }

  // One CRL that is its issuer's. True: it is current, and what it says is in `out`.
  bool ask(const Crl& crl, const Certificate& certificate, RevocationFinding& out) const {
    if (auto digest = check_digest(crl.signature_digest(), "the CRL of \"" + crl.issuer_text() + '"',
                                   input_.settings.allow_weak, now_);
        !digest) {
      out.unknown = std::move(digest.error());
      out.unknown->code = ErrorCode::crl_invalid;
      return false;
    }
    auto current = crl.current(now_);
    const auto entry = crl.find(certificate);
    if (entry && entry->reason != "removeFromCRL") {
      auto& place = current ? out.revoked : out.was_revoked;
      place = revoked_error(certificate, entry->revoked_at, entry->reason, "by its issuer's CRL");
    }
    if (!current) out.unknown = std::move(current.error());
    return current.has_value();
  }

  [[nodiscard]] std::vector<Crl> by_age() const {
    std::vector<Crl> out = input_.crls;
    std::stable_sort(out.begin(), out.end(), [](const Crl& a, const Crl& b) { return a.newer_than(b); });
    return out;
  }

  // RFC 5280 section 6.3.3 (f): "Obtain and validate the certification path for the issuer of the complete
  // CRL. The trust anchor for the certification path MUST be the same as the trust anchor used to validate
  // the target certificate."
  bool signed_by_another(const Crl& crl, int depth) {
    if (depth >= kMaxSignerDepth) return false;
    for (const auto* pool : {&input_.settings.anchors, &input_.settings.intermediates, &input_.path}) {
      for (const Certificate& candidate : *pool) {
        if (!crl.signed_by(candidate)) continue;
        const auto path = build_path(candidate, input_.settings, now_);
        if (!path || path->back() != input_.path.back()) continue;
        if (!check_strength(*path, input_.settings.allow_weak, now_)) continue;
        const RevocationFinding signer = check_path(*path, depth + 1);
        if (!signer.revoked && !signer.unknown && !signer.was_revoked) return true;
      }
    }
    return false;
  }

  static Error no_crl(const Certificate& certificate) {
    return {
        ErrorCode::crl_unavailable,
        fmt::format("there is no CRL of \"{}\" that speaks of the certificate of \"{}\"",
                    certificate.issuer_text(), certificate.subject_text()),
        "its issuer's CRL, or an OCSP answer",
        "Name a URL or a file in `crl:` of the trustpoint; see whether the server is up; or set revocation: "
        "crl-optional.",
        {}};
  }

  const RevocationInput& input_;
  WallTime now_;
};

}  // namespace

RevocationFinding check_revocation(const RevocationInput& input, WallTime now) {
  return Checker(input, now).check_path(input.path, 0);
}

}  // namespace oakgate::pki
