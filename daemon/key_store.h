// The KeyStore of the one-process daemon: pre-shared keys by peer name and private keys by their configured
// name, in memory. They leave only as results of a prf, a signature or a decryption.
//
// One private key never does both: what is decrypted for a stranger could be a signature, and the other way
// round. Purposes belong to the key itself, so that giving it two names does not help.
#pragma once

#include <map>
#include <mutex>
#include <shared_mutex>
#include <string>

#include "ike/base/trust.h"
#include "ike/crypto/private_key.h"
#include "ike/ports/key_store.h"

namespace oakgate {

using PreSharedKeys = std::map<std::string, SecretBytes, std::less<>>;
// `usage` as the configuration needs it: signature or encryption. `general`: the first use decides.
struct StoredKey {
  crypto::PrivateKey key;
  KeyUsage usage = KeyUsage::general;
};
using PrivateKeys = std::map<std::string, StoredKey, std::less<>>;  // by KeyConfig's name

class MemoryKeyStore final : public KeyStore {
 public:
  // Takes all keys over and returns those from before. Safe while workers use the store.
  PreSharedKeys replace(PreSharedKeys keys);
  // ErrorCode::configuration, and nothing is replaced, if one key is there for both purposes.
  [[nodiscard]] Result<PrivateKeys> replace_private_keys(PrivateKeys keys);

  [[nodiscard]] Result<SecretBytes> prf_with_pre_shared_key(std::string_view peer, IkeHash prf,
                                                            ByteView data) const override;
  [[nodiscard]] Result<Bytes> sign(std::string_view key, ByteView hash) const override;
  [[nodiscard]] Result<SecretBytes> decrypt(std::string_view key, ByteView block, std::size_t at_least,
                                            std::size_t at_most) const override;

 private:
  // The key of that name, bound to the purpose from now on. Under mutex_.
  [[nodiscard]] Result<const crypto::PrivateKey*> claim(std::string_view key, KeyUsage purpose) const;

  mutable std::shared_mutex mutex_;
  PreSharedKeys keys_;
  PrivateKeys private_keys_;
  mutable std::mutex purposes_mutex_;           // taken after mutex_
  mutable std::map<Bytes, KeyUsage> purposes_;  // by public key
};

}  // namespace oakgate
