#include "conf/simple_yaml.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "conf/yaml_tree.h"

namespace oakgate::conf {

namespace {

using Kind = YamlEvent::Kind;

constexpr std::size_t kMaxEvents = 2 * kMaxNodes;  // with more there is an error to report
constexpr std::size_t kMaxKeyBytes = 512;          // yaml-cpp takes up to 1024 for a key

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}
// What plain text may begin with here: most else has a meaning there.
bool begins_plain(char c) {
  return is_name_char(c) || c == '/' || c == '.';
}
// What plain text may hold wherever it stands: nothing with a meaning of its own, but for `:` before a blank.
bool in_plain(char c) {
  return begins_plain(c) || c == '-' || c == ':' || c == '@' || c == '+' || c == '=';
}
bool is_null_word(std::string_view text) {
  return text == "null" || text == "Null" || text == "NULL";
}

// One line, without its end; `at` is where reading has come to in it.
struct Line {
  std::string_view text;
  int number = 0;  // from 1
  std::size_t at = 0;

  [[nodiscard]] char peek(std::size_t ahead = 0) const {
    return at + ahead < text.size() ? text[at + ahead] : '\0';  // no NUL is in a text (conf/encoding.h)
  }
  [[nodiscard]] bool done() const { return at >= text.size(); }
  [[nodiscard]] Position position() const { return {number, static_cast<int>(at) + 1}; }
  void skip_spaces() {
    while (peek() == ' ') ++at;
  }
  // Skips blanks; true: nothing follows them but a comment. Only behind a blank does `#` begin one.
  [[nodiscard]] bool ends() {
    const std::size_t before = at;
    skip_spaces();
    return done() || (peek() == '#' && at > before);
  }
};

// Each `read_` function: false if the text is not simple; what it has added by then does not matter.
class Reader {
 public:
  // `sink` null: only looks.
  explicit Reader(YamlSink* sink) : sink_(sink) {}
  [[nodiscard]] bool read(std::string_view text);

 private:
  // A list or map of the block style that is still open.
  struct Block {
    Kind kind;
    std::size_t indent;
  };

  [[nodiscard]] bool read_line(Line line);
  [[nodiscard]] bool fit_indent(const Line& line, bool entry);
  [[nodiscard]] bool read_entry(Line& line);
  [[nodiscard]] bool read_key(Line& line);
  [[nodiscard]] bool read_value(Line& line);
  [[nodiscard]] bool read_quoted(Line& line);
  [[nodiscard]] bool read_plain_to_end(Line& line);
  [[nodiscard]] bool take_plain(Line& line, Position from, std::size_t end);
  [[nodiscard]] bool read_flow(Line& line, std::size_t depth);
  [[nodiscard]] bool read_flow_items(Line& line, std::size_t depth, Kind kind);
  [[nodiscard]] bool read_flow_plain(Line& line);

  void add(Kind kind, Position at, std::string_view text = {}, bool plain = true) {
    ++events_;
    if (sink_ != nullptr) sink_->take({kind, plain, at, text});
  }
  void close() {
    add(Kind::end, {});
    blocks_.pop_back();
  }
  void open(Kind kind, const Line& line) {
    add(kind, line.position());
    blocks_.push_back({kind, line.at});
  }

