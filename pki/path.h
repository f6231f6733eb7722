// A certificate's path to a trust anchor: RFC 5280 section 6.1, by OpenSSL, at a time that comes from
// outside. On top of it what OpenSSL leaves open: usages (RFC 4945 section 5.1.3) and weak keys and digests,
// by the trustpoint's waiver. Revocation is pki/revocation.h's.
#pragma once

#include <string>
#include <vector>

#include "ike/base/policy.h"
#include "ike/base/result.h"
#include "ike/base/trust.h"
#include "pki/certificate.h"

namespace oakgate::pki {

// Intermediates between a leaf and its anchor.
inline constexpr int kMaxPathDepth = 10;

struct PathSettings {
  // Trusted: roots, and intermediates the operator trusts (a path may end at those).
  std::vector<Certificate> anchors;
  std::vector<Certificate> intermediates;  // helpful, not trusted
  WeakWaiver allow_weak;
  // Certificate policies (RFC 5280 section 6.1.1), dotted numbers. Not demanded by default.
  bool check_policies = false;
  std::vector<std::string> policies;
  bool explicit_policy = false;
  bool inhibit_any_policy = false;
  bool inhibit_mapping = false;
};

// Which of a trustpoint's CA certificates a path may end at: the self-signed ones, and those whose issuer is
// not among them.
[[nodiscard]] std::vector<Certificate> trust_anchors(const std::vector<Certificate>& cas);

// Leaf first, anchor last. Errors: certificate_invalid (wrong issuer, bad signature, not a CA, constraints,
// an unknown critical extension), certificate_expired, certificate_not_yet_valid. Its keys and digests are
// not looked at.
[[nodiscard]] Result<std::vector<Certificate>> build_path(const Certificate& leaf,
                                                          const PathSettings& settings, WallTime now);
// Of a peer's certificate: keyUsage digitalSignature or nonRepudiation, extendedKeyUsage as `wanted`, or
// neither extension. ErrorCode::certificate_invalid.
[[nodiscard]] Result<void> check_usage(const Certificate& leaf, ExtendedKeyUsage wanted);
// Keys of the whole path, signatures of all but the anchor. ErrorCode::key_too_small, ErrorCode::
// certificate_invalid, ErrorCode::weak_waiver_expired.
[[nodiscard]] Result<void> check_strength(const std::vector<Certificate>& path, const WeakWaiver& waiver,
                                          WallTime now);
// A signature's digest ("md5", "sha1"; `what` was signed with it) against the waiver; certificate_invalid and
// weak_waiver_expired as above.
[[nodiscard]] Result<void> check_digest(const std::string& digest, const std::string& what,
                                        const WeakWaiver& waiver, WallTime now);

}  // namespace oakgate::pki
