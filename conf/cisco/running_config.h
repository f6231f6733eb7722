// The text of `show running-config` or `write terminal`, of IOS, PIX and ASA, as commands with their
// submodes. It comes from terminals and files of all sorts: DOS line ends, prompts, "--More--", banners,
// wrapped lines, indentation that was lost, an end that is missing. Nothing here fails; what is no command
// stays a line of its own. The lines hold secrets: they are not for printing (import.h masks them).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace oakgate::conf::cisco {

inline constexpr std::size_t kMaxRunningConfig = 4U << 20;  // bytes; what is behind is not read
inline constexpr std::size_t kMaxWords = 64;                // of one line

struct Line {
  int number = 0;  // from 1
  std::vector<std::string> words;

  // Word `index`, empty if there is none: so that a line that was cut reads as one without.
  [[nodiscard]] std::string_view word(std::size_t index) const;
  // Whether the line begins with these words.
  [[nodiscard]] bool begins(std::initializer_list<std::string_view> with) const;
};

// A command, and what stands in its submode.
struct Command {
  Line line;
  std::vector<Line> body;  // the hexadecimal of certificates and keys among it
};

enum class Dialect : std::uint8_t { ios, pix, asa };

struct RunningConfig {
  std::vector<Command> commands;
  Dialect dialect = Dialect::ios;
  int lines = 0;
};

[[nodiscard]] RunningConfig read_running_config(std::string_view text);

}  // namespace oakgate::conf::cisco
