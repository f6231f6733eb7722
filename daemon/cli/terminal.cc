#include "daemon/cli/terminal.h"

#include <histedit.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace oakgate::cli {

namespace {

constexpr int kHistory = 200;  // lines

}  // namespace

struct Terminal::Editor {
  std::string prompt;
  TerminalKeys keys;
  Terminal* terminal = nullptr;
  EditLine* line = nullptr;
  History* history = nullptr;
  HistEvent event{};

  ~Editor() {
    if (history != nullptr) history_end(history);
    if (line != nullptr) el_end(line);
  }
  static Editor& of(EditLine* line) {
    Editor* self = nullptr;
    el_get(line, EL_CLIENTDATA, &self);
    return *self;
  }
  [[nodiscard]] std::string before_cursor() const {
    const LineInfo* info = el_line(line);
    return {info->buffer, static_cast<std::size_t>(info->cursor - info->buffer)};
  }
};

Terminal::Terminal(std::string prompt, TerminalKeys keys, Seconds idle) : idle_(idle) {
  if (::isatty(STDIN_FILENO) != 1) return;
  editor_ = std::make_unique<Editor>();
  editor_->terminal = this;
  editor_->prompt = std::move(prompt);
  editor_->keys = std::move(keys);
  EditLine* const line = editor_->line = el_init("oakgate", stdin, stdout, stderr);
  if (line == nullptr) {
    editor_.reset();
    return;
  }
  el_set(line, EL_CLIENTDATA, editor_.get());
  using Prompt = char* (*)(EditLine*);
  const Prompt show_prompt = [](EditLine* self) { return Editor::of(self).prompt.data(); };
  el_set(line, EL_PROMPT, show_prompt);
  using GetChar = int (*)(EditLine*, wchar_t*);
  const GetChar get_char = [](EditLine* self, wchar_t* out) {
    const std::optional<char> byte = Editor::of(self).terminal->next_byte();
    if (!byte) return 0;
    *out = static_cast<unsigned char>(*byte);
    return 1;
  };
  el_set(line, EL_GETCFN, get_char);
  el_set(line, EL_EDITOR, "emacs");
  // Libedit's own commands are behind these: from there one gets to its vi mode, and from that to an editor.
  for (const char* key : {"M-x", "M-X"}) el_set(line, EL_BIND, key, "ed-unassigned", nullptr);
  // While a line is typed, Ctrl-C gives it up, and Ctrl-Z and Ctrl-\ are nothing.
  el_set(line, EL_SETTY, "-d", "-isig", nullptr);
  using Key = unsigned char (*)(EditLine*, int);
  const Key complete = [](EditLine* self, int) -> unsigned char {
    Editor& editor = Editor::of(self);
    const std::string added = editor.keys.complete(editor.before_cursor());
    if (added.empty() || el_insertstr(self, added.c_str()) != 0) return CC_ERROR;
    return CC_REFRESH;
  };
  const Key help = [](EditLine* self, int) -> unsigned char {
    Editor& editor = Editor::of(self);
    const std::string text = "?\n" + editor.keys.help(editor.before_cursor());
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
    return CC_REDISPLAY;
  };
  const Key give_up = [](EditLine* self, int) -> unsigned char {
    const LineInfo* const info = el_line(self);
    const auto behind = static_cast<int>(info->lastchar - info->cursor);
    el_cursor(self, behind);
    el_deletestr(self, static_cast<int>(info->lastchar - info->buffer));
    std::fputs("^C\n", stdout);
    std::fflush(stdout);
    if (const auto& told = Editor::of(self).keys.given_up) told();
    return el_insertstr(self, "\n") == 0 ? CC_NEWLINE : CC_ERROR;
  };
  el_set(line, EL_ADDFN, "oakgate-give-up", "give the line up", give_up);
  el_set(line, EL_BIND, "^C", "oakgate-give-up", nullptr);
  el_set(line, EL_ADDFN, "oakgate-complete", "complete", complete);
  el_set(line, EL_ADDFN, "oakgate-help", "help", help);
  el_set(line, EL_BIND, "\t", "oakgate-complete", nullptr);
  el_set(line, EL_BIND, "?", "oakgate-help", nullptr);
  editor_->history = history_init();
  if (editor_->history == nullptr) return;
  history(editor_->history, &editor_->event, H_SETSIZE, kHistory);
  history(editor_->history, &editor_->event, H_SETUNIQUE, 1);
  el_set(line, EL_HIST, history, editor_->history);
}

Terminal::~Terminal() = default;

std::optional<char> Terminal::next_byte() {
  const int patience = idle_.count() == 0 ? -1 : static_cast<int>(Milliseconds(idle_).count());
  while (true) {
    pollfd input{STDIN_FILENO, POLLIN, 0};
    const int ready = ::poll(&input, 1, patience);
    timed_out_ = ready == 0;
    char byte = 0;
    if (ready > 0) {
      const ssize_t got = ::read(STDIN_FILENO, &byte, 1);
      if (got == 1) return byte;
      if (got == 0 || errno != EINTR) return std::nullopt;
    } else if (ready == 0 || errno != EINTR) {
      return std::nullopt;
    }
  }
}

std::optional<std::string> Terminal::read_line() {
  std::string text;
  if (!editor_) {
    std::optional<char> byte = next_byte();
    if (!byte) return std::nullopt;
    for (; byte && *byte != '\n'; byte = next_byte()) {
      if (text.size() < kMaxLine) text += *byte;
    }
    if (timed_out_) return std::nullopt;
  } else {
    int count = 0;
    const char* const line = el_gets(editor_->line, &count);
    if (line == nullptr || count <= 0) return std::nullopt;
    text.assign(line, static_cast<std::size_t>(count));
    if (editor_->history != nullptr && text != "\n") {
      history(editor_->history, &editor_->event, H_ENTER, text.c_str());
    }
  }
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  if (text.size() > kMaxLine) text.resize(kMaxLine);
  return text;
}

}  // namespace oakgate::cli
