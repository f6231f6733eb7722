// Cuts what a TUN device gives with a virtio header (IFF_VNET_HDR: virtio_header.h) into the packets that
// go on the wire: a vector of up to 64 KB of one TCP stream (TSO) or of UDP datagrams (USO) into segments,
// each with its own sequence number, flags, IPv4 identification, lengths and checksums; and completes the
// checksum of a single packet that was left to the device. Pure: no descriptors, no allocation.
//
// The virtio header comes from this host's kernel, the packet behind it often from a host nobody knows: each
// length is held against the packet, and what does not fit is refused whole.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "ike/base/bytes.h"
#include "xfrm/soft/virtio_header.h"

namespace oakgate::soft {

class Segmentation {
 public:
  // The headers before the payload, each segment gets them all: IPv4 with options, or IPv6 with extension
  // headers, and TCP with options.
  static constexpr std::size_t kMaxHeaders = 256;

  // Nothing if header and packet do not belong together: a kind of vector that was not asked for, checksum
  // fields beyond the end, no whole TCP or UDP packet, no bytes to cut at.
  [[nodiscard]] static std::optional<Segmentation> read(const VirtioHeader& header, ByteView packet);

  // At least 1.
  [[nodiscard]] std::size_t count() const { return count_; }
  // Bytes of segment `index`, which is below count().
  [[nodiscard]] std::size_t size(std::size_t index) const;
  // Makes segment `index` of the packet that was read in `out`, which has size(index) bytes. `out` may lie
  // over `packet`, at the segment's own payload or behind, if the segments are made from the last to the
  // first.
  void write(std::size_t index, ByteView packet, std::span<std::uint8_t> out) const;

 private:
  Segmentation() = default;
  [[nodiscard]] static std::optional<Segmentation> read_vector(const VirtioHeader& header, ByteView packet);
  void write_headers(std::size_t index, std::span<std::uint8_t> out) const;

  std::array<std::uint8_t, kMaxHeaders> headers_{};
  std::size_t headers_size_ = 0;
  std::size_t transport_ = 0;    // where the TCP or UDP header begins, or the checksummed part
  std::size_t checksum_at_ = 0;  // the checksum's field; 0: there is none to complete
  std::size_t segment_ = 0;      // payload bytes of each but the last
  std::size_t total_ = 0;        // bytes of the packet that was read
  std::size_t count_ = 1;
  std::uint8_t protocol_ = 0;  // of a vector: TCP or UDP
  std::uint64_t pseudo_ = 0;   // the pseudo-header's sum without the length
};

}  // namespace oakgate::soft
