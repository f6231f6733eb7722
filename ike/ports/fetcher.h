// Fetcher: HTTP and LDAP, each request bounded in time, size, redirections and where it may go. Plain values
// in and out, so that it can live in a process that has no keys.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "ike/base/bytes.h"
#include "ike/base/result.h"
#include "ike/base/types.h"

namespace oakgate {

inline constexpr std::size_t kMaxFetchedBytes = 10'000'000;
inline constexpr int kMaxRedirects = 3;

struct FetchRequest {
  // http:, https: (GET, or POST if there is a body) or ldap: (RFC 4516: the first value of the first
  // attribute).
  std::string url;
  Bytes body;
  std::string body_type;                    // Content-Type of the body
  bool all_values = false;                  // ldap: every value of that attribute, for Fetched::more
  std::vector<std::string> accepted_types;  // Content-Types of the answer; empty: any
  std::size_t max_bytes = kMaxFetchedBytes;
  Milliseconds timeout{10000};  // for the whole of it, name look-up, redirections and all
  // An operator wrote the URL: it may lead to a private, loopback or link-local address. Redirections never
  // lead from a public to such an address.
  bool configured = false;
};

struct Fetched {
  Bytes body;
  std::string content_type;   // lower case, without parameters; empty for LDAP
  std::vector<Bytes> more{};  // the other values, if all were asked for; within `max_bytes` with `body`
};

class Fetcher {
 public:
  virtual ~Fetcher() = default;
  // Blocks for `timeout` at most: for threads of their own. Safe to call from several.
  // ErrorCode::fetch_failed names the server and what happened.
  [[nodiscard]] virtual Result<Fetched> fetch(const FetchRequest& request) const = 0;
};

}  // namespace oakgate
