#include "tests/support/pcap.h"

#include <stdexcept>

namespace oakgate::test {

namespace {

constexpr std::uint32_t kPcapMagic = 0xa1b2c3d4;
constexpr std::uint32_t kPcapngSection = 0x0a0d0d0a;
constexpr std::uint32_t kPcapngPacket = 6;
constexpr std::uint8_t kUdp = 17;

void require(bool holds, const char* what) {
  if (!holds) throw std::runtime_error(what);
}

// Capture files hold their numbers in the order of the machine that wrote them.
std::uint32_t little32(ByteReader& reader) {
  std::uint32_t big = 0;
  require(reader.u32(big), "capture ends within a number");
  return __builtin_bswap32(big);
}

std::vector<ByteView> pcap_frames(ByteReader reader) {
  std::vector<ByteView> frames;
  require(reader.skip(24), "capture header");
  while (!reader.empty()) {
    require(reader.skip(8), "record header");
    const std::uint32_t captured = little32(reader);
    require(reader.skip(4) && reader.view(captured, frames.emplace_back()), "record");
  }
  return frames;
}

std::vector<ByteView> pcapng_frames(ByteReader reader) {
  std::vector<ByteView> frames;
  while (!reader.empty()) {
    const std::uint32_t type = little32(reader);
    const std::uint32_t length = little32(reader);
    ByteView block;
    require(length >= 12 && reader.view(length - 8, block), "block");
    if (type != kPcapngPacket) continue;
    ByteReader packet(block);
    require(packet.skip(12), "packet block");
    const std::uint32_t captured = little32(packet);
    require(packet.skip(4) && packet.view(captured, frames.emplace_back()), "packet");
  }
  return frames;
}

bool udp_of(ByteView frame, Datagram& out) {
  ByteReader reader(frame);
  std::uint16_t ether_type = 0;
  std::uint8_t version = 0;
  std::uint8_t protocol = 0;
  std::uint16_t length = 0;
  ByteView source;
  ByteView destination;
  if (!reader.skip(12) || !reader.u16(ether_type) || ether_type != 0x0800) return false;
  if (!reader.u8(version) || !reader.skip(8) || !reader.u8(protocol) || protocol != kUdp) return false;
  require(reader.skip(2) && reader.view(4, source) && reader.view(4, destination), "IPv4 header");
  require(reader.skip((version & 15U) * 4 - 20), "IPv4 options");
  require(reader.u16(out.source.port) && reader.u16(out.destination.port) && reader.u16(length),
          "UDP header");
  ByteView payload;
  require(length >= 8 && reader.skip(2) && reader.view(length - 8U, payload), "UDP payload");
  out.source.address = *IpAddress::from_bytes(source);
  out.destination.address = *IpAddress::from_bytes(destination);
  out.payload = to_bytes(payload);
  return true;
}

}  // namespace

std::vector<Datagram> udp_datagrams(ByteView capture) {
  ByteReader reader(capture);
  const std::uint32_t magic = little32(reader);
  require(magic == kPcapMagic || magic == kPcapngSection, "neither pcap nor pcapng, little-endian");
  const auto frames =
      magic == kPcapMagic ? pcap_frames(ByteReader(capture)) : pcapng_frames(ByteReader(capture));
  std::vector<Datagram> datagrams;
  for (const ByteView frame : frames) {
    Datagram datagram;
    if (udp_of(frame, datagram)) datagrams.push_back(std::move(datagram));
  }
  return datagrams;
}

}  // namespace oakgate::test
