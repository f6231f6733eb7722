// The revocation lists that were fetched or sent, in memory and on disk: shared by all peers and trustpoints,
// kept through restarts. Of one issuer, key and scope the newest wins; an older one never replaces it.
// Whoever puts one in has checked its signature; whoever takes one out checks it again (Crl remembers), so a
// file that somebody changed on disk does no harm. Safe to call from any thread.
#pragma once

#include <filesystem>
#include <mutex>
#include <string>
#include <vector>

#include "ike/base/result.h"
#include "ike/ports/peer_verifier.h"
#include "pki/crl.h"

namespace oakgate::pki {

inline constexpr std::size_t kMaxCachedCrls = 256;
inline constexpr std::size_t kMaxCachedBytes = 100'000'000;

class CrlCache {
 public:
  struct Item {
    Crl crl;
    Bytes signer;             // SubjectPublicKeyInfo that its signature verified with
    RevocationSource source;  // `url` empty: a peer sent it
    bool on_disk = false;
  };

  // `folder` empty: in memory alone.
  explicit CrlCache(std::filesystem::path folder) : folder_(std::move(folder)) {}
  // What an earlier run left. Files that are no CRLs of ours are left alone and named by the errors.
  [[nodiscard]] std::vector<Error> load();
  // True: it is new. False: this one or a newer one is there already. It is kept even if the disk fails. When
  // the bounds are reached, what ends first goes.
  bool put(Item item);
  // Of that issuer, compared as names.
  [[nodiscard]] std::vector<Crl> of_issuer(ByteView name) const;
  [[nodiscard]] std::vector<Item> all() const;
  [[nodiscard]] bool on_disk() const { return !folder_.empty(); }

 private:
  [[nodiscard]] std::filesystem::path path_of(const Item& item) const;
  bool insert(Item item);  // the mutex is held
  void make_room();

  std::filesystem::path folder_;
  mutable std::mutex mutex_;
  std::vector<Item> items_;
};

}  // namespace oakgate::pki
