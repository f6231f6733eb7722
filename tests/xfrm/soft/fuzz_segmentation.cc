// The virtio header and the packet behind it: ten bytes of the header, then the packet. Whatever is accepted
// is cut within its bounds, in place too, into the same segments.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "xfrm/soft/inner_packet.h"
#include "xfrm/soft/segmentation.h"

namespace oakgate::soft {
namespace {

constexpr std::size_t kMostSegments = 200;  // of those checked: each is a copy

void require(bool holds) {
  if (!holds) __builtin_trap();
}

void run(ByteView input) {
  VirtioHeader header;
  if (input.size() < sizeof(header)) return;
  std::memcpy(&header, input.data(), sizeof(header));
  const Bytes packet = to_bytes(input.subspan(sizeof(header)));
  const auto segments = Segmentation::read(header, packet);
  if (!segments) return;
  require(segments->count() >= 1);
  const std::size_t checked = std::min(segments->count(), kMostSegments);
  std::size_t step = 0;
  for (std::size_t i = 0; i < checked; ++i) step = std::max(step, segments->size(i));
  require(step <= std::max<std::size_t>(packet.size(), Segmentation::kMaxHeaders));
  Bytes arena = packet;
  arena.resize(std::max(packet.size(), checked * step));
  const std::span<std::uint8_t> all(arena);
  const bool in_place = checked == segments->count();
  for (std::size_t i = checked; i-- > 0;) {
    Bytes apart(segments->size(i));
    segments->write(i, packet, apart);
    require(header.gso_type == VirtioHeader::kNone || parse_inner_packet(apart)->size == apart.size());
    if (!in_place) continue;
    const std::span<std::uint8_t> place = all.subspan(i * step, apart.size());
    segments->write(i, all.first(packet.size()), place);
    require(std::equal(apart.begin(), apart.end(), place.begin()));
  }
}

}  // namespace
}  // namespace oakgate::soft

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  oakgate::soft::run({data, size});
  return 0;
}
