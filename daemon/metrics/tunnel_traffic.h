// What each tunnel has carried since the daemon began, through all SAs it ever had: a counter never falls
// back when an SA is renewed, expires or is deleted.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ike/config.h"
#include "ike/kept_pair.h"
#include "ike/ports/data_plane.h"

namespace oakgate::metrics {

struct TunnelName {
  std::string peer;
  std::string tunnel;
  friend auto operator<=>(const TunnelName&, const TunnelName&) = default;
};

[[nodiscard]] std::vector<TunnelName> tunnels_of(const ike::EngineConfig& config);

struct TunnelTotals {
  std::uint64_t bytes_in = 0;  // of inner packets
  std::uint64_t bytes_out = 0;
  std::uint64_t packets_in = 0;
  std::uint64_t packets_out = 0;
  std::uint64_t replayed = 0;
  std::uint64_t not_authentic = 0;
  std::uint64_t selector_mismatch = 0;
  friend bool operator==(const TunnelTotals&, const TunnelTotals&) = default;
};

class TunnelTraffic {
 public:
  // The configured tunnels; what others had carried is forgotten. Their SAs count no more.
  void configure(const std::vector<TunnelName>& tunnels);

  void installed(std::span<const SaSpec> sas, const TunnelName& tunnel);
  // Those of an earlier run that the kernel went on with.
  void adopted(const ike::KeptPair& pair);
  // The SAs a tunnel has now.
  [[nodiscard]] std::vector<SaId> sas_of(const TunnelName& tunnel) const;

  // As a data plane counts them. Nothing falls: what a plane does not know any more keeps its last count.
  void counted(std::span<const SaCounters> counters);
  // Outbound ones have another destination, and are counted on under that name.
  void moved(std::span<const SaMove> sas);
  // They will not be counted again.
  void gone(std::span<const SaId> sas);

  [[nodiscard]] TunnelTotals totals(const TunnelName& tunnel) const;

 private:
  struct Tunnel {
    TunnelTotals totals;
    std::vector<SaId> sas;
  };
  struct Account {
    Tunnel* tunnel = nullptr;
    Direction direction{};
    bool carries = false;  // the inner packets: ESP, or AH where that is alone
    SaCounters last;
  };
  void open(const SaId& id, Direction direction, bool carries, const TunnelName& tunnel);

  std::map<TunnelName, Tunnel> tunnels_;
  std::map<SaId, Account> accounts_;
};

}  // namespace oakgate::metrics
