// Randomness comes in from outside: the daemon passes the operating system's, the simulator a seeded one.
#pragma once

#include <cstdint>
#include <span>

namespace oakgate {

class Rng {
 public:
  virtual ~Rng() = default;
  // Fills all of `out`; never fails (an implementation without entropy must end the process at start).
  virtual void fill(std::span<std::uint8_t> out) = 0;

  // Uniform over all 32-bit values.
  [[nodiscard]] std::uint32_t u32() {
    std::uint8_t raw[4];
    fill(raw);
    return std::uint32_t{raw[0]} << 24 | std::uint32_t{raw[1]} << 16 | std::uint32_t{raw[2]} << 8 | raw[3];
  }
  // Uniform enough for jitter (not for keys): a value below `bound`, which must not be 0.
  [[nodiscard]] std::uint32_t below(std::uint32_t bound) {
    return static_cast<std::uint32_t>((std::uint64_t{u32()} * bound) >> 32);
  }
};

}  // namespace oakgate
