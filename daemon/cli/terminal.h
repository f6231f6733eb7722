// Lines from a terminal, with editing, history, completion and `?` (libedit); from anything else as they
// come.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace oakgate::cli {

struct TerminalKeys {
  std::function<std::string(const std::string& before_cursor)> complete;  // what Tab adds
  std::function<std::string(const std::string& before_cursor)> help;      // what `?` shows
};

class Terminal {
 public:
  Terminal(std::string prompt, TerminalKeys keys);
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  // The next line without its line break, at most kMaxLine bytes of it; nothing: there are no more. Ctrl-C
  // gives up the line.
  [[nodiscard]] std::optional<std::string> read_line();

  static constexpr std::size_t kMaxLine = 4096;

 private:
  struct Editor;
  std::unique_ptr<Editor> editor_;  // none: standard input is no terminal
};

}  // namespace oakgate::cli
