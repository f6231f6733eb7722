// Packets as they come out of tunnels: each with two bytes of its length before it. The writes have all of
// their bytes, and a vector is cut into the packets it was made of.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "xfrm/soft/coalescing.h"
#include "xfrm/soft/segmentation.h"

namespace oakgate::soft {
namespace {

constexpr std::size_t kMost = 64;

void require(bool holds) {
  if (!holds) __builtin_trap();
}

// All ones and zero are one and the same checksum for TCP, and cutting writes the former.
Bytes with_one_zero(Bytes packet, bool joined) {
  const bool v4 = !packet.empty() && packet[0] >> 4 == 4;
  if (!joined || packet[v4 ? 9 : 6] != 6) return packet;
  const std::size_t field = (v4 ? 20U : 40U) + 16U;
  if (packet[field] == 0 && packet[field + 1] == 0) packet[field] = packet[field + 1] = 0xff;
  return packet;
}

void check(const TunVector& vector, std::vector<Bytes>& packets) {
  Bytes whole;
  for (const ByteView piece : vector.pieces) whole.insert(whole.end(), piece.begin(), piece.end());
  if (whole.empty()) return;  // a packet without bytes
  const auto segments = Segmentation::read(vector.virtio, whole);
  require(segments.has_value());
  for (std::size_t i = 0; i < segments->count(); ++i) {
    Bytes one(segments->size(i));
    segments->write(i, whole, one);
    const auto found = std::find_if(packets.begin(), packets.end(), [&](const Bytes& packet) {
      return packet.size() == one.size() && with_one_zero(packet, vector.pieces.size() > 1) == one;
    });
    require(found != packets.end());
    packets.erase(found);
  }
}

void run(ByteView input) {
  std::vector<Bytes> packets;
  while (input.size() >= 2 && packets.size() < kMost) {
    const std::size_t size = std::min<std::size_t>(input[0] << 8 | input[1], input.size() - 2);
    packets.push_back(to_bytes(input.subspan(2, size)));
    input = input.subspan(2 + size);
  }
  const std::vector<ByteView> views(packets.begin(), packets.end());
  Coalescer coalescer;
  coalescer.plan(views);
  std::vector<Bytes> left = packets;
  std::erase_if(left, [](const Bytes& packet) { return packet.empty(); });
  for (std::size_t i = 0; i < coalescer.size(); ++i) check(coalescer.write(i), left);
  require(left.empty());
}

}  // namespace
}  // namespace oakgate::soft

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  oakgate::soft::run({data, size});
  return 0;
}
