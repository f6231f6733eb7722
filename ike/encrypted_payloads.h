// The bodies that RSA-encrypted nonces hide: RFC 2409 sections 5.2 and 5.3. Each body is one RSA block in the
// first mode; in the revised mode the nonce is, and what follows it goes under a key that grows from it. The
// generic headers stay in clear. No state: the exchange is in rsa_encryption.cc.
#pragma once

#include <vector>

#include "ike/base/algorithms.h"
#include "ike/base/result.h"
#include "ike/base/secret.h"
#include "ike/wire/message.h"

namespace oakgate::ike {

// Of an ID payload's content: type, protocol, port, and something.
inline constexpr std::size_t kShortestIdBody = 5;

// An ID payload from its body, encrypted or not; shorter ones than four bytes are filled with zeros.
[[nodiscard]] wire::IdPayload id_of_body(ByteView body);

// An encrypted body as it came, under its payload's type.
struct EncryptedBody {
  wire::PayloadType type{};
  Bytes data;
};
// KE, ID, NONCE, CERT and NAT-D of a message parsed with Identities::opaque, in its order; nothing else is
// ever encrypted to us. NAT-D: of the type that was agreed on; `none`: on none.
[[nodiscard]] std::vector<EncryptedBody> encrypted_bodies(const wire::Body& body, wire::PayloadType nat_d);

// Ke_i or Ke_r at work: CBC through the bodies of a message, from an IV of zeros on; "the IV for subsequent
// payloads ... is the last ciphertext block of the previous payload". Ephemeral, secret.
class RevisedCipher {
 public:
  // From the sender's nonce and cookie.
  [[nodiscard]] static Result<RevisedCipher> make(IkeHash prf, IkeCipher cipher, ByteView nonce,
                                                  const Cookie& cookie);
  // "All padding bytes, except for the last one, contain 0x00. The last byte of the padding contains the
  // number of the padding bytes used, excluding the last one. ... there will always be padding."
  [[nodiscard]] Result<Bytes> seal(ByteView body);
  // ErrorCode::malformed: not whole blocks, or no such padding. Whoever asks must not let that show: the key
  // may come from a nonce that was none.
  [[nodiscard]] Result<SecretBytes> open(ByteView body);

 private:
  RevisedCipher(IkeCipher cipher, SecretBytes key, Bytes iv)
      : cipher_(cipher), key_(std::move(key)), iv_(std::move(iv)) {}
  IkeCipher cipher_;
  SecretBytes key_;
  Bytes iv_;
};

}  // namespace oakgate::ike
