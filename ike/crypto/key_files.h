// Key files: PEM blocks by their label, DER of several kinds. For public_key.cc and private_key.cc. What is
// read may be a private key, so all of it is treated as one.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "ike/base/bytes.h"
#include "ike/base/secret.h"
#include "ike/crypto/openssl.h"

namespace oakgate::crypto {

// Holds a line that begins a PEM block (RFC 7468).
[[nodiscard]] bool looks_like_pem(ByteView file);

struct PemBlock {
  std::string label;
  bool encrypted = false;  // by "Proc-Type: 4,ENCRYPTED" (RFC 1421) or its label
  SecretBytes data;
};
// The first block with one of the labels; others are passed over, no more than kMaxPemBlocks of them.
inline constexpr int kMaxPemBlocks = 32;
[[nodiscard]] std::optional<PemBlock> find_pem_block(ByteView file, std::span<const std::string_view> labels);

// A SubjectPublicKeyInfo, an RSAPublicKey (RFC 8017 appendix A.1.1) or a certificate, and nothing behind it.
// Null for anything else; OpenSSL's queue is empty then too.
[[nodiscard]] Key decode_public_der(ByteView der);
// PKCS#8, RSAPrivateKey or ECPrivateKey (SEC 1), not encrypted, and nothing behind it. Null for anything
// else.
[[nodiscard]] Key decode_private_der(ByteView der);
// An EncryptedPrivateKeyInfo (RFC 5208 section 6).
[[nodiscard]] bool is_encrypted_der(ByteView der);

}  // namespace oakgate::crypto
