// The core's timers, named as protocol events: all of them are listed here. No linear walks: arming,
// cancelling and taking the next due one are logarithmic in the number armed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "ike/base/types.h"

namespace oakgate::ike {

enum class TimerKind : std::uint8_t {
  retransmit,          // an exchange's last message got no answer; subject: IKE SA, detail: message id
  half_open_expired,   // a responder's peer never authenticated itself; subject: IKE SA
  exchange_forgotten,  // a finished phase 2 exchange need not answer duplicates any more; detail: message id
  connected_due,       // CONNECTED of a peer that set the commit bit did not come; detail: message id
  phase1_rekey_due,    // subject: IKE SA
  phase1_expired,      // subject: IKE SA
  phase2_rekey_due,    // subject: SA pair
  phase2_expired,      // subject: SA pair
  phase2_replaced,     // the grace of a replaced SA pair is over; subject: SA pair
  phase2_switch_due,   // a renewed SA pair begins to send; subject: SA pair
  adopted_due,         // an earlier run's SA pair is renewed; subject: SA pair
  pair_retry_due,      // a failed selector pair may start again; subject: reqid
  dead_peer_due,       // the peer's silence is looked at, RFC 3706; subject: IKE SA
  keepalive_due,       // NAT keep-alive, RFC 3948 section 4; subject: IKE SA
  fragments_expired,   // the rest of a message in fragments has not come; subject: IKE SA
};

struct Timer {
  TimerKind kind{};
  std::uint64_t subject = 0;
  std::uint32_t detail = 0;
};
using TimerId = StrongNumber<struct TimerIdTag, std::uint64_t>;  // 0: none

// A heap of places in a table: about 50 bytes a timer, of which an SA pair and its IKE SA have about seven.
// The table keeps the size that the most timers at once have needed.
class TimerQueue {
 public:
  [[nodiscard]] TimerId arm(Instant when, Timer timer);
  // Forgets the timer and sets `id` to none. Cancelling one that fired or was never armed is no error.
  void cancel(TimerId& id);
  // The earliest timer that is due at `now`, removed from the queue.
  [[nodiscard]] std::optional<Timer> take_due(Instant now);
  [[nodiscard]] std::optional<Instant> next() const;
  // When an armed timer fires; nothing for one that is not armed.
  [[nodiscard]] std::optional<Instant> when(TimerId id) const;
  [[nodiscard]] std::size_t size() const { return heap_.size(); }

 private:
  using Place = std::uint32_t;  // in slots_
  static constexpr Place kNowhere = UINT32_MAX;
  // An armed timer; or a free place, kept to be used again.
  struct Slot {
    Instant when{};
    std::uint64_t order = 0;  // of arming: those of one moment fire in it
    std::uint64_t subject = 0;
    std::uint32_t detail = 0;
    std::uint32_t generation = 0;  // how often the place was armed: its former timers' ids are none of it
    std::uint32_t at = 0;          // armed: where heap_ has it; free: the next free place, or kNowhere
    TimerKind kind{};
    bool armed = false;
  };
  [[nodiscard]] static TimerId id_of(Place place, const Slot& slot) {
    return TimerId{std::uint64_t{slot.generation} << 32 | place};
  }
  // Null: it is not armed.
  [[nodiscard]] const Slot* find(TimerId id) const;
  [[nodiscard]] bool earlier(Place one, Place other) const;
  void put(std::size_t at, Place place);
  void rise(std::size_t at);
  void sink(std::size_t at);
  void remove(Place place);

  std::deque<Slot> slots_;   // grows without moving what is there
  Place free_ = kNowhere;    // the first of the free ones
  std::vector<Place> heap_;  // each is no later than the two at twice its index and one, and two
  std::uint64_t armed_so_far_ = 0;
};

}  // namespace oakgate::ike
