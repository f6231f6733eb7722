// The anti-replay window of one inbound SA: RFC 4303 section 3.4.3, by the block bitmap of RFC 6479.
//
// acceptable() is the preliminary check and changes nothing; accept() is for packets whose ICV has verified:
// "the receive window is updated only if the integrity verification succeeds". They take whole sequence
// numbers: those of 32 bits, or with ESN what whole_number() makes of the 32 that travel. A sender that loses
// 2^32 packets in a row is not found again (appendix A3): the SA has to be renewed.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <vector>

namespace oakgate::soft {

class ReplayWindow {
 public:
  static constexpr std::uint32_t kMinSize = 32;  // RFC 4303 section 3.4.3: "A minimum window size of 32"
  static constexpr std::uint32_t kMaxSize = 4096;

  // `size` in packets, within kMinSize..kMaxSize.
  // `top`: what has been seen, as if all before it had not.
  explicit ReplayWindow(std::uint32_t size, std::uint64_t top = 0)
      // One block more than the window needs: the newest block is only partly in use (RFC 6479 section 2).
      : size_(size), top_(top), mask_(std::bit_ceil((size + kBlockBits - 1) / kBlockBits + 1) - 1) {
    if (mask_ >= few_.size()) many_.resize(mask_ + 1);
  }

  [[nodiscard]] bool acceptable(std::uint64_t sequence) const {
    if (sequence == 0) return false;  // RFC 4303 section 2.2: the first packet has sequence number 1
    if (sequence > top_) return true;
    if (top_ - sequence >= size_) return false;
    return (block(sequence / kBlockBits) & bit(sequence)) == 0;
  }

  void accept(std::uint64_t sequence) {
    if (sequence > top_) {
      const std::uint64_t newest = top_ / kBlockBits;
      const std::uint64_t ahead = std::min(sequence / kBlockBits - newest, mask_ + 1);
      for (std::uint64_t i = 1; i <= ahead; ++i) block(newest + i) = 0;
      top_ = sequence;
    }
    block(sequence / kBlockBits) |= bit(sequence);
  }

  [[nodiscard]] std::uint64_t top() const { return top_; }

  // RFC 4303 appendix A2.2: with ESN the high half is that which puts the number into the window or ahead of
  // it. 0, which is never acceptable: it would lie before the SA's first number.
  [[nodiscard]] std::uint64_t whole_number(std::uint32_t low) const {
    const auto top_low = static_cast<std::uint32_t>(top_);
    const std::uint64_t top_high = top_ >> 32;
    const std::uint32_t bottom = top_low - (size_ - 1);  // of the window; below 0 it wraps
    const bool one_half = top_low >= size_ - 1;          // the window does not cross a multiple of 2^32
    std::uint64_t high = top_high;
    if (one_half && low < bottom) ++high;
    if (!one_half && low >= bottom) {
      if (top_high == 0) return 0;
      --high;
    }
    return high << 32 | low;
  }

 private:
  static constexpr std::uint64_t kBlockBits = 64;

  // The ring's place of a block that is counted from sequence number 0 on.
  [[nodiscard]] std::uint64_t& block(std::uint64_t number) {
    return mask_ < few_.size() ? few_[number & mask_] : many_[number & mask_];
  }
  [[nodiscard]] std::uint64_t block(std::uint64_t number) const {
    return mask_ < few_.size() ? few_[number & mask_] : many_[number & mask_];
  }
  [[nodiscard]] static std::uint64_t bit(std::uint64_t sequence) {
    return std::uint64_t{1} << (sequence % kBlockBits);
  }

  std::uint32_t size_;
  std::uint64_t top_;                   // the highest sequence number authenticated so far
  std::uint64_t mask_;                  // the blocks are a power of two
  std::array<std::uint64_t, 2> few_{};  // those of a window of 64
  std::vector<std::uint64_t> many_;     // of a larger one
};

}  // namespace oakgate::soft
