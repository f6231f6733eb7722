// The last failures of each peer, kept before anybody asks: `oakgate explain`. Made of the events alone, so
// that all who have those (the daemon, the simulator) can keep one.
//
// Bounds: kOfAPeer of each configured peer, kOfStrangers of callers who are nobody's, texts of kText bytes,
// kComparisons offers; in all kInAll, and beyond that one of each peer. What senders cause who have not
// proved themselves may fill half of a peer's places, so that a flood under a peer's address does not push
// out what is true of it. One that repeats itself is counted, not kept again.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ike/events.h"

namespace oakgate::ike {

struct Failure {
  EventId event{};
  WallTime first{};
  WallTime last{};
  std::uint32_t times = 1;
  std::string tunnel;  // empty: phase 1
  std::optional<Endpoint> local{};
  std::optional<Endpoint> remote{};
  std::optional<CookiePair> cookies{};
  std::vector<Field> fields{};
  Error error;
  ProposalReport proposals{};
  bool authenticated = true;
};

class FailureBook {
 public:
  static constexpr std::size_t kOfAPeer = 8;
  static constexpr std::size_t kOfStrangers = 64;
  static constexpr std::size_t kInAll = 16384;
  static constexpr std::size_t kText = 512;
  static constexpr std::size_t kComparisons = 8;

  // The configured peers: what others had is forgotten, and events of others are strangers'.
  void configure(const std::vector<std::string>& peers);
  void note(const Event& event, WallTime at);

  // The newest first.
  [[nodiscard]] std::vector<Failure> of(const std::string& peer) const;
  [[nodiscard]] std::vector<Failure> of_strangers() const;
  // When something last came up: phase 1 (no tunnel), or a tunnel.
  [[nodiscard]] std::optional<WallTime> last_up(const std::string& peer) const;
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  using Ring = std::deque<Failure>;  // the newest last
  struct Peer {
    Ring failures;
    std::optional<WallTime> last_up;
  };
  // True: it was one that is there.
  static bool merge(Ring& ring, const Event& event, WallTime at);
  void make_room(Ring& ring, std::size_t bound, bool authenticated);

  std::map<std::string, Peer> peers_;
  Ring strangers_;
  std::size_t size_ = 0;  // of all rings
};

}  // namespace oakgate::ike
