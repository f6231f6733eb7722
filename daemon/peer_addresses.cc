#include "daemon/peer_addresses.h"

#include <fmt/format.h>
#include <netdb.h>

#include <algorithm>

#include "daemon/sockaddr.h"
#include "daemon/text.h"

namespace oakgate {

namespace {

struct AddrinfoFree {
  void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};

constexpr std::size_t kMaxAddresses = 16;  // of one name

}  // namespace

Result<std::vector<IpAddress>> resolve_by_system(const std::string& name) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* found = nullptr;
  const int code = ::getaddrinfo(name.c_str(), nullptr, &hints, &found);
  const std::unique_ptr<addrinfo, AddrinfoFree> list(found);
  std::vector<IpAddress> addresses;
  for (const addrinfo* entry = found; entry != nullptr && addresses.size() < kMaxAddresses;
       entry = entry->ai_next) {
    sockaddr_storage storage{};
    std::memcpy(&storage, entry->ai_addr, std::min<std::size_t>(entry->ai_addrlen, sizeof storage));
    if (const auto endpoint = from_socket_address(storage)) addresses.push_back(endpoint->address);
  }
  if (code == 0 && !addresses.empty()) return addresses;
  return fail(ErrorCode::address_unknown,
              fmt::format("the host name {} has no address: {}", printable(name),
                          code == 0 ? "no IPv4 or IPv6 address" : ::gai_strerror(code)),
              "a name that resolves on this host",
              "try `getent ahosts`, or give the peer's address as a number");
}

// Holds what it needs by value: it may outlive everything else (WorkerPool::AtEnd::leave).
class PeerAddresses::LookUp final : public Task {
 public:
  LookUp(std::weak_ptr<PeerAddresses*> owner, ResolveName resolve, std::string peer, std::string host)
      : owner_(std::move(owner)),
        resolve_(std::move(resolve)),
        peer_(std::move(peer)),
        host_(std::move(host)) {}
  void work() override { result_ = resolve_(host_); }
  void done() override {
    if (const auto owner = owner_.lock()) (*owner)->answered(peer_, host_, result_);
  }

 private:
  std::weak_ptr<PeerAddresses*> owner_;
  ResolveName resolve_;
  std::string peer_;
  std::string host_;
  Result<std::vector<IpAddress>> result_;
};

void PeerAddresses::configure(const std::vector<conf::PeerConfig>& peers) {
  std::map<std::string, Peer> before = std::move(peers_);
  peers_.clear();
  for (const conf::PeerConfig& config : peers) {
    Peer peer;
    const auto known = before.find(config.name);
    if (known != before.end() && known->second.address == config.address) peer = std::move(known->second);
    peer.address = config.address;
    Peer& kept = peers_.emplace(config.name, std::move(peer)).first->second;
    if (config.address.kind == conf::PeerAddress::Kind::host_name) {
      if (!kept.timer) {
        kept.timer =
            std::make_unique<Timer>(parts_.loop, [this, name = config.name] { ask(name, peers_.at(name)); });
      }
      ask(config.name, kept);  // an operator who reloads may know that the name moved
    }
    tell_configured(config.name, kept);
  }
}

// A changed peer starts anew in the core and knows no address, whoever has not changed ignores what it knows.
// A way that was found needs no look-up: network_changed() tells of those that change.
void PeerAddresses::tell_configured(const std::string& name, Peer& peer) {
  if (peer.told && peer.told->local) {
    parts_.changed(*peer.told);
  } else {
    tell(name, peer, true);
  }
}

void PeerAddresses::network_changed() {
  for (auto& [name, peer] : peers_) {
    if (peer.failed) ask(name, peer);
    tell(name, peer, false);
  }
}

void PeerAddresses::peer_is_silent(const std::string& name) {
  const auto found = peers_.find(name);
  if (found != peers_.end() && found->second.timer) ask(name, found->second);
}

void PeerAddresses::ask(const std::string& name, Peer& peer) {
  if (peer.asking) return;
  auto task = std::make_unique<LookUp>(self_, parts_.resolve, name, peer.address.host_name);
  const Result<void> submitted = parts_.resolvers.submit(std::move(task));
  peer.asking = submitted.has_value();
  // The pool's queue is full of other names: later.
  if (!submitted) peer.timer->arm(times_.retry_first);
}

void PeerAddresses::answered(const std::string& name, const std::string& host,
                             const Result<std::vector<IpAddress>>& result) {
  const auto found = peers_.find(name);
  if (found == peers_.end() || found->second.address.host_name != host) return;  // reloaded meanwhile
  Peer& peer = found->second;
  peer.asking = false;
  if (result) {
    peer.failed = false;
    peer.retry = times_.retry_first;
    peer.timer->arm(times_.again);
    // Name servers shuffle: the address in use stays the first while it is one of the answer's.
    std::vector<IpAddress> addresses = *result;
    if (!peer.resolved.empty()) {
      const auto in_use = std::find(addresses.begin(), addresses.end(), peer.resolved.front());
      if (in_use != addresses.end()) std::rotate(addresses.begin(), in_use, in_use + 1);
    }
    peer.resolved = std::move(addresses);
  } else {
    // A name server that is away for a while changes nothing about where the peer is: what was known is kept.
    if (!peer.failed) {
      parts_.log.warning(
          fmt::format("[{}] address-unknown: {}", printable(name), error_text(result.error())));
    }
    peer.failed = true;
    peer.retry = std::min(std::max(peer.retry, times_.retry_first), times_.again);
    peer.timer->arm(peer.retry);
    peer.retry *= 2;
  }
  tell(name, peer, false);
}

void PeerAddresses::tell(const std::string& name, Peer& peer, bool even_if_unchanged) {
  ike::SetPeerAddresses now;
  now.peer = name;
  if (peer.address.kind == conf::PeerAddress::Kind::address) {
    now.remote = peer.address.first;
  } else if (peer.address.kind == conf::PeerAddress::Kind::host_name) {
    std::vector<Subnet> hosts;
    for (const IpAddress& address : peer.resolved) hosts.push_back(Subnet::host(address));
    now.called_from = std::move(hosts);
    if (!peer.resolved.empty()) now.remote = peer.resolved.front();
    // A name may have addresses of a family that does not reach beyond this host.
    for (const IpAddress& address : peer.resolved) {
      if (!parts_.find_source(address)) continue;
      now.remote = address;
      break;
    }
  } else {
    return;  // never called by us; its datagrams say where it is
  }
  if (now.remote) now.local = parts_.find_source(*now.remote);
  const bool same = peer.told && peer.told->local == now.local && peer.told->remote == now.remote &&
                    peer.told->called_from == now.called_from;
  if (same && !even_if_unchanged) return;
  peer.told = now;
  parts_.changed(std::move(now));
}

}  // namespace oakgate
