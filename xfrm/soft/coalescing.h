// Joins inner TCP segments, and UDP datagrams where the kernel takes them, that came out of tunnels into
// vectors of up to 64 KB, which go to the TUN device in one write with a virtio header (virtio_header.h):
// what Linux' GRO would join, by the same rules, so that whoever cuts them again gets the very packets.
//
// Joined are packets of one flow that follow one another: the same addresses, ports, traffic class (ECN too),
// TTL and DF; an IPv4 identification that counts up (or with DF stays, RFC 6864 section 4.1); full ones but
// the last. Of TCP also consecutive sequence numbers and the same acknowledgement, window, flags and options;
// FIN and PSH end a vector; SYN, RST, URG and CWR are never in one. Nor are IP options, extension headers and
// fragments, or UDP without a checksum. Each packet's IP, TCP or UDP checksum is verified first, for the
// kernel verifies a vector's no more; a packet whose checksum is wrong goes alone and as it is. The order
// within a flow is kept; flows may overtake one another.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "ike/base/bytes.h"
#include "xfrm/soft/virtio_header.h"

namespace oakgate::soft {

// What one write to the TUN device is made of.
struct TunVector {
  VirtioHeader virtio{};
  std::span<const ByteView> pieces;  // a packet as it came, or the headers and each segment's payload
};

class Coalescer {
 public:
  // `udp`: whether datagrams are joined, too.
  explicit Coalescer(bool udp = true) : udp_(udp) {}
  // Plans the writes for `packets`, which live as long as they are asked for, with what `parts` gave.
  void plan(std::span<const ByteView> packets);
  // How many writes there are, in order.
  [[nodiscard]] std::size_t size() const { return groups_.size(); }
  // Write `index`, until the next call.
  [[nodiscard]] TunVector write(std::size_t index);

 private:
  static constexpr std::size_t kIpHeader = 40;  // IPv6, and IPv4 without options is shorter
  static constexpr std::size_t kTcpHeader = 60;
  static constexpr std::size_t kFlows = 8;  // that may grow at once: a burst has few
  static constexpr std::uint32_t kNone = 0xffffffff;

  enum class Kind : std::uint8_t {
    other,    // on its own, and in nobody's way
    barrier,  // whose flow cannot be told: everything ends before it
    single,   // on its own, and ends its flow's vector
    segment,  // may be joined
  };
  struct Packet {
    Kind kind = Kind::other;
    bool tcp = false;
    std::uint8_t ip = 0;         // bytes of the IP header
    std::uint8_t transport = 0;  // and of TCP's or UDP's
    std::uint16_t payload = 0;
    std::uint32_t next = kNone;  // of the same vector
  };
  struct Group {
    std::uint32_t first = 0;
    std::uint32_t last = 0;
    std::uint32_t count = 1;
    std::uint32_t bytes = 0;  // of the vector
    bool verified = false;    // the first segment's checksums
  };

  [[nodiscard]] Packet classify(ByteView packet) const;
  static void classify_tcp(ByteView packet, Packet& out);
  static void classify_udp(ByteView packet, Packet& out);
  [[nodiscard]] static bool same_flow(ByteView a, ByteView b);
  // Whether the checksums of IP and transport are right.
  [[nodiscard]] static bool verify(ByteView packet, const Packet& parts);
  // Whether segment `index` continues `group`.
  [[nodiscard]] bool continues(const Group& group, std::uint32_t index) const;
  [[nodiscard]] bool same_headers(ByteView first, ByteView packet, std::uint32_t place,
                                  const Packet& parts) const;
  void place(std::uint32_t index);
  void close(std::size_t slot);

  bool udp_;
  std::span<const ByteView> packets_;
  std::vector<Packet> parts_;
  std::vector<Group> groups_;
  std::array<std::uint32_t, kFlows> open_{};  // groups that may grow, the oldest first
  std::size_t open_count_ = 0;
  std::array<std::uint8_t, kIpHeader + kTcpHeader> headers_{};
  std::vector<ByteView> pieces_;
};

}  // namespace oakgate::soft
