// The words of a command line: cut as IOS takes them, and what to say of one that is none. Verbs only; the
// operands and options behind them are arguments.cc's.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "daemon/cli/arguments.h"

namespace oakgate::cli {

inline constexpr std::string_view kWatchAlone = "2";  // --watch without SECONDS

struct Line {
  std::vector<std::string> words;  // all of them, the verb's in full; `help` has become --help at their end
  std::vector<std::string> verb;   // the verb's alone, as far as there are any
};
// A word that is none, or one that is missing, is Exit::usage, with the nearest there is.
[[nodiscard]] Outcome<Line> read_line(int argc, const char* const* argv);

// Whether `words`, which may be cut, are the beginning of a command line as far as they go.
[[nodiscard]] bool is_command(const std::vector<std::string>& words);
// Whether these words are a verb themselves; else they are the beginning of several.
[[nodiscard]] bool is_verb(const std::vector<std::string>& words);
// What the help says of words that only begin verbs.
[[nodiscard]] std::string help_of_group(const std::vector<std::string>& words);

// `verb`: where more is said, as far as it is known.
[[nodiscard]] Failure usage(std::string text, const std::vector<std::string>& verb = {});

}  // namespace oakgate::cli
