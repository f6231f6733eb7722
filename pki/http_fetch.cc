#include "pki/http_fetch.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>
#include <memory>
#include <string>

#include "ike/base/printable.h"
#include "ike/crypto/openssl.h"

namespace oakgate::pki {

namespace {

constexpr Milliseconds kConnectTime{5000};
constexpr std::size_t kMaxHeaderBytes = 65536;

template <auto Free>
struct CurlDeleter {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using CurlHandle = std::unique_ptr<CURL, CurlDeleter<curl_easy_cleanup>>;
using CurlUrl = std::unique_ptr<CURLU, CurlDeleter<curl_url_cleanup>>;
using CurlList = std::unique_ptr<curl_slist, CurlDeleter<curl_slist_free_all>>;
using CurlText = std::unique_ptr<char, CurlDeleter<curl_free>>;

tl::unexpected<Error> failure(const std::string& url, std::string_view what, std::string expected = {}) {
  return fail(ErrorCode::fetch_failed, fmt::format("{}: {}", printable(url), what), std::move(expected),
              "is the server running, and reachable from this gateway? `curl -v` of the URL shows more");
}

// One URL on its way: the first, or where a redirection led.
struct Target {
  std::string url;
  CurlUrl parsed;
  std::string host;  // without brackets
  std::string port;
  bool any_address = false;
};

struct Transfer {
  const FetchRequest* request = nullptr;
  const ServerAddresses* servers = nullptr;
  bool any_address = false;
  CURL* handle = nullptr;
  Fetched fetched;
  std::size_t header_bytes = 0;
  // Why a callback ended the transfer; empty: it did not.
  std::string ended_by_us;
};

struct Answer {
  Fetched fetched;
  std::string redirected_to;  // empty: `fetched` is it
  bool keeps_method = false;  // status 307 or 308
  bool from_public = false;
};

std::string part_of(CURLU* url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK) return {};
  const CurlText owner(text);
  return {text};
}

Result<Target> parse_target(const std::string& url, bool any_address) {
  Target target{url, CurlUrl(curl_url()), {}, {}, any_address};
  if (!target.parsed) return fail(ErrorCode::internal, "no memory for a URL");
  const CURLUcode code = curl_url_set(target.parsed.get(), CURLUPART_URL, url.c_str(), CURLU_DISALLOW_USER);
  if (code == CURLUE_USER_NOT_ALLOWED) {
    return failure(url, "holds a user name: credentials are never sent", "a URL without user name");
  }
  if (code != CURLUE_OK) return failure(url, curl_url_strerror(code), "an http: or https: URL");
  if (!is_http_url(url)) return failure(url, "leads to another scheme", "http: or https:");
  target.host = part_of(target.parsed.get(), CURLUPART_HOST);
  target.port = part_of(target.parsed.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT);
  const bool bracketed = target.host.size() > 2 && target.host.front() == '[' && target.host.back() == ']';
  if (bracketed) target.host = target.host.substr(1, target.host.size() - 2);
  const bool clean = std::all_of(target.host.begin(), target.host.end(), [&](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::strchr(bracketed ? ":." : "-._", c) != nullptr;
  });
  if (target.host.empty() || !clean)
    return failure(url, "the server's name is none", "letters, digits, '-', '.'");
  return target;
}

std::string media_type(const char* header) {
  std::string type(header == nullptr ? "" : header);
  type = type.substr(0, type.find_first_of("; \t\r\n"));
  for (char& c : type) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return type;
}

bool type_accepted(Transfer& transfer) {
  const char* header = nullptr;
  curl_easy_getinfo(transfer.handle, CURLINFO_CONTENT_TYPE, &header);
  transfer.fetched.content_type = media_type(header);
  const auto& accepted = transfer.request->accepted_types;
  if (accepted.empty() ||
      std::find(accepted.begin(), accepted.end(), transfer.fetched.content_type) != accepted.end()) {
    return true;
  }
  transfer.ended_by_us =
      fmt::format("the answer is of type \"{}\"", printable(transfer.fetched.content_type));
  return false;
}

long status_of(CURL* handle) {
  long status = 0;
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
  return status;
}

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* context) {
  Transfer& transfer = *static_cast<Transfer*>(context);
  const std::size_t bytes = size * count;
  if (status_of(transfer.handle) != 200) return bytes;  // an error's page: nobody reads it
  Bytes& body = transfer.fetched.body;
  if (body.empty() && !type_accepted(transfer)) return 0;
  if (bytes > transfer.request->max_bytes - body.size()) {
    transfer.ended_by_us = fmt::format("more than {} bytes", transfer.request->max_bytes);
    return 0;
  }
  body.insert(body.end(), data, data + bytes);
  return bytes;
}

std::size_t on_header(char* /*data*/, std::size_t size, std::size_t count, void* context) {
  Transfer& transfer = *static_cast<Transfer*>(context);
  transfer.header_bytes += size * count;
  if (transfer.header_bytes <= kMaxHeaderBytes) return size * count;
  transfer.ended_by_us = fmt::format("more than {} bytes of header", kMaxHeaderBytes);
  return 0;
}

// The last gate: whatever name or redirection led here, this is the address that would be connected to.
curl_socket_t on_socket(void* context, curlsocktype /*purpose*/, curl_sockaddr* address) {
  Transfer& transfer = *static_cast<Transfer*>(context);
  std::optional<IpAddress> target;
  if (address->family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, &address->addr, sizeof in);
    target =
        IpAddress::from_bytes({static_cast<const std::uint8_t*>(static_cast<const void*>(&in.sin_addr)), 4});
  } else if (address->family == AF_INET6 && address->addrlen >= sizeof(sockaddr_in6)) {
    sockaddr_in6 in6{};
    std::memcpy(&in6, &address->addr, sizeof in6);
    target = IpAddress::from_bytes({in6.sin6_addr.s6_addr, 16});
  }
  if (!target || (!transfer.any_address && !transfer.servers->is_public(*target))) {
    transfer.ended_by_us = "leads to an address that is not public";
    return CURL_SOCKET_BAD;
  }
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

// "name:port:address,address", for libcurl never to ask a name server itself: it would wait for it.
CurlList resolved(const Target& target, const std::vector<IpAddress>& addresses) {
  std::string entry = fmt::format("{}:{}:", target.host, target.port);
  for (const IpAddress& address : addresses) {
    if (entry.back() != ':') entry += ',';
    entry += address.is_v4() ? address.to_string() : fmt::format("[{}]", address.to_string());
  }
  return CurlList(curl_slist_append(nullptr, entry.c_str()));
}

void set_bounds(CURL* handle, const FetchRequest& request, Milliseconds left) {
  const long milliseconds = std::max<long>(static_cast<long>(left.count()), 1);  // 0: no bound
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, milliseconds);
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, std::min<long>(milliseconds, kConnectTime.count()));
  curl_easy_setopt(handle, CURLOPT_MAXFILESIZE_LARGE, static_cast<curl_off_t>(request.max_bytes));
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(handle, CURLOPT_QUICK_EXIT, 1L);
}

