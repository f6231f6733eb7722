// What `oakgate explain` shows people, from its JSON.
#pragma once

#include <string>

#include "daemon/control_protocol.h"

namespace oakgate::cli {

[[nodiscard]] std::string explain_screen(const Json& explained);

}  // namespace oakgate::cli
