// Lines from a terminal, with editing, history, completion and `?` (libedit); from anything else as they
// come.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "ike/base/types.h"

namespace oakgate::cli {

struct TerminalKeys {
  std::function<std::string(const std::string& before_cursor)> complete;  // what Tab adds
  std::function<std::string(const std::string& before_cursor)> help;      // what `?` shows
  std::function<void()> given_up;                                         // a line was, by Ctrl-C
};

class Terminal {
 public:
  // `idle`: how long a line is waited for; 0: for ever.
  Terminal(std::string prompt, TerminalKeys keys, Seconds idle = Seconds{0});
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  // The next line without its line break, at most kMaxLine bytes of it; nothing: there are no more. Ctrl-C
  // gives up the line.
  [[nodiscard]] std::optional<std::string> read_line();

  // Why there are no more lines.
  [[nodiscard]] bool timed_out() const { return timed_out_; }

  static constexpr std::size_t kMaxLine = 4096;

 private:
  struct Editor;
  // A byte of standard input; nothing: its end, or nothing came in time.
  [[nodiscard]] std::optional<char> next_byte();

  Seconds idle_;
  bool timed_out_ = false;
  std::unique_ptr<Editor> editor_;  // none: standard input is no terminal
};

}  // namespace oakgate::cli
