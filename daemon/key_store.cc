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

std::string_view purpose_text(KeyUsage purpose) {
  return purpose == KeyUsage::signature ? "signing" : "decrypting";
}

// What each key is for; ErrorCode::configuration if one is for both.
Result<std::map<Bytes, KeyUsage>> purposes_of(const PrivateKeys& keys) {
  std::map<Bytes, KeyUsage> purposes;
  for (const auto& [name, stored] : keys) {
    KeyUsage& purpose = purposes.try_emplace(stored.key.public_key(), KeyUsage::general).first->second;
    if (stored.usage == KeyUsage::general) continue;
    if (purpose != KeyUsage::general && purpose != stored.usage) {
      return fail(ErrorCode::configuration,
                  fmt::format("key {} is for {}, and under another name for {}", name,
                              purpose_text(stored.usage), purpose_text(purpose)),
                  "a key of its own for each purpose", "`oakgate pki generate-key` makes another one");
    }
    purpose = stored.usage;
  }
  return purposes;
}

}  // namespace

PreSharedKeys MemoryKeyStore::replace(PreSharedKeys keys) {
  const std::unique_lock lock(mutex_);
  return std::exchange(keys_, std::move(keys));
}

Result<PrivateKeys> MemoryKeyStore::replace_private_keys(PrivateKeys keys) {
  auto purposes = purposes_of(keys);
  if (!purposes) return fail(std::move(purposes.error()));
  const std::unique_lock lock(mutex_);
  const std::lock_guard purposes_lock(purposes_mutex_);
  purposes_ = std::move(*purposes);
  return std::exchange(private_keys_, std::move(keys));
}

Result<const crypto::PrivateKey*> MemoryKeyStore::claim(std::string_view key, KeyUsage purpose) const {
  const auto found = private_keys_.find(key);
  if (found == private_keys_.end()) return fail(no_key(key));
  const std::lock_guard lock(purposes_mutex_);
  KeyUsage& bound = purposes_[found->second.key.public_key()];
  if (bound == KeyUsage::general) bound = purpose;
  if (bound != purpose) {
    return fail(ErrorCode::no_public_key,
                fmt::format("key {} is for {}, not for {}", key, purpose_text(bound), purpose_text(purpose)),
                "a key of its own for each purpose", "`oakgate pki generate-key` makes another one");
  }
  return &found->second.key;
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
  const auto found = claim(key, KeyUsage::signature);
  if (!found) return fail(found.error());
  return (*found)->sign(hash);
}

Result<SecretBytes> MemoryKeyStore::decrypt(std::string_view key, ByteView block, std::size_t at_least,
                                            std::size_t at_most) const {
  const std::shared_lock lock(mutex_);
  const auto found = claim(key, KeyUsage::encryption);
  if (!found) return fail(found.error());
  return (*found)->decrypt(block, at_least, at_most);
}

}  // namespace oakgate
