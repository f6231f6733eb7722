// Distinguished names: DER <-> text, and equality as RFC 5280 section 7.1 has it. Nothing here is secret.
#pragma once

#include <string>
#include <string_view>

#include "ike/base/bytes.h"
#include "ike/base/result.h"

namespace oakgate::crypto {

// RFC 4514, most specific first: "CN=gw-a,O=corp". `der` is a Name and nothing behind it;
// ErrorCode::malformed otherwise. What is not printable is escaped.
[[nodiscard]] Result<std::string> name_text(ByteView der);
// The DER of a name in RFC 4514's form, blanks around its parts allowed, most specific first; also as IOS
// writes it ("OU = sjvpn, O = cisco, C = us"). ErrorCode::configuration for anything else.
[[nodiscard]] Result<Bytes> name_from_text(std::string_view text);
// Case and blanks do not count in printable strings (RFC 5280 section 7.1). False if either is no Name.
[[nodiscard]] bool same_name(ByteView a, ByteView b);

}  // namespace oakgate::crypto
