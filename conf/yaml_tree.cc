#include "conf/yaml_tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <array>
#include <map>
#include <sstream>

#include "conf/encoding.h"
#include "conf/text.h"

namespace oakgate::conf {

namespace {

// Ends a parse from inside a handler; the reason is in the report already.
struct Stop {};

Position position(const YAML::Mark& mark, std::uint16_t file) {
  return {mark.line + 1, mark.column + 1, file};
}

class TreeBuilder final : public YAML::EventHandler {
 public:
  TreeBuilder(Report& report, std::uint16_t file) : report_(report), file_(file) {}

  [[nodiscard]] std::optional<Node> take() { return std::move(root_); }
  // The path to what is being built: what a syntax error interrupted.
  [[nodiscard]] std::string path() const;
  [[nodiscard]] std::uint16_t file() const { return file_; }

  void OnDocumentStart(const YAML::Mark& mark) override;
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override;
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override;
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override;
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value style) override;
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value style) override;
  void OnMapEnd() override { close(); }

 private:
  // A list or map that is still open.
  struct Frame {
    Node node;
    std::optional<Node> key;                             // map: read, its value not yet
    std::map<std::string, Position, std::less<>> known;  // map: the keys so far
  };

  void check(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor);
  void open(const YAML::Mark& mark, Node::Kind kind);
  void close();
  void add(Node node);
  void add_to_map(Frame& frame, Node node);
  void check_key(const Frame& frame, const Node& key);
  [[noreturn]] void stop(Position at, std::string message, std::string expected) {
    report_.add(at, path(), {std::move(message), std::move(expected)});
    throw Stop{};
  }

  [[nodiscard]] Position position(const YAML::Mark& mark) const { return conf::position(mark, file_); }

  Report& report_;
  std::uint16_t file_;
  std::vector<Frame> open_;
  std::optional<Node> root_;
  std::size_t nodes_ = 0;
  bool document_seen_ = false;
};

std::string TreeBuilder::path() const {
  std::string text;
  for (const Frame& frame : open_) {
    if (!frame.key) continue;
    if (!text.empty()) text += ".";
    text += printable(frame.key->text);
  }
  return text;
}

void TreeBuilder::OnDocumentStart(const YAML::Mark& mark) {
  if (document_seen_) {
    stop(position(mark), "a second document starts here",
         "one document: no second `---`, and every top-level key in the same column");
  }
  document_seen_ = true;
}

// Aliases are refused because a few lines of them expand to gigabytes, and because a reader of the file would
// have to expand them in their head; tags because nothing here has a type of its own.
void TreeBuilder::check(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
  if (++nodes_ > kMaxNodes) {
    stop(position(mark), "the file holds too many values", "at most " + std::to_string(kMaxNodes));
  }
  if (anchor != 0)
    report_.add(position(mark), path(), {"anchors (`&name`) are not supported", "the value alone"});
  // yaml-cpp: "?" is a plain value, "!" a quoted one.
  if (tag != "?" && tag != "!" && !tag.empty()) {
    report_.add(position(mark), path(), {"tags (`!name`) are not supported", "the value alone"});
  }
}

void TreeBuilder::OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) {
  check(mark, {}, anchor);
  Node node;
  node.position = position(mark);
  add(std::move(node));
}

void TreeBuilder::OnAlias(const YAML::Mark& mark, YAML::anchor_t) {
  stop(position(mark), "aliases (`*name`) are not supported", "the value written out");
}

void TreeBuilder::OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                           const std::string& value) {
  check(mark, tag, anchor);
  Node node;
  node.kind = Node::Kind::scalar;
  node.position = position(mark);
  node.plain = tag == "?";
  const std::size_t before = report_.count();
  if (value.size() > kMaxScalarBytes) {
    report_.add(node.position, path(),
                {"the text is too long", "at most " + std::to_string(kMaxScalarBytes) + " bytes"});
  } else if (find_control(value)) {
    report_.add(node.position, path(),
                {"the text holds a line break or a control character", "one line of text"});
  }
  node.reported = report_.count() != before;
  if (!node.reported) node.text = value;
  add(std::move(node));
}

void TreeBuilder::OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                                  YAML::EmitterStyle::value) {
  check(mark, tag, anchor);
  open(mark, Node::Kind::sequence);
}

void TreeBuilder::OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                             YAML::EmitterStyle::value) {
  check(mark, tag, anchor);
  open(mark, Node::Kind::map);
}

void TreeBuilder::open(const YAML::Mark& mark, Node::Kind kind) {
  if (open_.size() >= kMaxDepth) {
    stop(position(mark), "lists and maps are nested too deep",
         "at most " + std::to_string(kMaxDepth) + " levels");
  }
  Frame frame;
  frame.node.kind = kind;
  frame.node.position = position(mark);
  open_.push_back(std::move(frame));
}

void TreeBuilder::close() {
  Node node = std::move(open_.back().node);
  open_.pop_back();
  add(std::move(node));
}

void TreeBuilder::add(Node node) {
  if (open_.empty()) {
    root_ = std::move(node);
  } else if (open_.back().node.kind == Node::Kind::sequence) {
    open_.back().node.items.push_back(std::move(node));
  } else {
    add_to_map(open_.back(), std::move(node));
  }
}

