// Counts of what the core tells in its events, each event once, whatever the log leaves out. Its size is that
// of the configuration and of our own tables: nothing a stranger sends adds a series.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "daemon/metrics/tunnel_traffic.h"
#include "ike/events.h"

namespace oakgate::metrics {

struct Negotiations {
  std::uint64_t established = 0;
  std::uint64_t failed = 0;
  friend bool operator==(const Negotiations&, const Negotiations&) = default;
};

// Where something failed.
enum class Stage : std::uint8_t { phase1, phase2, message };
inline constexpr std::array<std::string_view, 3> kStageWords{"phase1", "phase2", "message"};

// Of the whole gateway.
class EventCounts {
 public:
  void count(const ike::Event& event);
  [[nodiscard]] std::uint64_t of(ike::EventId id) const { return events_[static_cast<std::size_t>(id)]; }
  [[nodiscard]] std::uint64_t failures(Stage stage, ErrorCode reason) const {
    return failures_[static_cast<std::size_t>(stage)][static_cast<std::size_t>(reason)];
  }

 private:
  static constexpr std::size_t kEvents = static_cast<std::size_t>(ike::kLastEventId) + 1;
  static constexpr std::size_t kReasons = static_cast<std::size_t>(kLastErrorCode) + 1;
  std::array<std::uint64_t, kEvents> events_{};
  std::array<std::array<std::uint64_t, kReasons>, kStageWords.size()> failures_{};
};

class EventTally {
 public:
  void configure(const std::vector<TunnelName>& tunnels);
  void count(const ike::Event& event);

  [[nodiscard]] const EventCounts& whole() const { return whole_; }
  [[nodiscard]] Negotiations phase1_of(const std::string& peer) const;
  [[nodiscard]] Negotiations phase2_of(const TunnelName& tunnel) const;

 private:
  EventCounts whole_;
  std::map<std::string, Negotiations> peers_;
  std::map<TunnelName, Negotiations> tunnels_;
};

}  // namespace oakgate::metrics
