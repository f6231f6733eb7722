// KeyStore: holds long-term secrets. They never leave it; only the results of operations do.
#pragma once

#include <string_view>

#include "ike/base/algorithms.h"
#include "ike/base/result.h"
#include "ike/base/secret.h"

namespace oakgate {

class KeyStore {
 public:
  virtual ~KeyStore() = default;
  // SKEYID = prf(pre-shared-key, data) for the peer of that configured name (RFC 2409 section 5: data is Ni_b
  // | Nr_b). ErrorCode::not_found if the peer has no pre-shared key. The result is secret. Safe to call from
  // worker threads.
  [[nodiscard]] virtual Result<SecretBytes> prf_with_pre_shared_key(std::string_view peer, IkeHash prf,
                                                                    ByteView data) const = 0;
};

}  // namespace oakgate
