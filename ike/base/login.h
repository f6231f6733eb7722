// How an operator logs in by SSH with a certificate, as plain values: conf/ reads them, pki/ obeys them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace oakgate {

// `username:`, the field of a certificate that has to be the user's name; IOS: `authorization username`.
enum class LoginName : std::uint8_t { subject_common_name, subject_serial_number, san_email, san_upn };

// `extended_key_usage:` of an operator's certificate, if it has that extension. ssh: id-kp-secureShellClient
// (RFC 6187 section 2.2.2); client: that or TLS clients' purpose; either takes anyExtendedKeyUsage.
enum class LoginUsage : std::uint8_t { ssh, client, any };

inline constexpr std::size_t kMaxLoginName = 64;

// A user's name that may become part of a path, an LDAP filter and a command line as it is: letters, digits,
// `.`, `_`, `-` and `@`, no `.` or `-` first.
[[nodiscard]] constexpr bool is_login_name(std::string_view name) {
  const auto letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  return !name.empty() && name.size() <= kMaxLoginName && letter(name.front()) &&
         std::all_of(name.begin(), name.end(),
                     [&](char c) { return letter(c) || c == '.' || c == '-' || c == '@'; });
}

}  // namespace oakgate
