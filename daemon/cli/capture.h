// `oakgate capture`: the packets of a peer into a pcapng file, and beside it, in FILE.keys, what decrypts
// them, as a configuration folder of Wireshark's. This process opens the packet socket and the files with its
// own rights; the daemon says which addresses the peer has, and gives the keys if its configuration allows
// that.
#pragma once

#include "daemon/cli/arguments.h"

namespace oakgate::cli {

[[nodiscard]] int capture(const Arguments& arguments);

}  // namespace oakgate::cli
