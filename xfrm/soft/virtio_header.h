// The header that a TUN device with IFF_VNET_HDR has before each packet (VIRTIO 1.2 section 5.1.6, as in
// linux/virtio_net.h, which C++ cannot read). In this machine's byte order.
#pragma once

#include <cstdint>

namespace oakgate::soft {

struct VirtioHeader {
  static constexpr std::uint8_t kNeedsChecksum = 1;  // flags

  // Kinds of vectors. UDP's is newer than VIRTIO 1.0; UFO (3), which made fragments, is not asked for.
  static constexpr std::uint8_t kNone = 0;
  static constexpr std::uint8_t kTcp4 = 1;
  static constexpr std::uint8_t kTcp6 = 4;
  static constexpr std::uint8_t kUdp = 5;
  static constexpr std::uint8_t kEcn = 0x80;  // or'ed in: TCP's CWR is set

  std::uint8_t flags = 0;
  std::uint8_t gso_type = kNone;
  std::uint16_t hdr_len = 0;      // bytes of all headers; a hint
  std::uint16_t gso_size = 0;     // payload bytes of each segment but the last
  std::uint16_t csum_start = 0;   // from where the checksum is taken
  std::uint16_t csum_offset = 0;  // and where behind that its field is
};
static_assert(sizeof(VirtioHeader) == 10);

}  // namespace oakgate::soft
