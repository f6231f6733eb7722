// For builds without ipsec-mb: every key is null, and nothing is asked of null.
#include "xfrm/soft/multi_buffer.h"

namespace oakgate::soft {

const MultiBufferLibrary& multi_buffer_library() {
  static const MultiBufferLibrary library{false, false, {}, "ipsec-mb was not there when oakgate was built"};
  return library;
}

struct MultiBufferGcm::Keyed {};
MultiBufferGcm MultiBufferGcm::create(ByteView /*key*/) {
  return {};
}
MultiBufferGcm::MultiBufferGcm() noexcept = default;
MultiBufferGcm::MultiBufferGcm(MultiBufferGcm&&) noexcept = default;
MultiBufferGcm& MultiBufferGcm::operator=(MultiBufferGcm&&) noexcept = default;
MultiBufferGcm::~MultiBufferGcm() = default;
void MultiBufferGcm::prefetch(std::size_t) const {}
void MultiBufferGcm::seal(ByteView, ByteView, std::span<std::uint8_t>, std::span<std::uint8_t>) const {}
void MultiBufferGcm::open(ByteView, ByteView, std::span<std::uint8_t>, std::span<std::uint8_t>) const {}

struct MultiBufferCipher::Keyed {};
MultiBufferCipher MultiBufferCipher::create(CipherLane, ByteView /*key*/, CryptDirection) {
  return {};
}
bool MultiBufferCipher::run(std::span<const Job> jobs) {
  return jobs.empty();
}
MultiBufferCipher::MultiBufferCipher() noexcept = default;
MultiBufferCipher::MultiBufferCipher(MultiBufferCipher&&) noexcept = default;
MultiBufferCipher& MultiBufferCipher::operator=(MultiBufferCipher&&) noexcept = default;
MultiBufferCipher::~MultiBufferCipher() = default;
CipherLane MultiBufferCipher::lane() const {
  return {};
}

struct MultiBufferTag::Keyed {};
MultiBufferTag MultiBufferTag::create(TagLane, ByteView /*key*/) {
  return {};
}
bool MultiBufferTag::run(std::span<const Job> jobs) {
  return jobs.empty();
}
MultiBufferTag::MultiBufferTag() noexcept = default;
MultiBufferTag::MultiBufferTag(MultiBufferTag&&) noexcept = default;
MultiBufferTag& MultiBufferTag::operator=(MultiBufferTag&&) noexcept = default;
MultiBufferTag::~MultiBufferTag() = default;
TagLane MultiBufferTag::lane() const {
  return {};
}

}  // namespace oakgate::soft
