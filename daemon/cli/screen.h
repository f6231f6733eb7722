// What `oakgate status` shows people: one screen made from the detailed status JSON; with --watch again and
// again.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>

#include "daemon/cli/client.h"

#include "daemon/control_protocol.h"
#include "ike/base/types.h"

namespace oakgate::cli {

struct ScreenStyle {
  bool colour = false;
  std::size_t width = 80;  // longer lines are wrapped, or cut where only their beginning matters
};

// Bytes a second.
struct Rate {
  std::uint64_t in = 0;
  std::uint64_t out = 0;
};
using Rates = std::map<std::pair<std::string, std::string>, Rate>;  // by the names of peer and tunnel

// Of each tunnel that both answers have, by what its SAs carried between them. An SA that is in `after` alone
// has begun meanwhile and counts whole; what one that is gone carried last is not known. No time: no rates.
[[nodiscard]] Rates rates_between(const Json& before, const Json& after, Milliseconds between);

// `now` turns the times of the JSON into "for 2 h". Tunnels that `rates` has show them.
[[nodiscard]] std::string status_screen(const Json& status, WallTime now, const ScreenStyle& style,
                                        const Rates& rates = {});

// What stands between `oakgate status --watch` and the world.
struct Watch {
  std::function<Outcome<Json>()> ask;  // the detailed status
  std::function<Now()> now;
  std::function<bool()> wait;  // until the next round; false: there is none
  std::function<ScreenStyle()> style;
  // Of the terminal, which each screen is drawn over. 0: no terminal, screens follow one another with an
  // empty line between them.
  std::function<std::size_t()> rows;
  std::function<void(const std::string& text)> print;
};
// Screen after screen, from the second on with rates, until asking fails or there is no next round.
[[nodiscard]] Outcome<void> watch_status(const Watch& watch);

// "2026-11-20T20:11:04Z" back into a time; nothing if it is not one.
[[nodiscard]] std::optional<WallTime> parse_iso_time(const std::string& text);

}  // namespace oakgate::cli
