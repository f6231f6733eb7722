// What somebody else wrote, made safe for a terminal, a log and an error's text.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace oakgate {

inline constexpr std::size_t kMaxFieldText = 256;

// Printable ASCII stays, everything else becomes \xNN (a backslash \\), and past `max` source bytes the rest
// is cut and marked "...".
[[nodiscard]] std::string printable(std::string_view text, std::size_t max = kMaxFieldText);

}  // namespace oakgate
