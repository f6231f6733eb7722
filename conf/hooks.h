// `updown:`: which programs may be run for a tunnel. The daemon asks again each time before it runs one, as
// the file may have changed since the configuration was read. Nothing is run here.
#pragma once

#include <sys/types.h>

#include <string>

#include "ike/base/result.h"

namespace oakgate::conf {

// Whoever can change the program, or what leads to it, acts as its user. So the file and every folder above
// it must be root's or `effective_uid`'s and not writable for others (a folder with the sticky bit, such as
// /tmp, may stand further up, not right above the file); the file must be a regular one that its owner may
// execute. The path without symbolic links, which is the one to execute; ErrorCode::configuration otherwise.
[[nodiscard]] Result<std::string> check_hook_file(const std::string& path, uid_t effective_uid);

}  // namespace oakgate::conf
