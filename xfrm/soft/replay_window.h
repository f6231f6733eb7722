// The anti-replay window of one inbound SA: RFC 4303 section 3.4.3, by the block bitmap of RFC 6479.
//
// acceptable() is the preliminary check and changes nothing; accept() is for packets whose ICV has verified:
// "the receive window is updated only if the integrity verification succeeds". Sequence numbers are 32 bits
// (no ESN).
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

namespace oakgate::soft {

class ReplayWindow {
 public:
  static constexpr std::uint32_t kMinSize = 32;  // RFC 4303 section 3.4.3: "A minimum window size of 32"
  static constexpr std::uint32_t kMaxSize = 4096;

  // `size` in packets, within kMinSize..kMaxSize.
  explicit ReplayWindow(std::uint32_t size)
      // One block more than the window needs: the newest block is only partly in use (RFC 6479 section 2).
      : size_(size), blocks_(std::bit_ceil((size + kBlockBits - 1) / kBlockBits + 1)) {}

  [[nodiscard]] bool acceptable(std::uint32_t sequence) const {
    if (sequence == 0) return false;  // RFC 4303 section 2.2: the first packet has sequence number 1
    if (sequence > top_) return true;
    if (top_ - sequence >= size_) return false;
    return (blocks_[index(sequence)] & bit(sequence)) == 0;
  }

  void accept(std::uint32_t sequence) {
    if (sequence > top_) {
      const std::uint32_t newest = top_ / kBlockBits;
      const std::uint32_t ahead = std::min(sequence / kBlockBits - newest, block_count());
      for (std::uint32_t i = 1; i <= ahead; ++i) blocks_[(newest + i) & (block_count() - 1)] = 0;
      top_ = sequence;
    }
    blocks_[index(sequence)] |= bit(sequence);
  }

  [[nodiscard]] std::uint32_t top() const { return top_; }

 private:
  static constexpr std::uint32_t kBlockBits = 64;

  [[nodiscard]] std::uint32_t block_count() const { return static_cast<std::uint32_t>(blocks_.size()); }
  [[nodiscard]] std::size_t index(std::uint32_t sequence) const {
    return (sequence / kBlockBits) & (block_count() - 1);
  }
  [[nodiscard]] static std::uint64_t bit(std::uint32_t sequence) {
    return std::uint64_t{1} << (sequence % kBlockBits);
  }

  std::uint32_t size_;
  std::uint32_t top_ = 0;  // the highest sequence number authenticated so far
  std::vector<std::uint64_t> blocks_;
};

}  // namespace oakgate::soft
