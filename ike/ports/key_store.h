// KeyStore: holds long-term secrets. They never leave it; only the results of operations do. Plain values go
// in and out, so that it can live in another process. Every function is safe to call from worker threads.
#pragma once

#include <cstddef>
#include <string_view>

#include "ike/base/algorithms.h"
#include "ike/base/result.h"
#include "ike/base/secret.h"

namespace oakgate {

class KeyStore {
 public:
  virtual ~KeyStore() = default;
  // SKEYID = prf(pre-shared-key, data) for the peer of that configured name (RFC 2409 section 5: data is Ni_b
  // | Nr_b). ErrorCode::not_found if the peer has no pre-shared key. The result is secret.
  [[nodiscard]] virtual Result<SecretBytes> prf_with_pre_shared_key(std::string_view peer, IkeHash prf,
                                                                    ByteView data) const = 0;

  // A SIG payload's body over `hash` (HASH_I or HASH_R, as it is): RSA by PKCS#1 type 1 over the bare hash,
  // no DigestInfo (RFC 2409 section 5.1); EC as r | s, each as long as the curve's order (RFC 4754 section
  // 7). `key` is a KeyConfig's name. ErrorCode::no_public_key if there is no such key (yet), or if it
  // decrypts.
  [[nodiscard]] virtual Result<Bytes> sign(std::string_view key, ByteView hash) const = 0;

  // An RSA block (PKCS#1 type 2) opened, its content between `at_least` and `at_most` bytes long. Never tells
  // whether it was well-formed: for a block of the wrong length, a value not below the modulus, bad padding
  // or content of a wrong length, the result is bytes derived from the key and the block, in the same time
  // (CVE-2018-0131: such oracles broke this mode). Whoever uses it fails at HASH. The content stands at the
  // result's beginning; the result is secret. Errors tell of keys alone, never of `block`:
  // ErrorCode::no_public_key if there is no such key (yet), or if it signs.
  [[nodiscard]] virtual Result<SecretBytes> decrypt(std::string_view key, ByteView block,
                                                    std::size_t at_least, std::size_t at_most) const = 0;
};

}  // namespace oakgate
