// What `oakgate status` shows people: one screen made from the detailed status JSON.
#pragma once

#include <string>

#include "daemon/control_protocol.h"
#include "ike/base/types.h"

namespace oakgate::cli {

struct ScreenStyle {
  bool colour = false;
  std::size_t width = 80;  // longer lines are wrapped, or cut where only their beginning matters
};

// `now` turns the times of the JSON into "for 2 h".
[[nodiscard]] std::string status_screen(const Json& status, WallTime now, const ScreenStyle& style);

// "2026-11-20T20:11:04Z" back into a time; nothing if it is not one.
[[nodiscard]] std::optional<WallTime> parse_iso_time(const std::string& text);

}  // namespace oakgate::cli
