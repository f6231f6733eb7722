#include "packets.h"

#include "xfrm/soft/checksum.h"
#include "xfrm/soft/inner_packet.h"

namespace oakgate::soft::test {

Bytes make_packet(const PacketSpec& spec) {
  const IpAddress source = address(spec.source);
  const IpAddress destination = address(spec.destination);
  ByteWriter out;
  if (source.is_v4()) {
    out.u8(0x45);
    out.u8(spec.traffic_class);
    out.u16(static_cast<std::uint16_t>(20 + spec.payload));
    out.u16(0x1234);
    out.u16(spec.flags);
    out.u8(64);
    out.u8(spec.protocol);
    out.u16(0);
    out.bytes(source.bytes());
    out.bytes(destination.bytes());
    out.patch_u16(10, internet_checksum(out.view()));
  } else {
    out.u32(0x6000'0000U | std::uint32_t{spec.traffic_class} << 20);
    out.u16(static_cast<std::uint16_t>(spec.payload));
    out.u8(spec.protocol);
    out.u8(64);
    out.bytes(source.bytes());
    out.bytes(destination.bytes());
  }
  const std::size_t header = out.size();
  for (std::size_t i = 0; i < spec.payload; ++i) out.u8(static_cast<std::uint8_t>(i));
  if (spec.payload >= 4) {
    out.patch_u16(header, spec.source_port);
    out.patch_u16(header + 2, spec.destination_port);
  }
  return std::move(out).take();
}

}  // namespace oakgate::soft::test
