// Small text makers that log, status and commands share: times, sizes, errors; escaping by ike/base.
// Nothing here knows the protocol.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "ike/base/printable.h"
#include "ike/base/result.h"
#include "ike/base/types.h"

namespace oakgate {

[[nodiscard]] std::string iso_time(WallTime time);  // "2026-11-20T20:11:04Z"

// "59 s", "12 min", "3 h 5 min", "4 d 7 h": two units at most, for people.
[[nodiscard]] std::string duration_text(Seconds duration);
[[nodiscard]] std::string bytes_text(std::uint64_t bytes);  // "17 B", "1.2 kB", "3.4 GB": powers of 1000

// All an error says, in one line: "text; expected ...; to mend it: ...".
[[nodiscard]] std::string error_text(const Error& error);

}  // namespace oakgate
