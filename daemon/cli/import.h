// `oakgate import cisco`: a running configuration of IOS, PIX or ASA becomes a configuration of ours, and the
// files it names (conf/cisco/import.h). It needs no daemon.
#pragma once

#include "daemon/cli/arguments.h"

namespace oakgate::cli {

// As run() (commands.h). Without `--output` the configuration goes to standard output and no key is written
// anywhere; what was not carried over is listed on standard error.
[[nodiscard]] int import_cisco(const Arguments& arguments);

}  // namespace oakgate::cli
