#include "pki/fetcher.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <ldap.h>

#include <mutex>

#include "ike/base/printable.h"
#include "pki/http_fetch.h"
#include "pki/ldap_fetch.h"

namespace oakgate::pki {

namespace {

constexpr std::size_t kMaxUrl = 32768;  // SCEP puts whole messages into URLs

// Both libraries set themselves up at their first use, which is not safe from several threads.
void initialise_libraries() {
  static std::once_flag once;
  std::call_once(once, [] {
    curl_global_init(CURL_GLOBAL_DEFAULT);
    LDAPAPIInfo info{};
    info.ldapai_info_version = LDAP_API_INFO_VERSION;
    if (ldap_get_option(nullptr, LDAP_OPT_API_INFO, &info) == LDAP_OPT_SUCCESS) {
      ldap_memfree(info.ldapai_vendor_name);
      ber_memvfree(reinterpret_cast<void**>(info.ldapai_extensions));
    }
  });
}

}  // namespace

NetworkFetcher::NetworkFetcher(AddressRules rules) : servers_(std::move(rules)) {
  initialise_libraries();
}

Result<Fetched> NetworkFetcher::fetch(const FetchRequest& request) const {
  if (request.url.size() <= kMaxUrl) {
    if (is_http_url(request.url)) return http_fetch(request, servers_);
    if (is_ldap_url(request.url) && request.body.empty()) return ldap_fetch(request, servers_);
  }
  return fail(ErrorCode::fetch_failed, fmt::format("{}: no URL to fetch from", printable(request.url)),
              "http:, https: or ldap:", "mend the URL where it is written: configuration or certificate");
}

}  // namespace oakgate::pki
