#include "daemon/key_store.h"

#include <fmt/format.h>

#include <mutex>

#include "ike/crypto/prf.h"

namespace oakgate {

namespace {

Error no_key(std::string_view key) {
  return {ErrorCode::no_public_key,
          fmt::format("there is no private key {}", key),
          "the key in its file",
          "`oakgate pki generate-key` or `oakgate pki import` makes it",
          {}};
}

}  // namespace

void MemoryKeyStore::replace(PreSharedKeys keys) {
  const std::unique_lock lock(mutex_);
  keys_ = std::move(keys);
}

void MemoryKeyStore::replace_private_keys(PrivateKeys keys) {
  const std::unique_lock lock(mutex_);
  private_keys_ = std::move(keys);
}

Result<SecretBytes> MemoryKeyStore::prf_with_pre_shared_key(std::string_view peer, IkeHash prf,
                                                            ByteView data) const {
  const std::shared_lock lock(mutex_);
  const auto found = keys_.find(peer);
  if (found == keys_.end()) {
    return fail(ErrorCode::not_found, fmt::format("peer {} has no pre-shared key", peer),
                "`pre_shared_key` in its configuration", "add the key and run `oakgate reload`");
  }
  return crypto::prf(prf, found->second.view(), {data});
}

Result<Bytes> MemoryKeyStore::sign(std::string_view key, ByteView hash) const {
  const std::shared_lock lock(mutex_);
  const auto found = private_keys_.find(key);
  if (found == private_keys_.end()) return fail(no_key(key));
  return found->second.sign(hash);
}

Result<SecretBytes> MemoryKeyStore::decrypt(std::string_view key, ByteView block, std::size_t at_least,
                                            std::size_t at_most) const {
  const std::shared_lock lock(mutex_);
  const auto found = private_keys_.find(key);
  if (found == private_keys_.end()) return fail(no_key(key));
  return found->second.decrypt(block, at_least, at_most);
}

}  // namespace oakgate
