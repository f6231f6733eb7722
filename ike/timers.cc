#include "ike/timers.h"

namespace oakgate::ike {

TimerId TimerQueue::arm(Instant when, Timer timer) {
  const std::uint64_t id = ++last_id_;
  queue_.emplace(std::pair(when, id), timer);
  armed_.emplace(id, when);
  return TimerId{id};
}

void TimerQueue::cancel(TimerId& id) {
  if (const auto found = armed_.find(id.value); found != armed_.end()) {
    queue_.erase({found->second, id.value});
    armed_.erase(found);
  }
  id = TimerId{};
}

std::optional<Timer> TimerQueue::take_due(Instant now) {
  if (queue_.empty() || queue_.begin()->first.first > now) return std::nullopt;
  const Timer timer = queue_.begin()->second;
  armed_.erase(queue_.begin()->first.second);
  queue_.erase(queue_.begin());
  return timer;
}

std::optional<Instant> TimerQueue::next() const {
  if (queue_.empty()) return std::nullopt;
  return queue_.begin()->first.first;
}

std::optional<Instant> TimerQueue::when(TimerId id) const {
  const auto found = armed_.find(id.value);
  if (found == armed_.end()) return std::nullopt;
  return found->second;
}

}  // namespace oakgate::ike
