// The Fetcher over the network: HTTP by libcurl, LDAP by libldap. Holds no keys.
#pragma once

#include "ike/ports/fetcher.h"
#include "pki/server_address.h"

namespace oakgate::pki {

class NetworkFetcher final : public Fetcher {
 public:
  explicit NetworkFetcher(AddressRules rules = {});
  [[nodiscard]] Result<Fetched> fetch(const FetchRequest& request) const override;

 private:
  ServerAddresses servers_;
};

}  // namespace oakgate::pki
