#include "pki/server_address.h"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>

#include "ike/base/printable.h"

namespace oakgate::pki {

namespace {

struct Range {
  std::string_view subnet;
  std::string_view kind;
};
// RFC 6890's special-purpose registries, as far as something could answer there.
constexpr std::array<Range, 15> kNotPublic{{{"0.0.0.0/8", "an unspecified address"},
                                            {"10.0.0.0/8", "a private address"},
                                            {"100.64.0.0/10", "an address shared by a carrier's customers"},
                                            {"127.0.0.0/8", "a loopback address"},
                                            {"169.254.0.0/16", "a link-local address"},
                                            {"172.16.0.0/12", "a private address"},
                                            {"192.168.0.0/16", "a private address"},
                                            {"224.0.0.0/4", "a multicast address"},
                                            {"240.0.0.0/4", "a reserved address"},
                                            {"::/128", "an unspecified address"},
                                            {"::1/128", "a loopback address"},
                                            {"fc00::/7", "a private address"},
                                            {"fe80::/10", "a link-local address"},
                                            {"fec0::/10", "a private address"},
                                            {"ff00::/8", "a multicast address"}}};
struct Embedding {
  std::string_view subnet;
  std::size_t offset;  // of the IPv4 address
};
constexpr std::array<Embedding, 4> kEmbeddings{
    {{"::ffff:0:0/96", 12}, {"::/96", 12}, {"64:ff9b::/96", 12}, {"2002::/16", 2}}};

bool within(const IpAddress& address, std::string_view subnet) {
  const auto parsed = Subnet::parse(subnet);
  return parsed && parsed->family() == address.family() && parsed->contains(address);
}

struct AddrinfoFree {
  void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};

std::optional<IpAddress> address_of(const addrinfo& entry) {
  if (entry.ai_family == AF_INET && entry.ai_addrlen >= sizeof(sockaddr_in)) {
    sockaddr_in in{};
    std::memcpy(&in, entry.ai_addr, sizeof in);
    std::array<std::uint8_t, 4> raw{};
    std::memcpy(raw.data(), &in.sin_addr, raw.size());
    return IpAddress::from_bytes(raw);
  }
  if (entry.ai_family == AF_INET6 && entry.ai_addrlen >= sizeof(sockaddr_in6)) {
    sockaddr_in6 in6{};
    std::memcpy(&in6, entry.ai_addr, sizeof in6);
    std::array<std::uint8_t, 16> raw{};
    std::memcpy(raw.data(), &in6.sin6_addr, raw.size());
    return IpAddress::from_bytes(raw);
  }
  return std::nullopt;
}

tl::unexpected<Error> no_answer(const std::string& host, std::string_view why) {
  return fail(ErrorCode::fetch_failed, fmt::format("{}: {}", printable(host), why),
              "a name server that answers in time", "try `getent ahosts`, or give the server by its address");
}

}  // namespace

Deadline deadline_after(Milliseconds time) {
  return std::chrono::steady_clock::now() + time;
}

Milliseconds time_left(Deadline deadline) {
  const auto left = std::chrono::ceil<Milliseconds>(deadline - std::chrono::steady_clock::now());
  return std::max(left, Milliseconds{0});
}

std::string_view address_kind(const IpAddress& address) {
  for (const Range& range : kNotPublic) {
    if (within(address, range.subnet)) return range.kind;
  }
  for (const Embedding& embedding : kEmbeddings) {
    if (!within(address, embedding.subnet)) continue;
    const auto inner = IpAddress::from_bytes(address.bytes().subspan(embedding.offset, 4));
    return inner ? address_kind(*inner) : std::string_view("a reserved address");
  }
  return {};
}

Result<std::vector<IpAddress>> look_up_by_system(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* found = nullptr;
  const int code = ::getaddrinfo(host.c_str(), nullptr, &hints, &found);
  const std::unique_ptr<addrinfo, AddrinfoFree> list(found);
  std::vector<IpAddress> addresses;
  for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
    const auto address = address_of(*entry);
    if (!address || std::find(addresses.begin(), addresses.end(), *address) != addresses.end()) continue;
    addresses.push_back(*address);
    if (addresses.size() == 4 * kMaxServerAddresses) break;
  }
  if (addresses.empty()) {
    // IOS's words.
    return no_answer(host, fmt::format("can not resolve server name/IP address: {}",
                                       code == 0 ? "no IPv4 or IPv6 address" : ::gai_strerror(code)));
  }
  return addresses;
}

struct ServerAddresses::State {
  std::mutex mutex;
  int under_way = 0;
};

ServerAddresses::ServerAddresses(AddressRules rules)
    : rules_(std::move(rules)), state_(std::make_shared<State>()) {}

namespace {

struct LookUp {
  std::mutex mutex;
  std::condition_variable changed;
  std::optional<Result<std::vector<IpAddress>>> answer;
};

}  // namespace

Result<std::vector<IpAddress>> ServerAddresses::look_up(const std::string& host, Deadline deadline) const {
  if (const auto literal = IpAddress::parse(host)) return std::vector<IpAddress>{*literal};
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->under_way >= kMaxLookUps) return no_answer(host, "too many names are being looked up");
    ++state_->under_way;
  }
  auto look_up = std::make_shared<LookUp>();
  try {
    std::thread([look_up, host, state = state_, function = rules_.look_up] {
      auto answer = function(host);
      {
        const std::lock_guard lock(state->mutex);
        --state->under_way;
      }
      const std::lock_guard lock(look_up->mutex);
      look_up->answer = std::move(answer);
      look_up->changed.notify_all();
    }).detach();
  } catch (const std::system_error&) {
    const std::lock_guard lock(state_->mutex);
    --state_->under_way;
    return fail(ErrorCode::internal, "no thread for a name look-up");
  }
  std::unique_lock lock(look_up->mutex);
  if (!look_up->changed.wait_until(lock, deadline, [&] { return look_up->answer.has_value(); })) {
    return no_answer(host, "no name server answered in time");
  }
  return std::move(*look_up->answer);
}

Result<std::vector<IpAddress>> ServerAddresses::find(const std::string& host, bool any_address,
                                                     Deadline deadline) const {
  const Result<std::vector<IpAddress>> all = look_up(host, deadline);
  if (!all) return fail(all.error());
  std::vector<IpAddress> permitted;
  for (const IpAddress& address : *all) {
    if ((any_address || is_public(address)) && permitted.size() < kMaxServerAddresses) {
      permitted.push_back(address);
    }
  }
  if (!permitted.empty()) return permitted;
  const IpAddress& refused = all->front();
  return fail(
      ErrorCode::fetch_failed,
      fmt::format("{}: {} is {}: not asked", printable(host), refused.to_string(), rules_.kind(refused)),
      "a public address, or a server that the configuration names",
      "if it is right, name the server under `crl:` or `ocsp:` of the trustpoint");
}

}  // namespace oakgate::pki
