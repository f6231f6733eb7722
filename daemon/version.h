// What both programs say about themselves, and where they look by default.
#pragma once

namespace oakgate {

inline constexpr const char* kVersion = OAKGATE_VERSION;
inline constexpr const char* kDefaultConfig = "/etc/oakgate/oakgate.yaml";
inline constexpr const char* kDefaultSocket = "/run/oakgate/control.sock";

}  // namespace oakgate
