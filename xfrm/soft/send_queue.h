// Sends sealed packets by sendmmsg, UDP-encapsulated ones that follow one another in vectors (UDP_SEGMENT):
// one pass through the kernel's UDP and IP, and often through the device, for up to 64 of them.
//
// In a vector are packets of one path, traffic class and DF, equally long but the last, which may be shorter.
// A path whose device or size refuses vectors gets its packets one by one for a while. What is to be
// fragmented never is in one.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "xfrm/soft/packet_batch.h"
#include "xfrm/soft/socket_messages.h"

namespace oakgate::soft {

struct SendReport {
  std::size_t sent = 0;
  std::size_t refused = 0;
  int error = 0;   // the last errno that an operator should know of; queues that are full are not among them
  OuterPath path;  // whose
  bool no_socket = false;  // an SA in UDP, and no attached socket for its address and port
};

// How many of `packets`, from the first one on, may be one vector; at least 1 if there are any.
[[nodiscard]] std::size_t vector_length(std::span<const SealedPacket> packets);

class SendQueue {
 public:
  // Packets of a vector (UDP_MAX_SEGMENTS of Linux before 6.9), and bytes: IPv4 has room for no more.
  static constexpr std::size_t kVectorPackets = 64;
  static constexpr std::size_t kVectorBytes = 65507;

  // All by the socket `fd`, in order, without blocking.
  void send(int fd, std::span<const SealedPacket> packets, SendReport& report);

 private:
  struct Message {
    std::size_t first = 0;
    std::size_t count = 1;
  };
  // A destination whose path takes no vectors, and how many it shall not be offered.
  struct Refusal {
    IpAddress destination;
    std::size_t left = 0;
  };
  static constexpr std::size_t kRefusals = 16;
  static constexpr std::size_t kRetryAfter = 4096;
  struct alignas(cmsghdr) Control {
    std::array<std::uint8_t, kSendControl> bytes;
  };

  void send_some(int fd, std::span<const SealedPacket> packets, bool vectors, SendReport& report);
  void prepare(std::size_t index, std::span<const SealedPacket> packets, const Message& message);
  [[nodiscard]] bool takes_vectors(const IpAddress& destination);
  void refuse_vectors(const IpAddress& destination);

  std::array<mmsghdr, PacketBatch::kCapacity> headers_{};
  std::array<iovec, PacketBatch::kCapacity> pieces_{};
  std::array<SocketAddress, PacketBatch::kCapacity> addresses_{};
  std::array<Control, PacketBatch::kCapacity> controls_{};
  std::array<Message, PacketBatch::kCapacity> messages_{};
  std::vector<Refusal> refusals_;
};

}  // namespace oakgate::soft
