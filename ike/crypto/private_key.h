// Private keys: RSA and EC. Signing and decrypting as IKEv1 does; whoever holds one is the KeyStore, or pki/
// while it makes requests and files. Secret throughout; move-only. RFC 2409 sections 5.1 and 5.2, RFC 4754.
#pragma once

#include <functional>

#include "ike/base/bytes.h"
#include "ike/base/result.h"
#include "ike/base/secret.h"
#include "ike/crypto/openssl.h"
#include "ike/crypto/public_key.h"

namespace oakgate::crypto {

class PrivateKey {
 public:
  // PEM (PKCS#8, PKCS#1, SEC 1; not encrypted) or DER. ErrorCode::configuration says what is wrong; the rules
  // of public_key_info hold.
  [[nodiscard]] static Result<PrivateKey> parse(const SecretBytes& file);
  // Slow: seconds for 4096 bits. `progress` is called now and then, on the same thread.
  [[nodiscard]] static Result<PrivateKey> generate_rsa(int bits, const std::function<void()>& progress = {});
  [[nodiscard]] static Result<PrivateKey> generate_ec(KeyKind curve);
  [[nodiscard]] static Result<PrivateKey> adopt(Key key);

  [[nodiscard]] const PublicKeyInfo& info() const { return info_; }
  [[nodiscard]] const Bytes& public_key() const { return public_key_; }  // SubjectPublicKeyInfo
  [[nodiscard]] Result<SecretBytes> to_pem() const;                      // PKCS#8, not encrypted

  // As KeyStore::sign and KeyStore::decrypt (ike/ports/key_store.h), which see. Const and safe to call from
  // several threads.
  [[nodiscard]] Result<Bytes> sign(ByteView hash) const;
  [[nodiscard]] Result<SecretBytes> decrypt(ByteView block, std::size_t at_least, std::size_t at_most) const;

  // For OpenSSL's functions on certificates and requests; stays this object's.
  [[nodiscard]] EVP_PKEY* native() const { return key_.get(); }

 private:
  PrivateKey() = default;
  Key key_;
  PublicKeyInfo info_;
  Bytes public_key_;
  Bytes modulus_;              // RSA: info_.block_bytes long
  SecretBytes rejection_key_;  // what bytes for blocks that are not well-formed derive from
};

}  // namespace oakgate::crypto
