// The KeyStore of the one-process daemon: pre-shared keys in memory, by peer name. They come from conf/ and
// leave only as results of a prf.
#pragma once

#include <map>
#include <shared_mutex>
#include <string>

#include "ike/crypto/private_key.h"
#include "ike/ports/key_store.h"

namespace oakgate {

using PreSharedKeys = std::map<std::string, SecretBytes, std::less<>>;
using PrivateKeys = std::map<std::string, crypto::PrivateKey, std::less<>>;  // by KeyConfig's name

class MemoryKeyStore final : public KeyStore {
 public:
  // Takes all keys over; those from before are wiped. Safe while workers use the store.
  void replace(PreSharedKeys keys);
  void replace_private_keys(PrivateKeys keys);

  [[nodiscard]] Result<SecretBytes> prf_with_pre_shared_key(std::string_view peer, IkeHash prf,
                                                            ByteView data) const override;
  [[nodiscard]] Result<Bytes> sign(std::string_view key, ByteView hash) const override;
  [[nodiscard]] Result<SecretBytes> decrypt(std::string_view key, ByteView block, std::size_t at_least,
                                            std::size_t at_most) const override;

 private:
  mutable std::shared_mutex mutex_;
  PreSharedKeys keys_;
  PrivateKeys private_keys_;
};

}  // namespace oakgate
