// The ciphers that protect ISAKMP messages: CBC without any padding of its own (RFC 2409 Appendix B; the
// caller pads with zeros to the block size). Input lengths that are not whole blocks are
// ErrorCode::malformed.
#pragma once

#include "ike/base/algorithms.h"
#include "ike/base/bytes.h"
#include "ike/base/result.h"
#include "ike/base/secret.h"

namespace oakgate::crypto {

// `key` has info(cipher).key_bytes, `iv` info(cipher).block_bytes.
[[nodiscard]] Result<Bytes> encrypt(IkeCipher cipher, const SecretBytes& key, ByteView iv,
                                    ByteView plaintext);
[[nodiscard]] Result<Bytes> decrypt(IkeCipher cipher, const SecretBytes& key, ByteView iv,
                                    ByteView ciphertext);

}  // namespace oakgate::crypto
