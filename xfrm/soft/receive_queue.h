// Messages of one recvmmsg, handed out a datagram at a time. A socket with UDP_GRO gives up to 64 KB of
// datagrams of one sender in a message, equally long but the last; they are cut here.
//
// A message lies in a small slot, one close behind the other; what is longer goes on in a large slot of its
// own, and the beginning is put before it then. So small packets stay together in the cache, and nothing is
// ever cut off.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "xfrm/soft/packet_batch.h"
#include "xfrm/soft/socket_messages.h"

namespace oakgate::soft {

struct ArrivedDatagram {
  std::span<std::uint8_t> bytes;
  Endpoint source;
  const Arrival* arrival = nullptr;  // until the queue's next call
  // Others lie right before and behind: there is no room around it as PacketBatch wants.
  bool crowded = false;
};

class ReceiveQueue {
 public:
  // The messages of a read; fewer when they come in vectors, of which three or four fill a batch.
  static constexpr std::size_t kMessages = PacketBatch::kCapacity;
  static constexpr std::size_t kVectors = 4;

  ReceiveQueue();
  // Nothing of the last read is left.
  [[nodiscard]] bool empty() const { return next_ == count_; }
  // Reads from `fd` without blocking; only when empty(). False: nothing waits.
  bool read(int fd);
  // Whether there may be more where the last read came from.
  [[nodiscard]] bool filled() const { return count_ == asked_; }
  // Not when empty(). The bytes stay until the next read().
  [[nodiscard]] ArrivedDatagram next();

 private:
  static constexpr std::size_t kSmall = 2048;
  static constexpr std::size_t kLine = 64;
  static constexpr std::size_t slot(std::size_t bytes) {
    return ((PacketBatch::kHeadroom + bytes + PacketBatch::kTailroom + kLine - 1) / kLine | 1) * kLine;
  }
  struct alignas(cmsghdr) Control {
    std::array<std::uint8_t, kReceiveControl> bytes;
  };
  void prepare(std::size_t index);
  // Message `index` in one piece.
  [[nodiscard]] std::span<std::uint8_t> whole(std::size_t index);
  [[nodiscard]] std::uint8_t* small(std::size_t index) {
    return small_.get() + index * slot(kSmall) + PacketBatch::kHeadroom;
  }
  [[nodiscard]] std::uint8_t* large(std::size_t index) {
    return large_.get() + index * slot(PacketBatch::kMaxPacket) + PacketBatch::kHeadroom;
  }

  std::unique_ptr<std::uint8_t[]> small_;
  std::unique_ptr<std::uint8_t[]> large_;
  std::array<mmsghdr, kMessages> headers_{};
  std::array<std::array<iovec, 2>, kMessages> pieces_{};
  std::array<SocketAddress, kMessages> addresses_{};
  std::array<Control, kMessages> controls_{};
  std::size_t asked_ = 0;
  std::size_t count_ = 0;
  std::size_t next_ = 0;             // the message that is being handed out
  std::span<std::uint8_t> current_;  // what is left of it; empty: it has not been begun
  Arrival arrival_;
  Endpoint source_;
  bool vectors_ = false;  // the last read had some
};

}  // namespace oakgate::soft