void TreeBuilder::add_to_map(Frame& frame, Node node) {
  if (!frame.key) {
    check_key(frame, node);
    frame.key = std::move(node);
    return;
  }
  const bool usable = frame.key->kind == Node::Kind::scalar && !frame.key->text.empty();
  if (usable && frame.known.emplace(frame.key->text, frame.key->position).second) {
    // yaml-cpp puts an absent value, and a list or map below its key, where the next thing begins.
    if (node.kind != Node::Kind::scalar) node.position = frame.key->position;
    frame.node.keys.push_back(std::move(*frame.key));
    frame.node.items.push_back(std::move(node));
  }
  frame.key.reset();
}

void TreeBuilder::check_key(const Frame& frame, const Node& key) {
  const std::string where = path();
  if (key.reported) return;
  if (key.kind != Node::Kind::scalar || key.text.empty()) {
    report_.add(key.position, where, {"the key of a map entry is not a name", "`name: value`"});
    return;
  }
  const auto first = frame.known.find(key.text);
  if (first == frame.known.end()) return;
  report_.add(key.position, where.empty() ? printable(key.text) : where + "." + printable(key.text),
              {quote(key.text) + " is given twice, first in line " + std::to_string(first->second.line),
               "each key once"});
}

// What yaml-cpp's terse words mean for whoever wrote the file.
struct Explanation {
  const char* yaml_cpp;
  const char* message;
  const char* expected;
};
const auto kExplanations = std::to_array<Explanation>({
    {YAML::ErrorMsg::MAP_VALUE, "a `:` ends a key where none can stand",
     "`key: value`, all keys of a map in the same column, and quotes around text that holds `: ` or ends in "
     "`:`"},
    {YAML::ErrorMsg::MAP_KEY, "a key cannot stand here",
     "`key: value`, all keys of a map in the same column"},
    {YAML::ErrorMsg::BLOCK_ENTRY, "a list entry (`- `) cannot stand here",
     "it in a line of its own, or `[a, b]`"},
    {YAML::ErrorMsg::TAB_IN_INDENTATION, "a tab in the indentation", "spaces"},
    {YAML::ErrorMsg::END_OF_MAP, "the indentation fits no key above", "all keys of a map in the same column"},
    {YAML::ErrorMsg::END_OF_SEQ, "the indentation fits no entry above",
     "all entries of a list in the same column"},
    {YAML::ErrorMsg::END_OF_MAP_FLOW, "a `{` is not closed here", "`}` or `,`"},
    {YAML::ErrorMsg::END_OF_SEQ_FLOW, "a `[` is not closed here", "`]` or `,`"},
    {YAML::ErrorMsg::FLOW_END, "a closing bracket that fits no open one", "`]` for `[` and `}` for `{`"},
    {YAML::ErrorMsg::EOF_IN_SCALAR, "the text has an opening quote and no closing one", "the closing quote"},
    {YAML::ErrorMsg::UNKNOWN_TOKEN, "a character that no value can begin with", "quotes around the value"},
    {YAML::ErrorMsg::UNKNOWN_ANCHOR, "aliases (`*name`) are not supported", "the value written out"},
});

Fault explain(const YAML::Exception& error) {
  for (const Explanation& known : kExplanations) {
    if (error.msg == known.yaml_cpp) return {known.message, known.expected};
  }
  return {"not valid YAML: " + printable(error.msg)};
}

std::string_view line_of(std::string_view text, int line) {
  for (int skipped = 1; skipped < line; ++skipped) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return {};
    text.remove_prefix(end + 1);
  }
  return text.substr(0, text.find('\n'));
}

void report_syntax(const YAML::Exception& error, std::string_view text, const TreeBuilder& builder,
                   Report& report) {
  const std::uint16_t file = builder.file();
  const Position at = error.mark.is_null() ? Position{0, 0, file} : position(error.mark, file);
  Fault what = explain(error);
  const std::string_view line = line_of(text, at.line);
  if (line.substr(0, line.find_first_not_of(" \t")).find('\t') != std::string_view::npos) {
    what = {"a tab in the indentation", "spaces"};
  }
  // `local: 2001:db8::` is a key within a value to YAML.
  if (line.find("::") != std::string_view::npos) {
    what.message += " (an IPv6 address that ends in `::` needs quotes, and so do all in `[]` and `{}`)";
  }
  report.add(at, builder.path(), std::move(what));
}

bool parse(std::string_view text, TreeBuilder& builder, Report& report) {
  try {
    // yaml-cpp takes a line's end at the end of the file for the missing quote of a text that is still open,
    // so the file ends in a comment instead.
    std::istringstream stream{std::string(text) + (text.ends_with("\n") ? "#" : "\n#")};
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
    return true;
  } catch (const Stop&) {
  } catch (const YAML::Exception& error) {
    report_syntax(error, text, builder, report);
  } catch (const std::exception& error) {
    report.add({0, 0, builder.file()}, {}, {"the YAML parser gave up: " + printable(error.what())});
  }
  return false;
}

}  // namespace

std::optional<Node> build_tree(std::string_view text, Report& report, std::uint16_t file) {
  if (auto unreadable = check_encoding(text)) {
    unreadable->at.file = file;
    report.add(unreadable->at, {}, std::move(unreadable->fault));
    return std::nullopt;
  }
  TreeBuilder builder(report, file);
  if (!parse(text, builder, report)) return std::nullopt;
  std::optional<Node> root = builder.take();
  if (!root || root->kind == Node::Kind::null) {
    report.add({0, 0, file}, {},
               {"the file is empty", "a map with peers and what they use: see oakgate.yaml(5)"});
    return std::nullopt;
  }
  return root;
}

}  // namespace oakgate::conf
