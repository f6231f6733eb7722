// What each verb of `oakgate` does and prints: a table of verbs over the control socket, and `check`, which
// needs no daemon.
#pragma once

#include "daemon/cli/arguments.h"

namespace oakgate::cli {

// Prints to standard output (hints of progress and errors in plain text to standard error), returns the exit
// code.
[[nodiscard]] int run(const Arguments& arguments);

// Likewise for a command line that was not understood.
[[nodiscard]] int report(const Failure& failure, bool json);

}  // namespace oakgate::cli