void set_solitude(CURL* handle) {
  curl_easy_setopt(handle, CURLOPT_PROXY, "");  // and so none of the environment's
  curl_easy_setopt(handle, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  curl_easy_setopt(handle, CURLOPT_HTTPAUTH, 0L);
  curl_easy_setopt(handle, CURLOPT_USERAGENT, "oakgate");
  curl_easy_setopt(handle, CURLOPT_FORBID_REUSE, 1L);
}

void set_callbacks(CURL* handle, Transfer& transfer) {
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(handle, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(handle, CURLOPT_OPENSOCKETFUNCTION, on_socket);
  curl_easy_setopt(handle, CURLOPT_OPENSOCKETDATA, &transfer);
}

CurlList set_body(CURL* handle, const FetchRequest& request) {
  curl_easy_setopt(handle, CURLOPT_POST, 1L);
  curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
  curl_easy_setopt(handle, CURLOPT_POSTFIELDS, request.body.data());
  // Without it libcurl waits for a "100 Continue" that old servers never send.
  curl_slist* headers = curl_slist_append(nullptr, "Expect:");
  headers = curl_slist_append(headers, fmt::format("Content-Type: {}", request.body_type).c_str());
  curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
  return CurlList(headers);
}

std::string explain(CURLcode code, const Transfer& transfer, const char* detail) {
  if (!transfer.ended_by_us.empty()) return transfer.ended_by_us;
  const std::size_t came = transfer.fetched.body.size();
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return fmt::format("no complete answer within {} ms ({} bytes came)", transfer.request->timeout.count(),
                         came);
    case CURLE_PARTIAL_FILE:
      return fmt::format("the answer is cut short after {} bytes", came);
    case CURLE_FILESIZE_EXCEEDED:
      return fmt::format("more than {} bytes", transfer.request->max_bytes);
    case CURLE_COULDNT_CONNECT:
      return fmt::format("no connection: {}", printable(detail));
    default:
      return fmt::format("{}{}{}", curl_easy_strerror(code), *detail == '\0' ? "" : ": ", printable(detail));
  }
}

Result<Answer> answer_of(CURL* handle, const Target& target, Transfer& transfer) {
  Answer answer;
  const long status = status_of(handle);
  const char* text = nullptr;
  curl_easy_getinfo(handle, CURLINFO_PRIMARY_IP, &text);
  const auto peer = IpAddress::parse(text == nullptr ? "" : text);
  answer.from_public = !peer || transfer.servers->is_public(*peer);
  text = nullptr;
  curl_easy_getinfo(handle, CURLINFO_REDIRECT_URL, &text);
  if (status >= 300 && status < 400 && text != nullptr) {
    answer.redirected_to = text;
    answer.keeps_method = status == 307 || status == 308;
    return answer;
  }
  if (status != 200) return failure(target.url, fmt::format("HTTP status {}", status), "HTTP status 200");
  if (transfer.fetched.body.empty()) return failure(target.url, "the answer is empty");
  answer.fetched = std::move(transfer.fetched);
  return answer;
}

Result<Answer> exchange(const FetchRequest& request, const Target& target, const ServerAddresses& servers,
                        Deadline deadline) {
  const Result<std::vector<IpAddress>> addresses = servers.find(target.host, target.any_address, deadline);
  if (!addresses) return fail(addresses.error());
  const CurlHandle handle(curl_easy_init());
  const CurlList names = resolved(target, *addresses);
  if (!handle || !names) return fail(ErrorCode::internal, "no memory for an HTTP request");
  Transfer transfer{&request, &servers, target.any_address, handle.get(), {}, 0, {}};
  std::array<char, CURL_ERROR_SIZE> detail{};
  curl_easy_setopt(handle.get(), CURLOPT_CURLU, target.parsed.get());
  curl_easy_setopt(handle.get(), CURLOPT_RESOLVE, names.get());
  curl_easy_setopt(handle.get(), CURLOPT_ERRORBUFFER, detail.data());
  set_bounds(handle.get(), request, time_left(deadline));
  set_solitude(handle.get());
  set_callbacks(handle.get(), transfer);
  const CurlList headers = request.body.empty() ? CurlList() : set_body(handle.get(), request);
  const CURLcode code = curl_easy_perform(handle.get());
  crypto::drop_openssl_errors();  // of TLS
  if (code == CURLE_OK) return answer_of(handle.get(), target, transfer);
  return failure(target.url, explain(code, transfer, detail.data()));
}

}  // namespace

bool is_http_url(std::string_view url) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (url.size() > scheme.size() &&
        std::equal(scheme.begin(), scheme.end(), url.begin(),
                   [](char a, char b) { return a == std::tolower(static_cast<unsigned char>(b)); })) {
      return true;
    }
  }
  return false;
}

Result<Fetched> http_fetch(const FetchRequest& request, const ServerAddresses& servers) {
  const Deadline deadline = deadline_after(request.timeout);
  std::string url = request.url;
  bool any_address = request.configured;
  for (int redirects = 0;; ++redirects) {
    const Result<Target> target = parse_target(url, any_address);
    if (!target) return fail(target.error());
    Result<Answer> answer = exchange(request, *target, servers, deadline);
    if (!answer) return fail(std::move(answer.error()));
    if (answer->redirected_to.empty()) return std::move(answer->fetched);
    if (!request.body.empty() && !answer->keeps_method) {
      return failure(url, "a POST is answered by a redirection to a GET");
    }
    if (redirects == kMaxRedirects) {
      return failure(request.url, fmt::format("more than {} redirections", kMaxRedirects));
    }
    any_address = any_address && !answer->from_public;
    url = std::move(answer->redirected_to);
  }
}

}  // namespace oakgate::pki
