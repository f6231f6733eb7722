#include "daemon/system_rng.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <cerrno>
#include <cstring>

namespace oakgate {

Result<SystemRng> SystemRng::create() {
  std::uint8_t probe = 0;
  if (::getrandom(&probe, 1, 0) != 1) {
    return fail(ErrorCode::internal,
                fmt::format("the kernel gives no random numbers: {}", std::strerror(errno)));
  }
  return SystemRng();
}

void SystemRng::fill(std::span<std::uint8_t> out) {
  while (!out.empty()) {
    const ssize_t got = ::getrandom(out.data(), out.size(), 0);
    // create() has shown that the call works; what is left is EINTR.
    if (got > 0) out = out.subspan(static_cast<std::size_t>(got));
  }
}

}  // namespace oakgate
