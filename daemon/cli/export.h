// `oakgate export cisco`: what a peer's device has to be told, in its own words (conf/cisco/export.h). It
// reads the configuration file and needs no daemon.
#pragma once

#include "daemon/cli/arguments.h"

namespace oakgate::cli {

// As run() (commands.h). What the device cannot do, or the operator has to see to, is told on standard error,
// too.
[[nodiscard]] int export_cisco(const Arguments& arguments);

}  // namespace oakgate::cli
