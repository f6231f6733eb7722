// LDAP for pki/, over libldap: one anonymous search by an ldap: URL (RFC 4516), the first value of the first
// attribute that the entry has. Version 3 (RFC 4511); certificates and CRLs are asked for both ways that
// servers store them, with the option ";binary" (RFC 4523 section 2) and without it, as version 2 did.
#pragma once

#include <string_view>

#include "ike/ports/fetcher.h"
#include "pki/server_address.h"

namespace oakgate::pki {

[[nodiscard]] bool is_ldap_url(std::string_view url);
// See Fetcher::fetch. A URL without attributes means a CRL. Referrals are not followed.
[[nodiscard]] Result<Fetched> ldap_fetch(const FetchRequest& request, const ServerAddresses& servers);

}  // namespace oakgate::pki
