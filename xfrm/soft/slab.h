// Memory for many objects of one size that every packet may need: SAs and their key schedules. They lie
// close together in pieces that double, and from 2 MB on are huge pages where the kernel has them: of
// 100,000 SAs each packet's would otherwise cost a walk of the page tables besides its cache misses.
//
// What is given back is used again, and stays with the process. Safe from any thread: SAs come and go, and
// packets do neither.
#pragma once

#include <cstddef>
#include <limits>
#include <mutex>
#include <new>

namespace oakgate::soft {

class Slab {
 public:
  // `alignment` is a power of two, and at most a cache line.
  Slab(std::size_t bytes, std::size_t alignment);
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;
  // Throws std::bad_alloc, as `new` does.
  [[nodiscard]] void* take();
  void give(void* object) noexcept;

 private:
  struct Free {
    Free* next;
  };
  void new_piece();

  const std::size_t bytes_;
  const std::size_t alignment_;
  std::mutex mutex_;
  Free* free_ = nullptr;
  // What is left of the newest piece.
  std::byte* at_ = nullptr;
  std::byte* end_ = nullptr;
  std::size_t piece_ = 0;
};

// The process's slab for objects of type T; it is never destroyed.
template <typename T>
[[nodiscard]] Slab& slab_of() {
  static Slab& one = *new Slab(sizeof(T), alignof(T));
  return one;
}

// Of large arrays: huge pages where they fill some and the kernel has them, whole cache lines otherwise.
// Throws std::bad_alloc.
[[nodiscard]] void* allocate_array(std::size_t bytes);
void free_array(void* array, std::size_t bytes) noexcept;  // as many as were asked for

// For a container of arrays that grow.
template <typename T>
struct HugeAllocator {
  using value_type = T;
  HugeAllocator() = default;
  template <typename U>
  HugeAllocator(const HugeAllocator<U>&) {}  // NOLINT(google-explicit-constructor): as allocators have it
  [[nodiscard]] T* allocate(std::size_t count) {
    if (count > std::numeric_limits<std::size_t>::max() / 2 / sizeof(T)) throw std::bad_alloc();
    return static_cast<T*>(allocate_array(count * sizeof(T)));
  }
  void deallocate(T* array, std::size_t count) noexcept { free_array(array, count * sizeof(T)); }
  friend bool operator==(const HugeAllocator&, const HugeAllocator&) { return true; }
};

}  // namespace oakgate::soft
