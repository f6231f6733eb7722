// What the daemon hears of keys and of the core's work while captures are allowed: the driver of the core
// tells, the captures listen.
#pragma once

#include <span>
#include <string>

#include "ike/ports/data_plane.h"

namespace oakgate::capture {

class KeyWatch {
 public:
  virtual ~KeyWatch() = default;
  // SAs that the data plane has taken; secret.
  virtual void installed(std::span<const SaSpec> sas, const std::string& peer) = 0;
  // The peer's end of them is elsewhere now.
  virtual void moved(std::span<const SaMove> sas) = 0;
  virtual void gone(std::span<const SaId> sas) = 0;
  // The core has worked: there may be keys, and addresses, that were not there before.
  virtual void core_worked() = 0;
};

}  // namespace oakgate::capture
