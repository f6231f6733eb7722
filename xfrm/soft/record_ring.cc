#include "xfrm/soft/record_ring.h"

#include <cstring>
#include <new>
#include <utility>

namespace oakgate::soft {

void RecordRing::FreeLines::operator()(std::uint8_t* lines) const {
  ::operator delete[](lines, std::align_val_t{kLine});
}

// The pages are touched when they are used, and most never are.
RecordRing::RecordRing(std::size_t bytes)
    : bytes_(bytes), lines_(static_cast<std::uint8_t*>(::operator new[](bytes, std::align_val_t{kLine}))) {}

std::span<std::uint8_t> RecordRing::reserve(std::size_t size) {
  if (size > bytes_) return {};
  const std::size_t room = room_of(size);
  if (room > bytes_) return {};
  if (std::exchange(all_published_, false)) begin_anew();
  const std::size_t to_end = bytes_ - place(reserved_, put_shift_);
  const std::size_t skipped = room > to_end ? to_end : 0;
  if (reserved_ + skipped + room - known_released_ > bytes_) {
    known_released_ = released_.load(std::memory_order_acquire);
    if (reserved_ + skipped + room - known_released_ > bytes_) return {};
  }
  if (skipped != 0) {
    std::memcpy(lines_.get() + place(reserved_, put_shift_), &kWrap, sizeof(kWrap));
    reserved_ += skipped;
  }
  const std::uint64_t length = size;
  std::uint8_t* const record = lines_.get() + place(reserved_, put_shift_);
  std::memcpy(record, &length, sizeof(length));
  reserved_ += room;
  return {record + sizeof(length), size};
}

// A ring that the other side keeps up with stays in its first lines, and in the cache. The other side hears
// of it with what is published next, and not before it is there itself.
void RecordRing::begin_anew() {
  if (place(reserved_, put_shift_) < kUsual) return;
  known_released_ = released_.load(std::memory_order_acquire);
  if (known_released_ != reserved_) return;
  restart_.store(reserved_, std::memory_order_relaxed);
  put_shift_ = bytes_ - place(reserved_, 0);
}

// In one order with the other side's look before it sleeps (worker_inbox.h), therefore not merely a release.
void RecordRing::publish() {
  published_.store(reserved_, std::memory_order_seq_cst);
  all_published_ = true;
}

std::span<std::uint8_t> RecordRing::next() {
  if (!waits()) return {};
  if (restart_.load(std::memory_order_relaxed) == taken_) take_shift_ = bytes_ - place(taken_, 0);
  std::uint64_t size = 0;
  std::memcpy(&size, lines_.get() + place(taken_, take_shift_), sizeof(size));
  if (size == kWrap) {
    taken_ += bytes_ - place(taken_, take_shift_);
    std::memcpy(&size, lines_.get() + place(taken_, take_shift_), sizeof(size));
  }
  std::uint8_t* const record = lines_.get() + place(taken_, take_shift_) + sizeof(size);
  taken_ += room_of(size);
  return {record, size};
}

void RecordRing::release() {
  released_.store(taken_, std::memory_order_release);
}

bool RecordRing::waits() const {
  return published_.load(std::memory_order_seq_cst) != taken_;
}

}  // namespace oakgate::soft
