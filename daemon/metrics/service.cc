#include "daemon/metrics/service.h"

#include <algorithm>

#include "daemon/text.h"

namespace oakgate::metrics {

namespace {

// The waiver counts through the whole of its last day, UTC.
std::optional<WallTime> end_of(const WeakWaiver& waiver) {
  if (!waiver.until) return std::nullopt;
  return WallTime(*waiver.until + std::chrono::days(1));
}

PeerRow peer_row(const ike::PeerSnapshot& peer, const EventTally& events) {
  PeerRow row{peer.name, peer.state == ike::PeerState::established, events.phase1_of(peer.name)};
  if (peer.waiver && peer.waiver->until)
    row.waiver_end = WallTime(*peer.waiver->until + std::chrono::days(1));
  return row;
}

}  // namespace

// Gathers a hundred peers a piece, of those that were configured when it began; then writes.
class Service::Scrape final : public Answer {
 public:
  Scrape(const Parts& parts, GatewayFacts facts) : parts_(parts), facts_(std::move(facts)) {
    for (const conf::PeerConfig& peer : parts_.config().peers) names_.push_back(peer.name);
  }

  Step make(std::string& text, std::size_t about) override {
    if (!exposition_) {
      gather();
      if (done_ < names_.size()) return Step::more;
      exposition_.emplace(std::move(facts_), std::move(peers_), std::move(tunnels_));
    }
    return exposition_->write(text, about) ? Step::more : Step::done;
  }

 private:
  void gather() {
    std::vector<ike::PeerSnapshot> shots;
    const std::size_t until = std::min(done_ + kPeersAPiece, names_.size());
    for (; done_ < until; ++done_) {
      // None of that name: a reload has removed it meanwhile.
      for (ike::PeerSnapshot& one : parts_.driver.snapshot(names_[done_])) shots.push_back(std::move(one));
    }
    count(shots);
    const Now now = read_clocks();
    for (const ike::PeerSnapshot& peer : shots) {
      peers_.push_back(peer_row(peer, parts_.counts.events));
      for (const ike::TunnelSnapshot& tunnel : peer.tunnels) {
        TunnelName name{peer.name, tunnel.name};
        TunnelRow row;
        row.up = tunnel.state == ike::TunnelState::up;
        if (tunnel.up_since)
          row.since = now.wall - std::chrono::floor<Seconds>(now.instant - *tunnel.up_since);
        row.totals = parts_.counts.traffic.totals(name);
        row.negotiations = parts_.counts.events.phase2_of(name);
        row.name = std::move(name);
        tunnels_.push_back(std::move(row));
      }
    }
  }

  // What their SAs have carried up to now.
  void count(const std::vector<ike::PeerSnapshot>& peers) const {
    std::vector<SaId> ids;
    for (const ike::PeerSnapshot& peer : peers) {
      for (const ike::TunnelSnapshot& tunnel : peer.tunnels) {
        const std::vector<SaId> some = parts_.counts.traffic.sas_of({peer.name, tunnel.name});
        ids.insert(ids.end(), some.begin(), some.end());
      }
    }
    // Without the plane's answer the last counts are still worth telling.
    if (const auto counters = parts_.plane.counters(ids)) parts_.counts.traffic.counted(*counters);
  }

  const Parts& parts_;
  GatewayFacts facts_;
  std::vector<std::string> names_;
  std::size_t done_ = 0;
  std::vector<PeerRow> peers_;
  std::vector<TunnelRow> tunnels_;
  std::optional<Exposition> exposition_;
};

Result<void> Service::configure(const std::optional<conf::MetricsAddress>& address) {
  if (address == address_ && (server_ || !address)) return {};
  address_ = address;
  server_.reset();
  if (!address) return {};
  auto server = Server::open(parts_.loop, *address, [this] { return begin(); });
  if (!server) return fail(std::move(server.error()));
  server_ = std::move(*server);
  return {};
}

std::unique_ptr<Answer> Service::begin() const {
  return std::make_unique<Scrape>(parts_, facts());
}

GatewayFacts Service::facts() const {
  GatewayFacts facts;
  facts.version = parts_.version;
  facts.data_plane = std::string(parts_.plane.name());
  facts.started = parts_.started;
  facts.reloads = parts_.counts.reloads;
  facts.load = parts_.driver.load();
  if (parts_.queues) facts.queues = parts_.queues();
  if (const auto drops = parts_.plane.drops()) facts.drops = *drops;
  if (parts_.certificates) facts.certificates = parts_.certificates();
  if (parts_.crls) facts.crls = parts_.crls();
  for (const TrustpointConfig& trustpoint : parts_.config().trustpoints) {
    if (const auto end = end_of(trustpoint.allow_weak))
      facts.trustpoint_waivers.push_back({trustpoint.name, *end});
  }
  facts.events = parts_.counts.events.whole();
  return facts;
}

}  // namespace oakgate::metrics
