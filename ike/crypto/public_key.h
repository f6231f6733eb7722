// Public keys: RSA and EC, as a DER SubjectPublicKeyInfo. Verifying and encrypting; nothing here is secret
// but what is encrypted. RFC 2409 sections 5.1 and 5.2, RFC 4754, RFC 8017 section 7.2.
#pragma once

#include <string>

#include "ike/base/algorithms.h"
#include "ike/base/bytes.h"
#include "ike/base/result.h"

namespace oakgate::crypto {

enum class KeyKind : std::uint8_t { rsa, ec_p256, ec_p384, ec_p521 };
struct PublicKeyInfo {
  KeyKind kind = KeyKind::rsa;
  int bits = 0;                 // of the modulus, or of the curve's order
  std::size_t block_bytes = 0;  // RSA: the modulus; EC: a signature r | s
};
// ErrorCode::malformed: no SubjectPublicKeyInfo, or bytes behind it; ErrorCode::unsupported: another kind of
// key, another curve; ErrorCode::key_too_small: an RSA modulus outside kMinRsaBits..kMaxRsaBits, or a public
// exponent that is even, 1, or above 64 bits.
[[nodiscard]] Result<PublicKeyInfo> public_key_info(ByteView spki);
// From a PEM file's content (PUBLIC KEY, RSA PUBLIC KEY or CERTIFICATE) or DER.
[[nodiscard]] Result<Bytes> parse_public_key(ByteView file);
// As IOS prints it: hexadecimal in groups of eight, nine groups a line.
[[nodiscard]] std::string ios_hex(ByteView der);

// A SIG payload's body against HASH_I or HASH_R: RSA PKCS#1 type 1 over the bare hash, the whole block
// compared with the expected one; EC r | s. ErrorCode::signature_invalid if it does not verify or the key is
// of the wrong kind for the method.
[[nodiscard]] Result<void> verify_signature(ByteView spki, AuthMethod method, ByteView hash,
                                            ByteView signature);

// One block, PKCS#1 type 2. `content` at most modulus - 11 bytes: ErrorCode::key_too_small otherwise.
[[nodiscard]] Result<Bytes> rsa_encrypt(ByteView spki, ByteView content);
// A key of so many bits that nobody has the private half of; `random` has as many bits. What is encrypted to
// it looks like what is encrypted to any.
[[nodiscard]] Result<Bytes> decoy_public_key(int bits, ByteView random);

}  // namespace oakgate::crypto
