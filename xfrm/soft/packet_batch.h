// A batch of packets in one buffer, and what one pass of the engine makes of it. Stages work on the packets
// in place: TUN -> classify -> seal -> send, and receive -> open -> check -> TUN. Nothing is copied or
// allocated on the way.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "ike/ports/data_plane.h"
#include "xfrm/soft/icmp.h"

namespace oakgate::soft {

// Of drafts 00 and 01 of NAT traversal: where IKE has its initiator's cookie, ESP has zeros.
inline constexpr std::size_t kNonIkeMarkerBytes = 8;

// One packet of a batch; all but the first field are about received ESP and AH.
struct BatchPacket {
  std::span<std::uint8_t>
      bytes;                // the inner packet on its way out; from the ESP or AH header on, on its way in
  IpAddress destination{};  // outer destination: one of ours
  Endpoint source{};        // whence it came; the port is UDP's, 0 without
  std::uint8_t traffic_class = 0;  // of the outer header
  bool encapsulated = false;       // came in UDP (RFC 3948)
  bool non_ike_marker = false;     // and behind the marker of its drafts 00 and 01
  IpsecProtocol protocol = IpsecProtocol::esp;
  std::size_t ip_header = 0;  // AH: that many bytes before `bytes` are the outer header, as it came
};

// Packets lie one behind the other, each with its room around it: 46 segments of one 64 KB vector take some
// 100 KB and two dozen pages, where slots of a maximal packet's size would take a page or two each of 3 MB.
class PacketBatch {
 public:
  // Two 64 KB vectors of full segments (48 of 1400 bytes), with what else came along. Sealed, one such is
  // longer than a UDP datagram, so it goes as two messages, of 45 packets and of 3: two vectors one behind
  // the other are three messages (of 45, 45 and 6).
  static constexpr std::size_t kCapacity = 128;
  static constexpr std::size_t kMaxPacket = 65535;
  // Room around a packet, so that it can be sealed where it lies: IP, AH and ESP header and IV before,
  // padding and ICV behind; and of what comes in the IPv6 header with its extension headers, made anew.
  static constexpr std::size_t kHeadroom = 512;
  static constexpr std::size_t kTailroom = 128;

  // The pages are touched when they are used, and most never are.
  PacketBatch() : buffer_(std::make_unique_for_overwrite<std::uint8_t[]>(kCapacity * kLargest)) {
    packets_.reserve(kCapacity);
  }

  [[nodiscard]] bool full() const { return packets_.size() == kCapacity; }
  [[nodiscard]] std::size_t size() const { return packets_.size(); }
  [[nodiscard]] std::size_t free() const { return kCapacity - packets_.size(); }
  [[nodiscard]] std::span<BatchPacket> packets() { return packets_; }
  // Leaves the first `count` of them.
  void shorten(std::size_t count) {
    packets_.erase(packets_.begin() + static_cast<std::ptrdiff_t>(count), packets_.end());
  }
  void clear() {
    packets_.clear();
    used_ = 0;
  }

  // Where the next packet may be read to: kMaxPacket bytes behind the headroom. Not when full().
  [[nodiscard]] std::span<std::uint8_t> next_room() {
    return {buffer_.get() + used_ + kHeadroom, kMaxPacket};
  }
  // Appends a packet that lies in next_room(), or elsewhere with the same room around it, where it stays as
  // long as it is in the batch. Not when full().
  BatchPacket& add(std::span<std::uint8_t> bytes) {
    const std::uint8_t* const begin = buffer_.get() + used_ + kHeadroom;
    if (bytes.data() >= begin && bytes.data() <= begin + kMaxPacket) {
      used_ += slot(static_cast<std::size_t>(bytes.data() - begin) + bytes.size());
    }
    // In place: one that is put together elsewhere waits for that to be written before it is copied.
    BatchPacket& packet = packets_.emplace_back();
    packet.bytes = bytes;
    return packet;
  }

 private:
  // An odd number of cache lines: equal offsets in neighbouring slots fall into different cache sets.
  static constexpr std::size_t kLine = 64;
  static constexpr std::size_t slot(std::size_t bytes) {
    return ((kHeadroom + bytes + kTailroom + kLine - 1) / kLine | 1) * kLine;
  }
  static constexpr std::size_t kLargest = ((kHeadroom + kMaxPacket + kTailroom) / kLine + 2) * kLine;
  static_assert(kLargest >= ((kHeadroom + kMaxPacket + kTailroom + kLine - 1) / kLine | 1) * kLine);
  std::unique_ptr<std::uint8_t[]> buffer_;
  std::size_t used_ = 0;
  std::vector<BatchPacket> packets_;
};

// Between which addresses, and how, an SA's packets travel.
struct OuterPath {
  IpAddress source;
  IpAddress destination;
  std::optional<UdpEncapsulation> encapsulation;
};

// A packet ready for the outer side. The bytes lie in the batch.
struct SealedPacket {
  ByteView bytes;  // from the ESP or AH header on, or the marker before it; AH over IPv4: with the IP header,
                   // for AH covers it
  OuterPath path;
  std::uint8_t traffic_class = 0;
  bool dont_fragment = false;  // outer IPv4 DF
  IpsecProtocol protocol = IpsecProtocol::esp;
  std::size_t fragment_to = 0;  // AH over IPv4: the largest fragment, IP header included; 0: it fits
};

struct Acquire {
  Reqid reqid;
};
struct SoftLimit {
  SaId id;
  Reqid reqid;
};
struct Expired {
  SaId id;
  Reqid reqid;
  SaCounters counts{};
};

struct Moved {
  SaId id;
  Reqid reqid;
  Endpoint remote;
};
struct UnknownSpi {
  SaId id;
  IpAddress remote;
};

// What a pass over a batch gave. Views into the batch: use it before the batch is filled anew.
struct EngineOutput {
  std::vector<SealedPacket> sealed;
  std::vector<ByteView> opened;  // inner packets for the TUN
  std::vector<IcmpMessage> icmp;
  std::vector<Acquire> acquires;
  std::vector<SoftLimit> soft_limits;
  std::vector<Expired> expired;
  std::vector<Moved> moved;              // each SA once
  std::vector<UnknownSpi> unknown_spis;  // the first few
  // With room for what comes of a batch. Of a bundle both SAs may end with one packet.
  EngineOutput() {
    constexpr std::size_t kRoom = PacketBatch::kCapacity;
    sealed.reserve(kRoom);
    opened.reserve(kRoom);
    icmp.reserve(kRoom);
    acquires.reserve(kRoom);
    soft_limits.reserve(2 * kRoom);
    expired.reserve(2 * kRoom);
    moved.reserve(kRoom);
    unknown_spis.reserve(kRoom);
  }
  void clear() {
    sealed.clear();
    opened.clear();
    icmp.clear();
    acquires.clear();
    soft_limits.clear();
    expired.clear();
    moved.clear();
    unknown_spis.clear();
  }
};

}  // namespace oakgate::soft
