#include "daemon/key_store.h"

#include <fmt/format.h>

#include <mutex>

#include "ike/crypto/prf.h"

namespace oakgate {

void MemoryKeyStore::replace(PreSharedKeys keys) {
  const std::unique_lock lock(mutex_);
  keys_ = std::move(keys);
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

}  // namespace oakgate
