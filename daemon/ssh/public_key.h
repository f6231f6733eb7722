// Public keys as OpenSSH writes them: RFC 4253 section 6.6 for RSA, RFC 5656 section 3.1 for ECDSA.
#pragma once

#include <string>

#include "ike/base/bytes.h"
#include "ike/base/result.h"

namespace oakgate::ssh {

struct PublicKey {
  std::string type;  // "ssh-rsa", "ecdsa-sha2-nistp256"
  std::string blob;  // base64
  [[nodiscard]] std::string line() const { return type + " " + blob; }
  friend bool operator==(const PublicKey&, const PublicKey&) = default;
};

// Of a SubjectPublicKeyInfo. ErrorCode::unsupported and the others of crypto::public_key_info.
[[nodiscard]] Result<PublicKey> public_key(ByteView spki);

}  // namespace oakgate::ssh
