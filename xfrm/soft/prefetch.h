// Has memory that will be needed soon brought into the cache.
#pragma once

#include <cstddef>

namespace oakgate::soft {

inline constexpr std::size_t kCacheLine = 64;

// The empty statement is for compilers that take a function which only prefetches for one that does nothing,
// and leave its calls out (GCC does).
inline void prefetch_line(const void* at) {
  __builtin_prefetch(at);
  asm volatile("");
}

inline void prefetch_lines(const void* from, std::size_t bytes) {
  for (std::size_t at = 0; at < bytes; at += kCacheLine) {
    prefetch_line(static_cast<const std::byte*>(from) + at);
  }
}

}  // namespace oakgate::soft
