// `oakgate diff`: what a reload would change, value by value.
#pragma once

#include "daemon/cli/arguments.h"

namespace oakgate::cli {

// The text of `show running-config`.
[[nodiscard]] Outcome<std::string> running_config(const std::string& socket);

// Prints and returns the exit code. Keys and certificates are not compared: the configuration only names
// them.
[[nodiscard]] int diff(const Arguments& arguments);

// What the daemon finds of `arguments.staged`: the answer to the control verb `check`.
[[nodiscard]] Outcome<Json> check_staged(const Arguments& arguments);

}  // namespace oakgate::cli
