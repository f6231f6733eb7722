// For builds without ipsec-mb.
#include "xfrm/soft/multi_buffer.h"

namespace oakgate::soft {

const MultiBufferLibrary& multi_buffer_library() {
  static const MultiBufferLibrary library{false, {}, "ipsec-mb was not there when oakgate was built"};
  return library;
}

struct MultiBufferGcm::Keyed {};

std::unique_ptr<MultiBufferGcm> MultiBufferGcm::create(ByteView /*key*/) {
  return nullptr;
}
MultiBufferGcm::MultiBufferGcm(std::unique_ptr<Keyed> keyed) : keyed_(std::move(keyed)) {}
MultiBufferGcm::~MultiBufferGcm() = default;
void MultiBufferGcm::seal(ByteView, ByteView, std::span<std::uint8_t>, std::span<std::uint8_t>) {}
void MultiBufferGcm::open(ByteView, ByteView, std::span<std::uint8_t>, std::span<std::uint8_t>) {}

}  // namespace oakgate::soft
