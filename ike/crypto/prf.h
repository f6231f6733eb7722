// Hashes and the HMAC that is IKE's prf (RFC 2409 section 4, Appendix A), over OpenSSL. Inputs come in parts,
// which are concatenated. Failures are ErrorCode::internal (OpenSSL's queue is drained into the text, never
// key material).
#pragma once

#include <initializer_list>

#include "ike/base/algorithms.h"
#include "ike/base/bytes.h"
#include "ike/base/result.h"
#include "ike/base/secret.h"

namespace oakgate::crypto {

[[nodiscard]] Result<Bytes> hash(IkeHash algorithm, std::initializer_list<ByteView> parts);
// prf(key, parts): info(algorithm).bytes long. Secret where its use is; to publish a HASH payload copy its
// view().
[[nodiscard]] Result<SecretBytes> prf(IkeHash algorithm, ByteView key, std::initializer_list<ByteView> parts);

}  // namespace oakgate::crypto
