#include "ike/timers.h"

#include <tuple>
#include <utility>

namespace oakgate::ike {

TimerId TimerQueue::arm(Instant when, Timer timer) {
  if (free_ == kNowhere) {
    slots_.emplace_back().at = kNowhere;
    free_ = static_cast<Place>(slots_.size() - 1);
  }
  const Place place = free_;
  Slot& slot = slots_[place];
  heap_.push_back(place);
  free_ = slot.at;
  // 0 is no timer's, and comes round after 2^32 timers of this place.
  if (++slot.generation == 0) slot.generation = 1;
  slot = {when, ++armed_so_far_, timer.subject, timer.detail, slot.generation, 0, timer.kind, true};
  rise(heap_.size() - 1);
  return id_of(place, slot);
}

void TimerQueue::cancel(TimerId& id) {
  if (find(id) != nullptr) remove(static_cast<Place>(id.value));
  id = TimerId{};
}

std::optional<Timer> TimerQueue::take_due(Instant now) {
  if (heap_.empty()) return std::nullopt;
  const Slot& slot = slots_[heap_.front()];
  if (slot.when > now) return std::nullopt;
  const Timer timer{slot.kind, slot.subject, slot.detail};
  remove(heap_.front());
  return timer;
}

std::optional<Instant> TimerQueue::next() const {
  if (heap_.empty()) return std::nullopt;
  return slots_[heap_.front()].when;
}

std::optional<Instant> TimerQueue::when(TimerId id) const {
  const Slot* slot = find(id);
  if (slot == nullptr) return std::nullopt;
  return slot->when;
}

const TimerQueue::Slot* TimerQueue::find(TimerId id) const {
  const auto place = static_cast<Place>(id.value);
  if (place >= slots_.size()) return nullptr;
  const Slot& slot = slots_[place];
  return slot.armed && id_of(place, slot) == id ? &slot : nullptr;
}

bool TimerQueue::earlier(Place one, Place other) const {
  const Slot& a = slots_[one];
  const Slot& b = slots_[other];
  return std::tie(a.when, a.order) < std::tie(b.when, b.order);
}

void TimerQueue::put(std::size_t at, Place place) {
  heap_[at] = place;
  slots_[place].at = static_cast<std::uint32_t>(at);
}

void TimerQueue::rise(std::size_t at) {
  const Place place = heap_[at];
  while (at > 0) {
    const std::size_t above = (at - 1) / 2;
    if (!earlier(place, heap_[above])) break;
    put(at, heap_[above]);
    at = above;
  }
  put(at, place);
}

void TimerQueue::sink(std::size_t at) {
  const Place place = heap_[at];
  while (2 * at + 1 < heap_.size()) {
    std::size_t below = 2 * at + 1;
    if (below + 1 < heap_.size() && earlier(heap_[below + 1], heap_[below])) ++below;
    if (!earlier(heap_[below], place)) break;
    put(at, heap_[below]);
    at = below;
  }
  put(at, place);
}

void TimerQueue::remove(Place place) {
  Slot& slot = slots_[place];
  const std::size_t at = slot.at;
  slot.armed = false;
  slot.at = std::exchange(free_, place);
  const Place last = heap_.back();
  heap_.pop_back();
  if (last == place) return;
  put(at, last);
  rise(at);
  sink(slots_[last].at);
}

}  // namespace oakgate::ike
