// A bounded queue of records of any size between two threads, one that puts and one that takes, without
// locks: each position has one writer, and is read by the other side when its own copy of it does not
// suffice.
//
// A record begins on a cache line and lies in one piece. What does not fit is refused; nothing is ever
// overwritten.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace oakgate::soft {

class RecordRing {
 public:
  // `bytes`: a power of two. A record of up to half of it always fits once the ring is empty.
  explicit RecordRing(std::size_t bytes);

  // Of the thread that puts: room for a record of `size` bytes, at least 1, to be filled before publish();
  // empty if the ring is full.
  [[nodiscard]] std::span<std::uint8_t> reserve(std::size_t size);
  // Shows the other side all that was reserved.
  void publish();

  // Of the thread that takes: the next record, empty if there is none. It stays until release().
  [[nodiscard]] std::span<std::uint8_t> next();
  // Gives the room of all records that next() gave back.
  void release();
  // Whether next() would give one.
  [[nodiscard]] bool waits() const;

 private:
  static constexpr std::size_t kLine = 64;
  // Before each record: its size, or that the next one is at the ring's beginning.
  static constexpr std::uint64_t kWrap = UINT64_MAX;
  // Beyond this the ring is used only while there is something in it.
  static constexpr std::size_t kUsual = 256 << 10;
  static constexpr std::size_t room_of(std::size_t size) {
    return (sizeof(std::uint64_t) + size + kLine - 1) / kLine * kLine;
  }
  void begin_anew();
  [[nodiscard]] std::size_t place(std::uint64_t position, std::uint64_t shift) const {
    return static_cast<std::size_t>((position + shift) & (bytes_ - 1));
  }

  struct FreeLines {
    void operator()(std::uint8_t* lines) const;
  };
  std::size_t bytes_;
  std::unique_ptr<std::uint8_t[], FreeLines> lines_;
  // Positions count all bytes since the beginning; where they are in the ring each side knows by its shift.
  // What a side writes is on lines of its own.
  alignas(kLine) std::atomic<std::uint64_t> published_{0};
  std::atomic<std::uint64_t> restart_{0};  // the position that is at the ring's beginning
  alignas(kLine) std::atomic<std::uint64_t> released_{0};
  alignas(kLine) std::uint64_t reserved_ = 0;  // where the next record goes
  std::uint64_t put_shift_ = 0;
  std::uint64_t known_released_ = 0;
  bool all_published_ = false;
  alignas(kLine) std::uint64_t taken_ = 0;  // where the next record is
  std::uint64_t take_shift_ = 0;
};

}  // namespace oakgate::soft
