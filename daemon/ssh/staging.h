// Configurations that have come in by scp or sftp: `incoming` in the folder `ssh: files`. Whoever may put
// files there chose their content and mode; nothing but a regular file of bounded size is read, and no link
// is followed.
#pragma once

#include <string>

#include "ike/base/result.h"

namespace oakgate::ssh {

inline constexpr const char* kIncoming = "incoming";

// `files`: the configured folder, empty if there is none; `name` as is_staged_name has it.
// ErrorCode::not_found, ErrorCode::configuration.
[[nodiscard]] Result<std::string> read_staged(const std::string& files, const std::string& name);

}  // namespace oakgate::ssh
