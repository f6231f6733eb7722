// The operating system's random numbers, for both programs.
#pragma once

#include "ike/base/result.h"
#include "ike/base/rng.h"

namespace oakgate {

class SystemRng final : public Rng {
 public:
  // ErrorCode::internal if the kernel has none: nothing may start then.
  [[nodiscard]] static Result<SystemRng> create();
  void fill(std::span<std::uint8_t> out) override;
};

}  // namespace oakgate
