// `oakgate decode`: a capture file packet by packet, decrypted where keys are given, and what happened in
// words. Needs no daemon and no rights.
#pragma once

#include "daemon/cli/arguments.h"

namespace oakgate::cli {

[[nodiscard]] int decode(const Arguments& arguments);

// A packet as people read it, from its JSON; ends with a line break.
[[nodiscard]] std::string packet_screen(const Json& packet);
[[nodiscard]] std::string story_screen(const Json& story);

}  // namespace oakgate::cli
