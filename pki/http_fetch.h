// HTTP for pki/, over libcurl: GET, or POST if there is a body, and nothing else of HTTP's comforts: no
// proxies, cookies, credentials or caches. One request at a time in the caller's thread, bounded as
// ike/ports' Fetcher says. Redirections are followed here, one by one, because each may lead elsewhere.
#pragma once

#include <string_view>

#include "ike/ports/fetcher.h"
#include "pki/server_address.h"

namespace oakgate::pki {

// http: or https:, in any case of letters.
[[nodiscard]] bool is_http_url(std::string_view url);
// See Fetcher::fetch. curl_global_init() must have been called.
[[nodiscard]] Result<Fetched> http_fetch(const FetchRequest& request, const ServerAddresses& servers);

}  // namespace oakgate::pki
