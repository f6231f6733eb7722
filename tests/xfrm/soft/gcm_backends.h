// Which of GcmCipher's backends this build and this CPU have.
#pragma once

#include <vector>

#include "xfrm/soft/gcm_cipher.h"

namespace oakgate::soft {

inline std::vector<GcmBackend> gcm_backends() {
  std::vector<GcmBackend> backends{GcmBackend::openssl};
  if (multi_buffer_library().usable) backends.push_back(GcmBackend::ipsec_mb);
  return backends;
}

}  // namespace oakgate::soft
