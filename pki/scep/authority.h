// The certification authority as a SCEP client knows it: its certificates, which of them encrypts for it and
// which may sign its answers (RFC 8894 section 4.2; draft-nourse-scep section 2.1 for registration
// authorities), and whether a certificate was issued by it. Pure.
#pragma once

#include <vector>

#include "ike/base/trust.h"
#include "pki/certificate.h"

namespace oakgate::pki::scep {

inline constexpr std::size_t kMaxAuthorityCertificates = 32;

// What GetCACert brought, sorted.
struct AuthorityCertificates {
  std::vector<Certificate> cas;  // the one that issues first, the root last
  std::vector<Certificate> ras;  // certificates of registration authorities
};
// One certificate in DER, or several in PKCS#7. ErrorCode::certificate_invalid: anything else, too many, or
// no CA among them.
[[nodiscard]] Result<AuthorityCertificates> parse_authority(ByteView answer);

struct Authority {
  Certificate ca;                    // the one that issues
  Certificate recipient;             // encrypts for it
  std::vector<Certificate> signers;  // sign its answers
  std::vector<Certificate> anchors;  // what the operator trusts: the trustpoint's
  std::vector<Certificate> pool;     // what may stand between
};
// `trusted`: the trustpoint's `ca` files. A CA or RA that is neither in them nor issued by one of them is
// ErrorCode::certificate_invalid. `mode` ra demands certificates of an RA; with mode ca they are used if they
// came: IOS does so as well. keyUsage chooses between several; old servers set it wrongly (RFC 8894 section
// 3.5.2), so a single certificate is used whatever it says.
[[nodiscard]] Result<Authority> choose_authority(const AuthorityCertificates& received,
                                                 const std::vector<Certificate>& trusted, EnrollmentMode mode,
                                                 WallTime now);

// The way from `certificate` to one of `anchors`, both included, as pki/path.h finds it; a certificate that
// is not valid yet is looked at as of its beginning.
[[nodiscard]] Result<std::vector<Certificate>> issued_by(const Certificate& certificate,
                                                         const std::vector<Certificate>& anchors,
                                                         const std::vector<Certificate>& pool, WallTime now);

}  // namespace oakgate::pki::scep
