// What a configuration's bytes must be before a YAML parser sees them: UTF-8 (RFC 3629) without NUL and other
// control characters, of bounded size. Keeps yaml-cpp from guessing UTF-16, and terminals from being steered.
#pragma once

#include <optional>
#include <string_view>

#include "conf/report.h"

namespace oakgate::conf {

struct EncodingFault {
  Position at;
  Fault fault;
};
// The first offence, if there is one. Tabs and line ends (LF, CR LF) are fine.
[[nodiscard]] std::optional<EncodingFault> check_encoding(std::string_view text);

// The offset of the first control character, line ends and tabs among them.
[[nodiscard]] std::optional<std::size_t> find_control(std::string_view text);

}  // namespace oakgate::conf
