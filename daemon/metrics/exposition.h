// One answer to a scrape: the families of this gateway, of its peers and of its tunnels, as text. OpenMetrics
// wants a family's samples together, so what is told of peers and tunnels is gathered first, and then written
// family by family, a piece at a time.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "daemon/metrics/event_tally.h"
#include "daemon/metrics/openmetrics.h"
#include "daemon/metrics/tunnel_traffic.h"
#include "ike/snapshot.h"

namespace oakgate::metrics {

struct PeerRow {
  std::string peer;
  bool up = false;  // an ISAKMP SA is established
  Negotiations negotiations;
  std::optional<WallTime> waiver_end{};  // of `allow_weak`, if it has one
};

struct TunnelRow {
  TunnelName name;
  bool up = false;
  std::optional<WallTime> since{};  // when it is up
  TunnelTotals totals{};
  Negotiations negotiations{};
};

struct CertificateEnd {
  std::string trustpoint;
  std::string kind;  // "ca", "identity", "encryption"
  std::string subject;
  WallTime not_after{};
};
struct CrlEnd {
  std::string issuer;
  WallTime next_update{};
};
struct TrustpointWaiverEnd {
  std::string trustpoint;
  WallTime end{};
};
struct Queue {
  std::string name;
  std::size_t waiting = 0;
  std::size_t bound = 0;
};
struct Reloads {
  std::uint64_t succeeded = 0;
  std::uint64_t failed = 0;
  bool last_succeeded = true;  // the start counts as one
  WallTime last{};
  WallTime last_success{};
};

struct GatewayFacts {
  std::string version;
  std::string data_plane;
  WallTime started{};
  Reloads reloads{};
  ike::EngineLoad load{};
  std::vector<Queue> queues{};
  std::optional<DropCounts> drops{};
  std::vector<CertificateEnd> certificates{};
  std::vector<CrlEnd> crls{};
  std::vector<TrustpointWaiverEnd> trustpoint_waivers{};
  EventCounts events{};
};

// Each once, in the order they are written.
[[nodiscard]] std::vector<Family> all_families();

class Exposition {
 public:
  Exposition(GatewayFacts facts, std::vector<PeerRow> peers, std::vector<TunnelRow> tunnels)
      : facts_(std::move(facts)), peers_(std::move(peers)), tunnels_(std::move(tunnels)) {}

  // Appends about so many bytes more. False: that was all, "# EOF" included.
  [[nodiscard]] bool write(std::string& text, std::size_t about);

 private:
  // One step of the family at hand; true: it is through.
  [[nodiscard]] bool step(std::string& text);

  GatewayFacts facts_;
  std::vector<PeerRow> peers_;
  std::vector<TunnelRow> tunnels_;
  std::size_t family_ = 0;
  std::size_t row_ = 0;
};

}  // namespace oakgate::metrics
