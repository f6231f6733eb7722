// `oakgate import`: a running configuration of IOS, PIX or ASA (conf/cisco/import.h), or a configuration of
// strongSwan or libreswan (conf/swan/import.h), becomes one of ours and the files it names. It needs no
// daemon.
#pragma once

#include "daemon/cli/arguments.h"

namespace oakgate::cli {

// As run() (commands.h). Without `--output` the configuration goes to standard output and no key is written
// anywhere; what was not carried over is listed on standard error.
[[nodiscard]] int import_foreign(const Arguments& arguments);

}  // namespace oakgate::cli
