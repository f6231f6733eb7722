// Which backends this build and this CPU have.
#pragma once

#include <ostream>
#include <vector>

#include "xfrm/soft/crypto_choice.h"

namespace oakgate::soft {

inline std::vector<CryptoBackend> crypto_backends() {
  std::vector<CryptoBackend> backends{CryptoBackend::openssl};
  if (multi_buffer_library().usable) backends.push_back(CryptoBackend::ipsec_mb);
  return backends;
}

inline void PrintTo(CryptoBackend backend, std::ostream* out) {
  *out << (backend == CryptoBackend::openssl ? "openssl" : "ipsec_mb");
}

}  // namespace oakgate::soft
