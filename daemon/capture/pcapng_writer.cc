#include "daemon/capture/pcapng_writer.h"

#include "daemon/capture/capture_file.h"
#include "ike/base/bytes.h"

namespace oakgate::capture {

namespace {

constexpr std::uint16_t kUserApplication = 4, kInterfaceName = 2, kTimeResolution = 9, kPacketFlags = 2;
constexpr std::uint32_t kInbound = 1, kOutbound = 2;

std::size_t padded(std::size_t size) {
  return (size + 3) & ~std::size_t{3};
}

void add_option(ByteWriter& out, std::uint16_t code, ByteView value) {
  out.u16(code);
  out.u16(static_cast<std::uint16_t>(value.size()));
  out.bytes(value);
  out.zeros(padded(value.size()) - value.size());
}

// Big-endian, whatever this machine is: the section header says so.
Bytes block(std::uint32_t type, ByteView body) {
  const auto length = static_cast<std::uint32_t>(body.size() + 12);
  ByteWriter out;
  out.u32(type);
  out.u32(length);
  out.bytes(body);
  out.u32(length);
  return std::move(out).take();
}

}  // namespace

Bytes PcapngWriter::begin(const std::string& application) {
  ByteWriter body;
  body.u32(0x1a2b3c4d);
  body.u16(1);  // version 1.0
  body.u16(0);
  body.u64(UINT64_MAX);  // the section's length is not known yet
  add_option(body, kUserApplication, as_bytes(application));
  body.u32(0);  // no more options
  return block(0x0a0d0d0a, body.view());
}

Bytes PcapngWriter::packet(const CapturedPacket& packet) {
  Bytes bytes;
  const auto [found, added] =
      interfaces_.try_emplace(packet.interface, static_cast<std::uint32_t>(interfaces_.size()));
  if (added) {
    ByteWriter body;
    body.u16(static_cast<std::uint16_t>(LinkType::raw));
    body.u16(0);
    body.u32(0);  // no limit
    add_option(body, kInterfaceName, as_bytes(packet.interface_name));
    const std::uint8_t nanoseconds = 9;
    add_option(body, kTimeResolution, {&nanoseconds, 1});
    body.u32(0);
    bytes = block(1, body.view());
  }
  ByteWriter body;
  body.u32(found->second);
  body.u32(static_cast<std::uint32_t>(packet.nanoseconds >> 32));
  body.u32(static_cast<std::uint32_t>(packet.nanoseconds));
  body.u32(static_cast<std::uint32_t>(packet.bytes.size()));
  body.u32(packet.length);
  body.bytes(packet.bytes);
  body.zeros(padded(packet.bytes.size()) - packet.bytes.size());
  ByteWriter flags;
  flags.u32(packet.outgoing ? kOutbound : kInbound);
  add_option(body, kPacketFlags, flags.view());
  body.u32(0);
  const Bytes record = block(6, body.view());
  bytes.insert(bytes.end(), record.begin(), record.end());
  return bytes;
}

}  // namespace oakgate::capture
