// TCP and UDP packets for the tests of segmentation and coalescing, and independent checks of their
// checksums.
#pragma once

#include <cstdint>
#include <vector>

#include "ike/base/bytes.h"
#include "xfrm/soft/virtio_header.h"

namespace oakgate::soft::test {

struct TcpSpec {
  bool v6 = false;
  std::uint16_t source_port = 40000;
  std::uint32_t sequence = 1000;
  std::uint32_t acknowledgement = 77;
  std::uint8_t flags = 0x10;  // ACK
  std::uint16_t window = 501;
  std::uint32_t timestamp = 4711;   // 0: no options
  std::uint16_t id = 7;             // IPv4
  std::uint16_t fragment = 0x4000;  // IPv4: flags and offset; DF
  std::uint8_t traffic_class = 0;
  std::uint8_t ttl = 64;
  std::size_t payload = 1000;
  std::uint8_t fill = 0;  // the payload's first byte; the others follow
};

// A whole packet, its checksums right.
[[nodiscard]] Bytes make_tcp(const TcpSpec& spec);

// What the kernel would hand over: `packet` with the pseudo-header's sum where the checksum was, and a header
// for vectors of `segment` payload bytes.
[[nodiscard]] VirtioHeader make_vector(Bytes& packet, std::size_t segment);

// By the book, byte for byte: whether IPv4's header checksum and TCP's or UDP's are right.
[[nodiscard]] bool checksums_right(ByteView packet);
// Its payload behind TCP's header.
[[nodiscard]] Bytes tcp_payload(ByteView packet);

}  // namespace oakgate::soft::test