  YamlSink* sink_;
  std::size_t events_ = 0;
  std::vector<Block> blocks_;
  std::optional<Position> key_;  // of the innermost map: read, its value not yet
};

bool Reader::read(std::string_view text) {
  for (int number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!read_line({line, number})) return false;
    if (events_ > kMaxEvents) return false;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  if (blocks_.empty()) return false;
  if (key_) add(Kind::null, *key_);
  while (!blocks_.empty()) close();
  return true;
}

bool Reader::read_line(Line line) {
  line.skip_spaces();
  if (line.done() || line.peek() == '#') return true;
  const bool entry = line.peek() == '-' && line.peek(1) == ' ';
  if (!fit_indent(line, entry)) return false;
  return entry ? read_entry(line) : read_key(line) && (key_ || line.ends());
}

// Closes what is indented deeper than the line, opens what begins with it.
bool Reader::fit_indent(const Line& line, bool entry) {
  const std::size_t indent = line.at;
  const Kind kind = entry ? Kind::sequence : Kind::map;
  if (blocks_.empty()) {
    if (events_ != 0 || indent != 0) return false;
    open(kind, line);
    return true;
  }
  if (key_) {
    const std::size_t parent = blocks_.back().indent;
    const bool within = indent > parent || (entry && indent == parent);  // a list need not be indented
    if (within) {
      if (blocks_.size() >= kMaxDepth) return false;
      open(kind, line);
    } else {
      add(Kind::null, *key_);
    }
    key_.reset();
    if (within) return true;
  }
  while (!blocks_.empty() && indent < blocks_.back().indent) close();
  const auto fits = [&] {
    return !blocks_.empty() && blocks_.back().indent == indent && blocks_.back().kind == kind;
  };
  if (!fits() && !blocks_.empty() && blocks_.back().kind == Kind::sequence)
    close();  // one that was not indented
  return fits();
}

bool Reader::read_entry(Line& line) {
  ++line.at;
  line.skip_spaces();
  return read_value(line) && line.ends();
}

// `key: value`, or `key:` alone.
bool Reader::read_key(Line& line) {
  const Position at = line.position();
  const std::size_t start = line.at;
  if (line.peek() == '"' || line.peek() == '\'') {
    if (!read_quoted(line)) return false;
  } else {
    while (is_name_char(line.peek()) || ((line.peek() == '-' || line.peek() == '.') && line.at > start))
      ++line.at;
    const std::string_view name = line.text.substr(start, line.at - start);
    if (name.empty() || is_null_word(name)) return false;
    add(Kind::scalar, at, name);
  }
  if (line.at - start > kMaxKeyBytes || line.peek() != ':') return false;
  ++line.at;
  if (line.ends()) {
    key_ = at;
    return true;
  }
  return line.text[line.at - 1] == ' ' && read_value(line);
}

bool Reader::read_value(Line& line) {
  switch (line.peek()) {
    case '{':
    case '[':
      return read_flow(line, blocks_.size());
    case '"':
    case '\'':
      return read_quoted(line);
    default:
      return read_plain_to_end(line);
  }
}

bool Reader::read_quoted(Line& line) {
  const Position at = line.position();
  const char quote = line.peek();
  const std::size_t start = ++line.at;
  const std::size_t end = line.text.find(quote, start);
  if (end == std::string_view::npos) return false;
  line.at = end + 1;
  if (line.peek() == quote) return false;  // `''`: an escaped one
  const std::string_view text = line.text.substr(start, end - start);
  if (text.find_first_of("\\\t") != std::string_view::npos) return false;
  add(Kind::scalar, at, text, false);
  return true;
}

// Plain text, from where it began up to `end`.
bool Reader::take_plain(Line& line, Position from, std::size_t end) {
  const std::size_t start = static_cast<std::size_t>(from.column) - 1;
  const std::string_view text = line.text.substr(start, end - start);
  if (is_null_word(text)) return false;
  line.at = end;
  add(Kind::scalar, from, text);
  return true;
}

// Plain text of the block style ends with its line or before a comment.
bool Reader::read_plain_to_end(Line& line) {
  const Position at = line.position();
  std::size_t end = line.at;  // behind the last that is no blank
  if (!begins_plain(line.peek())) return false;
  for (; !line.done(); ++line.at) {
    const char c = line.peek();
    if (c == ' ') continue;
    if (c == '#' && line.text[line.at - 1] == ' ') break;
    if (c == '\t' || (c == ':' && (line.peek(1) == ' ' || line.peek(1) == '\0'))) return false;
    end = line.at + 1;
  }
  return take_plain(line, at, end);
}

// `depth`: of what it stands in.
bool Reader::read_flow(Line& line, std::size_t depth) {
  const char c = line.peek();
  if (c == '"' || c == '\'') return read_quoted(line);
  if (c != '{' && c != '[') return read_flow_plain(line);
  if (depth >= kMaxDepth) return false;
  const Kind kind = c == '{' ? Kind::map : Kind::sequence;
  add(kind, line.position());
  ++line.at;
  if (!read_flow_items(line, depth + 1, kind)) return false;
  add(Kind::end, {});
  return true;
}

// Up to the closing bracket and with it.
bool Reader::read_flow_items(Line& line, std::size_t depth, Kind kind) {
  const char closing = kind == Kind::map ? '}' : ']';
  line.skip_spaces();
  for (bool first = true; !first || line.peek() != closing; first = false) {
    if (kind == Kind::map) {
      const std::size_t start = line.at;
      if (!(line.peek() == '"' || line.peek() == '\'' ? read_quoted(line) : read_flow_plain(line)))
        return false;
      if (line.at - start > kMaxKeyBytes || line.peek() != ':' || line.peek(1) != ' ') return false;
      ++line.at;
      line.skip_spaces();
    }
    if (!read_flow(line, depth)) return false;
    line.skip_spaces();
    if (line.peek() == closing) break;
    if (line.peek() != ',') return false;
    ++line.at;
    line.skip_spaces();
  }
  ++line.at;
  return true;
}

// Ends before what may follow it; its reader looks whether that does.
bool Reader::read_flow_plain(Line& line) {
  const Position at = line.position();
  std::size_t end = line.at;
  if (!begins_plain(line.peek())) return false;
  for (; in_plain(line.peek()) || line.peek() == ' '; ++line.at) {
    if (line.peek() == ' ') continue;
    if (line.peek() == ':' && !in_plain(line.peek(1))) break;
    end = line.at + 1;
  }
  return take_plain(line, at, end);
}

}  // namespace

bool is_simple_yaml(std::string_view text) {
  return Reader(nullptr).read(text);
}

// Twice, which takes less than to keep what the first time finds.
bool read_simple_yaml(std::string_view text, YamlSink& sink) {
  return is_simple_yaml(text) && Reader(&sink).read(text);
}

}  // namespace oakgate::conf
