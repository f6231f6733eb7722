// The core's timers, named as protocol events: all of them are listed here. No linear walks: arming,
// cancelling and taking the next due one are logarithmic in the number armed.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <unordered_map>

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
  [[nodiscard]] std::size_t size() const { return queue_.size(); }

 private:
  std::map<std::pair<Instant, std::uint64_t>, Timer> queue_;
  std::unordered_map<std::uint64_t, Instant> armed_;
  std::uint64_t last_id_ = 0;
};

}  // namespace oakgate::ike
