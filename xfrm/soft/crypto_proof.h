// Whether ipsec-mb is to be believed: its bytes held against OpenSSL's. See crypto_choice.h.
#pragma once

#include "xfrm/soft/multi_buffer.h"

namespace oakgate::soft {

// False where it cannot be used at all, too.
[[nodiscard]] bool gcm_agrees_with_openssl();
[[nodiscard]] bool agrees_with_openssl(CipherLane lane);
[[nodiscard]] bool agrees_with_openssl(TagLane lane);

}  // namespace oakgate::soft
