// CRLs that certification authorities give by SCEP: GetCRL (RFC 8894 section 3.3.4), asked with the
// certificate and key that a trustpoint has from its authority. The files are read anew each time: what was
// enrolled or renewed meanwhile counts, and no key stays in memory.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "conf/secrets.h"
#include "ike/base/trust.h"
#include "ike/ports/fetcher.h"
#include "ike/ports/peer_verifier.h"

namespace oakgate {

class ScepLists {
 public:
  // Shared, because a thread that waits for a server is left behind when the daemon ends.
  explicit ScepLists(std::shared_ptr<const Fetcher> fetcher) : fetcher_(std::move(fetcher)) {}

  // The trustpoints as they are configured now. Safe while fetches are under way.
  void configure(const std::vector<TrustpointConfig>& trustpoints, const conf::Environment& environment);

  // The CRL (DER, not looked into) that the certificate of `source.trustpoint` is subject to. All its
  // requests together take `timeout` at most: for threads of their own, safe to call from several. Errors: of
  // the files, and of pki::scep::Client::get_crl.
  [[nodiscard]] Result<Bytes> get(const RevocationSource& source, Milliseconds timeout, WallTime now) const;

 private:
  std::shared_ptr<const Fetcher> fetcher_;
  mutable std::mutex mutex_;
  std::map<std::string, TrustpointConfig, std::less<>> trustpoints_;  // with `enrollment`
  conf::Environment environment_;
};

}  // namespace oakgate
