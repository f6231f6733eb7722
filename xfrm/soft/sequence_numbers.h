// Extended sequence numbers (RFC 4303 section 2.2.1, RFC 4302 section 2.5.1): the high half never travels,
// and is covered by the ICV all the same.
#pragma once

#include <array>
#include <cstdint>

namespace oakgate::soft {

enum class SequenceNumbers : std::uint8_t { bits_32, bits_64 };

inline constexpr std::size_t kUnsentBytes = 4;

// The half that does not travel, as the ICV covers it.
[[nodiscard]] constexpr std::array<std::uint8_t, kUnsentBytes> unsent_half(std::uint64_t sequence) {
  return {static_cast<std::uint8_t>(sequence >> 56), static_cast<std::uint8_t>(sequence >> 48),
          static_cast<std::uint8_t>(sequence >> 40), static_cast<std::uint8_t>(sequence >> 32)};
}

}  // namespace oakgate::soft
