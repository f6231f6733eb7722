// `oakgate shell`: verbs at a prompt, as on a router. Words may be cut, Tab completes, `?` lists what may
// follow, and a verb runs in a process of its own, so that Ctrl-C ends it and not the shell. There is no way
// from it to another program. Logins by SSH end here: see daemon/cli/session.h.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "daemon/cli/arguments.h"

namespace oakgate::cli {

// Until `exit`, the end of the input, or the session's idle time-out; of one line instead of a prompt, what
// it came to. Returns the exit code.
[[nodiscard]] int shell(const Arguments& arguments);

// ---- Its parts, for tests

// The words of a line: separated by blanks, "quotes" around one that has blanks. Nothing: a quote is not
// closed.
[[nodiscard]] Outcome<std::vector<std::string>> split_line(std::string_view line);
// What `?` behind `line` shows: what may follow, or what the last word may become; `targets`: names that may
// stand for an operand, of which a screenful is shown.
[[nodiscard]] std::string help_for(std::string_view line, const std::vector<std::string>& targets = {});
// What Tab adds to `line`; empty: nothing fits, or several do and share no more.
[[nodiscard]] std::string completion_of(std::string_view line, const std::vector<std::string>& targets);

}  // namespace oakgate::cli
