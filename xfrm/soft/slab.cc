#include "xfrm/soft/slab.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>

#include "xfrm/soft/prefetch.h"

namespace oakgate::soft {

namespace {

constexpr std::size_t kFirstPiece = 32 * 1024;
constexpr std::size_t kHugePage = 2 * 1024 * 1024;

// With it every object is an allocation of its own, that its use after its end is found.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kSeparately = true;
#else
constexpr bool kSeparately = false;
#endif

constexpr std::size_t up_to(std::size_t bytes, std::size_t alignment) {
  return (bytes + alignment - 1) / alignment * alignment;
}

constexpr std::size_t alignment_of(std::size_t bytes) {
  return bytes >= kHugePage ? kHugePage : kCacheLine;
}

}  // namespace

void* allocate_array(std::size_t bytes) {
  const std::size_t alignment = alignment_of(bytes);
  const std::size_t whole = up_to(bytes, alignment);
  void* const array = ::operator new(whole, std::align_val_t(alignment));
  if (alignment == kHugePage) (void)madvise(array, whole, MADV_HUGEPAGE);  // as it pleases the kernel
  return array;
}

void free_array(void* array, std::size_t bytes) noexcept {
  ::operator delete(array, std::align_val_t(alignment_of(bytes)));
}

Slab::Slab(std::size_t bytes, std::size_t alignment)
    : bytes_(up_to(std::max(bytes, sizeof(Free)), alignment)), alignment_(alignment) {}

void* Slab::take() {
  if (kSeparately) return ::operator new(bytes_, std::align_val_t(alignment_));
  const std::lock_guard lock(mutex_);
  if (free_ != nullptr) {
    Free* const first = free_;
    free_ = first->next;
    return first;
  }
  if (static_cast<std::size_t>(end_ - at_) < bytes_) new_piece();
  std::byte* const object = at_;
  at_ += bytes_;
  return object;
}

void Slab::give(void* object) noexcept {
  if (object == nullptr) return;
  if (kSeparately) {
    ::operator delete(object, std::align_val_t(alignment_));
    return;
  }
  const std::lock_guard lock(mutex_);
  free_ = new (object) Free{free_};
}

void Slab::new_piece() {
  const std::size_t size = std::clamp(piece_ * 2, kFirstPiece, kHugePage);
  at_ = static_cast<std::byte*>(allocate_array(size));  // or throws, and all is as it was
  end_ = at_ + size;
  piece_ = size;
}

}  // namespace oakgate::soft
