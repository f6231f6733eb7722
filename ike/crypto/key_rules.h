// What is asked of every public and private key, whatever is waived. For public_key.cc and private_key.cc.
#pragma once

#include <openssl/ecdsa.h>

#include "ike/base/bytes.h"
#include "ike/base/result.h"
#include "ike/crypto/openssl.h"
#include "ike/crypto/public_key.h"

namespace oakgate::crypto {

using EcSignature = Owned<ECDSA_SIG, ECDSA_SIG_free>;

// Kind and sizes, and the bounds of public_key_info (public_key.h), which see for the errors.
[[nodiscard]] Result<PublicKeyInfo> key_info(EVP_PKEY* key);
// DER SubjectPublicKeyInfo.
[[nodiscard]] Result<Bytes> encode_public(EVP_PKEY* key);

}  // namespace oakgate::crypto
