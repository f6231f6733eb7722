// This machine, as the probe asks it. In the calling thread's network namespace; nothing that it makes stays.
#pragma once

#include <memory>

#include "daemon/probe/environment.h"

namespace oakgate::probe {

[[nodiscard]] std::unique_ptr<Environment> this_machine();

}  // namespace oakgate::probe
