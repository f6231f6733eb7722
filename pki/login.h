// A certificate that an operator logs in with by SSH: what its key may be used for, and whose it is.
// RFC 6187 section 2.2 for the usages; the refusals are in IOS's words where it has them.
#pragma once

#include <string>
#include <vector>

#include "ike/base/login.h"
#include "ike/base/result.h"
#include "pki/certificate.h"

namespace oakgate::pki {

// keyUsage digitalSignature and extendedKeyUsage as `wanted`, or neither extension.
// ErrorCode::certificate_invalid.
[[nodiscard]] Result<void> check_login_usage(const Certificate& leaf, LoginUsage wanted);

// Every value of that field, as it stands there; never empty. ErrorCode::identity_mismatch: it has none
// ("Could not find username field configured for certificate in trustpoint ..."), a subject has several, or
// one is not graphic ASCII (an embedded NUL, say).
[[nodiscard]] Result<std::vector<std::string>> login_names(const Certificate& leaf, LoginName field,
                                                           const std::string& trustpoint);
// As the configuration spells it: "subject-commonname".
[[nodiscard]] std::string_view to_string(LoginName field);

}  // namespace oakgate::pki
