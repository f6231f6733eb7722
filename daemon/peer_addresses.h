// Where each peer is and which local address reaches it: follows host names (asked for again every five
// minutes, sooner after a failure) and the routes, and tells when something changed. Look-ups run in a worker
// pool, never on the loop.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "conf/config.h"
#include "daemon/log.h"
#include "daemon/loop.h"
#include "daemon/workers.h"
#include "ike/effects.h"

namespace oakgate {

// All addresses of a host name, preferred one first; runs on a worker's thread.
using ResolveName = std::function<Result<std::vector<IpAddress>>(const std::string& name)>;
// The local address that the kernel would send to `destination` from, which must be one that we listen on.
using FindSource = std::function<std::optional<IpAddress>(const IpAddress& destination)>;
using AddressesChanged = std::function<void(ike::SetPeerAddresses)>;

// getaddrinfo(3): ErrorCode::address_unknown if the name has no address.
[[nodiscard]] Result<std::vector<IpAddress>> resolve_by_system(const std::string& name);

struct ResolveTimes {
  Milliseconds again{300000};
  Milliseconds retry_first{5000};  // doubled after each failure, up to `again`
};

class PeerAddresses {
 public:
  struct Parts {
    Loop& loop;
    WorkerPool& resolvers;
    const Log& log;
    ResolveName resolve;
    FindSource find_source;
    AddressesChanged changed;
  };
  explicit PeerAddresses(Parts parts, const ResolveTimes& times = {})
      : parts_(std::move(parts)), times_(times) {}

  // At start and after each reload: tells all peers' addresses anew. Looks for a way only to those that are
  // new, or that there was none to.
  void configure(const std::vector<conf::PeerConfig>& peers);
  // Local addresses or routes changed: sources are looked up again, failed names asked for again.
  void network_changed();
  // A negotiation got no answer: its host name may have moved, so it is asked for again.
  void peer_is_silent(const std::string& name);

 private:
  struct Peer {
    conf::PeerAddress address;
    std::vector<IpAddress> resolved;  // host name only
    bool failed = false;              // the last look-up
    bool asking = false;
    Milliseconds retry{0};
    std::unique_ptr<Timer> timer;
    std::optional<ike::SetPeerAddresses> told;
  };
  class LookUp;

  void ask(const std::string& name, Peer& peer);
  void answered(const std::string& name, const std::string& host,
                const Result<std::vector<IpAddress>>& result);
  void tell_configured(const std::string& name, Peer& peer);
  void tell(const std::string& name, Peer& peer, bool even_if_unchanged);

  Parts parts_;
  ResolveTimes times_;
  std::map<std::string, Peer> peers_;
  // Tells look-ups that come back later whether their asker is still there.
  std::shared_ptr<PeerAddresses*> self_ = std::make_shared<PeerAddresses*>(this);
};

}  // namespace oakgate
