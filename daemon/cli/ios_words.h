// Layouts of IOS beside those of ios_layout: connections, debugging, and what `debug crypto` prints.
#pragma once

#include <chrono>
#include <string>

#include "daemon/control_protocol.h"

namespace oakgate::cli {

// Of the results of `show crypto ipsec sa` and `show debugging`.
[[nodiscard]] std::string ios_connections(const Json& result);
[[nodiscard]] std::string ios_debugging(const Json& result);

// One event of `debug crypto`: "*Nov 30 18:10:27: ISAKMP:(1001): ... [branch-7/lan]", a line for it, and more
// where proposals were compared.
[[nodiscard]] std::string ios_debug_lines(const Json& event);

// "18:10:27.123 UTC Mon Nov 30 2026"
[[nodiscard]] std::string ios_clock(std::chrono::system_clock::time_point now);

}  // namespace oakgate::cli
