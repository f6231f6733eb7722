// The `show` commands that print what is configured, from the configuration in use.
#pragma once

#include "daemon/cli/arguments.h"

namespace oakgate::cli {

[[nodiscard]] bool is_of_configuration(Verb verb);
// Prints and returns the exit code.
int show_configured(const Arguments& arguments);

}  // namespace oakgate::cli
