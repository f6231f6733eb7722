#include "pki/ldap_fetch.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <ldap.h>
#include <netinet/in.h>
#include <openldap.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "ike/base/printable.h"

namespace oakgate::pki {

namespace {

constexpr Milliseconds kConnectTime{5000};
constexpr std::size_t kMaxAttributes = 4;  // of a URL
constexpr std::size_t kEnvelope = 65536;   // what a message may have beside the value
constexpr std::string_view kBinary = ";binary";

struct UrlFree {
  void operator()(LDAPURLDesc* url) const { ldap_free_urldesc(url); }
};
struct Unbind {
  void operator()(LDAP* session) const { ldap_unbind_ext(session, nullptr, nullptr); }
};
struct MessageFree {
  void operator()(LDAPMessage* message) const { ldap_msgfree(message); }
};
struct ValuesFree {
  void operator()(berval** values) const { ldap_value_free_len(values); }
};
using Url = std::unique_ptr<LDAPURLDesc, UrlFree>;
using Session = std::unique_ptr<LDAP, Unbind>;
using Message = std::unique_ptr<LDAPMessage, MessageFree>;

tl::unexpected<Error> failure(const FetchRequest& request, std::string_view what, std::string expected = {}) {
  return fail(ErrorCode::fetch_failed, fmt::format("{}: {}", printable(request.url), what),
              std::move(expected),
              "is the directory running, and reachable from this gateway? `ldapsearch -x -H URL` shows more");
}

tl::unexpected<Error> too_late(const FetchRequest& request) {
  return failure(request, fmt::format("no complete answer within {} ms", request.timeout.count()));
}

Result<Url> parse_url(const FetchRequest& request) {
  LDAPURLDesc* parsed = nullptr;
  if (ldap_url_parse(request.url.c_str(), &parsed) != LDAP_URL_SUCCESS) {
    return failure(request, "no ldap: URL (RFC 4516)", "ldap://server/dn?certificateRevocationList;binary");
  }
  Url url(parsed);
  if (url->lud_host == nullptr || *url->lud_host == '\0') {
    return failure(request, "the URL names no server",
                   "ldap://server/...; or `crl: {ldap: ...}` of the trustpoint");
  }
  // RFC 4516 section 2: a critical extension that is not known forbids the whole.
  if (url->lud_crit_exts > 0) return failure(request, "the URL has a critical extension", "none");
  return url;
}

// Each attribute in both its forms, ";binary" first.
std::vector<std::string> attributes_of(const LDAPURLDesc& url) {
  std::vector<std::string> names;
  const auto add = [&](std::string name) {
    if (name.size() > kBinary.size() && name.ends_with(kBinary)) name.resize(name.size() - kBinary.size());
    names.push_back(name + std::string(kBinary));
    names.push_back(std::move(name));
  };
  for (char** name = url.lud_attrs; name != nullptr && *name != nullptr; ++name) {
    if (names.size() < 2 * kMaxAttributes) add(*name);
  }
  if (names.empty()) {
    add("certificateRevocationList");
    add("authorityRevocationList");
  }
  return names;
}

// The caller owns the descriptor; -1: not connected, errno tells why.
int connect_to(const IpAddress& address, int port, Deadline deadline) {
  sockaddr_storage storage{};
  socklen_t length = 0;
  if (address.is_v4()) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(static_cast<std::uint16_t>(port));
    std::memcpy(&in.sin_addr, address.bytes().data(), 4);
    std::memcpy(&storage, &in, length = sizeof in);
  } else {
    sockaddr_in6 in6{};
    in6.sin6_family = AF_INET6;
    in6.sin6_port = htons(static_cast<std::uint16_t>(port));
    std::memcpy(&in6.sin6_addr, address.bytes().data(), 16);
    std::memcpy(&storage, &in6, length = sizeof in6);
  }
  const int fd = ::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  int error = 0;
  if (::connect(fd, static_cast<sockaddr*>(static_cast<void*>(&storage)), length) != 0) {
    error = errno;
    if (error == EINPROGRESS) {
      pollfd waiting{fd, POLLOUT, 0};
      const auto patience = std::min(time_left(deadline), kConnectTime);
      const int ready = ::poll(&waiting, 1, static_cast<int>(patience.count()));
      socklen_t size = sizeof error;
      if (ready != 1)
        error = ETIMEDOUT;
      else if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        error = errno;
    }
  }
  if (error == 0) return fd;
  ::close(fd);
  errno = error;
  return -1;
}

Result<Session> open_session(const FetchRequest& request, const LDAPURLDesc& url,
                             const ServerAddresses& servers, Deadline deadline) {
  const auto addresses = servers.find(url.lud_host, request.configured, deadline);
  if (!addresses) return fail(addresses.error());
  int fd = -1;
  for (const IpAddress& address : *addresses) {
    fd = connect_to(address, url.lud_port == 0 ? LDAP_PORT : url.lud_port, deadline);
    if (fd >= 0) break;
  }
  if (fd < 0) return failure(request, fmt::format("no connection: {}", std::strerror(errno)));
  LDAP* handle = nullptr;
  const int code = ldap_init_fd(fd, LDAP_PROTO_TCP, "ldap://server/", &handle);
  if (code != LDAP_SUCCESS) {
    ::close(fd);
    return failure(request, ldap_err2string(code));
  }
  Session session(handle);
  const int version = LDAP_VERSION3;
  const int one = 1;
  ldap_set_option(handle, LDAP_OPT_PROTOCOL_VERSION, &version);
  ldap_set_option(handle, LDAP_OPT_REFERRALS, LDAP_OPT_OFF);
  ldap_set_option(handle, LDAP_OPT_RESTART, LDAP_OPT_ON);
  ldap_set_option(handle, LDAP_OPT_SIZELIMIT, &one);
  // libldap would allocate whatever length a server announces.
  Sockbuf* buffer = nullptr;
  if (ldap_get_option(handle, LDAP_OPT_SOCKBUF, &buffer) == LDAP_OPT_SUCCESS && buffer != nullptr) {
    ber_len_t bound = request.max_bytes + kEnvelope;
    ber_sockbuf_ctrl(buffer, LBER_SB_OPT_SET_MAX_INCOMING, &bound);
  }
  return session;
}

// The next message of the operation, or why there is none.
Result<Message> next_message(const FetchRequest& request, LDAP* session, int id, Deadline deadline) {
  const Milliseconds left = time_left(deadline);
  if (left.count() == 0) return too_late(request);
  timeval patience{static_cast<time_t>(left.count() / 1000),
                   static_cast<suseconds_t>(left.count() % 1000 * 1000)};
  LDAPMessage* raw = nullptr;
  const int kind = ldap_result(session, id, LDAP_MSG_ONE, &patience, &raw);
  Message message(raw);
  if (kind == 0) return too_late(request);
  if (kind > 0 && message) return message;
  int code = LDAP_OTHER;
  ldap_get_option(session, LDAP_OPT_RESULT_CODE, &code);
  if (code == LDAP_SERVER_DOWN || code == LDAP_DECODING_ERROR) {
    return failure(request,
                   fmt::format("the connection ended within the answer, or it has more than {} bytes",
                               request.max_bytes));
  }
  return failure(request, ldap_err2string(code));
}

int result_code(LDAP* session, LDAPMessage* message) {
  int code = LDAP_OTHER;
  const int parsed = ldap_parse_result(session, message, &code, nullptr, nullptr, nullptr, nullptr, 0);
  return parsed == LDAP_SUCCESS ? code : parsed;
}

Result<void> bind_anonymously(const FetchRequest& request, LDAP* session, Deadline deadline) {
  int id = 0;
  char nothing[] = "";
  berval credentials{0, nothing};
  const int sent = ldap_sasl_bind(session, "", LDAP_SASL_SIMPLE, &credentials, nullptr, nullptr, &id);
  if (sent != LDAP_SUCCESS) return failure(request, ldap_err2string(sent));
  const Result<Message> answer = next_message(request, session, id, deadline);
  if (!answer) return fail(answer.error());
  const int code = result_code(session, answer->get());
  if (code == LDAP_SUCCESS) return {};
  return failure(request, fmt::format("anonymous bind refused: {}", ldap_err2string(code)),
                 "a directory that lets anybody read CRLs, by version 3 of LDAP");
}

Result<Fetched> value_of(const FetchRequest& request, LDAP* session, LDAPMessage* entry,
                         const std::vector<std::string>& attributes) {
  for (const std::string& name : attributes) {
    const std::unique_ptr<berval*, ValuesFree> values(ldap_get_values_len(session, entry, name.c_str()));
    if (!values || *values.get() == nullptr || (*values.get())->bv_len == 0) continue;
    Fetched fetched;
    std::size_t total = 0;
    for (berval** value = values.get(); *value != nullptr; ++value) {
      total += (*value)->bv_len;
      if (total > request.max_bytes)
        return failure(request, fmt::format("more than {} bytes", request.max_bytes));
      Bytes bytes = to_bytes(as_bytes({(*value)->bv_val, (*value)->bv_len}));
      if (value == values.get()) {
        fetched.body = std::move(bytes);
      } else {
        fetched.more.push_back(std::move(bytes));
      }
      if (!request.all_values) break;
    }
    return fetched;
  }
  return failure(request, fmt::format("the entry has no {}", printable(attributes[1])));
}

Result<Fetched> search(const FetchRequest& request, const LDAPURLDesc& url, LDAP* session,
                       Deadline deadline) {
  std::vector<std::string> attributes = attributes_of(url);
  std::vector<char*> names;
  for (std::string& name : attributes) names.push_back(name.data());
  names.push_back(nullptr);
  int id = 0;
  const int scope = url.lud_scope == LDAP_SCOPE_DEFAULT ? LDAP_SCOPE_BASE : url.lud_scope;
  const int sent = ldap_search_ext(session, url.lud_dn, scope, url.lud_filter, names.data(), 0, nullptr,
                                   nullptr, nullptr, 1, &id);
  if (sent != LDAP_SUCCESS) return failure(request, ldap_err2string(sent));
  while (true) {
    const Result<Message> message = next_message(request, session, id, deadline);
    if (!message) return fail(message.error());
    const int kind = ldap_msgtype(message->get());
    if (kind == LDAP_RES_SEARCH_ENTRY) return value_of(request, session, message->get(), attributes);
    if (kind != LDAP_RES_SEARCH_RESULT) continue;  // a referral or an intermediate answer
    const int code = result_code(session, message->get());
    return failure(request, code == LDAP_SUCCESS ? "the directory has no such entry" : ldap_err2string(code));
  }
}

}  // namespace

bool is_ldap_url(std::string_view url) {
  constexpr std::string_view scheme = "ldap://";
  return url.size() > scheme.size() &&
         std::equal(scheme.begin(), scheme.end(), url.begin(),
                    [](char a, char b) { return a == std::tolower(static_cast<unsigned char>(b)); });
}

Result<Fetched> ldap_fetch(const FetchRequest& request, const ServerAddresses& servers) {
  const Deadline deadline = deadline_after(request.timeout);
  const Result<Url> url = parse_url(request);
  if (!url) return fail(url.error());
  const Result<Session> session = open_session(request, **url, servers, deadline);
  if (!session) return fail(session.error());
  if (const auto bound = bind_anonymously(request, session->get(), deadline); !bound)
    return fail(bound.error());
  return search(request, **url, session->get(), deadline);
}

}  // namespace oakgate::pki
