#include "conf/yaml_tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <array>
#include <sstream>
#include <unordered_map>

#include "conf/encoding.h"
#include "conf/simple_yaml.h"
#include "conf/text.h"

namespace oakgate::conf {

namespace {

// Ends a parse from inside a handler; the reason is in the report already.
struct Stop {};

Position position(const YAML::Mark& mark, std::uint16_t file) {
  return {mark.line + 1, mark.column + 1, file};
}

// The keys of a map so far. Most maps have few, some thousands.
class KeyIndex {
 public:
  // Nothing: it is a new one.
  [[nodiscard]] const Node* find(const Node& map, const std::string& key) const;
  // To be called for each key that `map` has just been given.
  void added(const Node& map);

 private:
  static constexpr std::size_t kFew = 16;
  std::unordered_map<std::string, std::size_t> more_;  // of a map with more than a few: all
};

const Node* KeyIndex::find(const Node& map, const std::string& key) const {
  if (more_.empty()) {
    const auto same = [&](const Node& known) { return known.text == key; };
    const auto found = std::find_if(map.keys.begin(), map.keys.end(), same);
    return found == map.keys.end() ? nullptr : &*found;
  }
  const auto found = more_.find(key);
  return found == more_.end() ? nullptr : &map.keys[found->second];
}

void KeyIndex::added(const Node& map) {
  if (map.keys.size() <= kFew) return;
  for (std::size_t i = more_.size(); i < map.keys.size(); ++i) more_.emplace(map.keys[i].text, i);
}

class TreeBuilder {
 public:
  TreeBuilder(Report& report, std::uint16_t file) : report_(report), file_(file) {}

  [[nodiscard]] std::optional<Node> take() { return std::move(root_); }
  // The path to what is being built: what a syntax error interrupted.
  [[nodiscard]] std::string path() const;
  [[nodiscard]] std::uint16_t file() const { return file_; }

  void document(Position at);
  void null(Position at);
  // `plain`: written without quotes.
  void scalar(Position at, bool plain, std::string_view text);
  void open(Position at, Node::Kind kind);
  void close();
  void fault(Position at, Fault what) { report_.add(at, path(), std::move(what)); }
  // Ends the parse.
  [[noreturn]] void stop(Position at, std::string message, std::string expected) {
    report_.add(at, path(), {std::move(message), std::move(expected)});
    throw Stop{};
  }

 private:
  // A list or map that is still open.
  struct Frame {
    Node node;
    std::optional<Node> key;  // map: read, its value not yet
    KeyIndex known;           // map
  };

  void count(Position at);
  void add(Node node);
  void add_to_map(Frame& frame, Node node);
  void check_key(const Frame& frame, const Node& key);

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

void TreeBuilder::document(Position at) {
  if (document_seen_) {
    stop(at, "a second document starts here",
         "one document: no second `---`, and every top-level key in the same column");
  }
  document_seen_ = true;
}

void TreeBuilder::count(Position at) {
  if (++nodes_ > kMaxNodes) {
    stop(at, "the file holds too many values", "at most " + std::to_string(kMaxNodes));
  }
}

void TreeBuilder::null(Position at) {
  count(at);
  Node node;
  node.position = at;
  add(std::move(node));
}

void TreeBuilder::scalar(Position at, bool plain, std::string_view text) {
  count(at);
  Node node;
  node.kind = Node::Kind::scalar;
  node.position = at;
  node.plain = plain;
  const std::size_t before = report_.count();
  if (text.size() > kMaxScalarBytes) {
    fault(at, {"the text is too long", "at most " + std::to_string(kMaxScalarBytes) + " bytes"});
  } else if (find_control(text)) {
    fault(at, {"the text holds a line break or a control character", "one line of text"});
  }
  node.reported = report_.count() != before;
  if (!node.reported) node.text = text;
  add(std::move(node));
}

void TreeBuilder::open(Position at, Node::Kind kind) {
  count(at);
  if (open_.size() >= kMaxDepth) {
    stop(at, "lists and maps are nested too deep", "at most " + std::to_string(kMaxDepth) + " levels");
  }
  Frame frame;
  frame.node.kind = kind;
  frame.node.position = at;
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
  if (usable && frame.known.find(frame.node, frame.key->text) == nullptr) {
    // yaml-cpp puts an absent value, and a list or map below its key, where the next thing begins.
    if (node.kind != Node::Kind::scalar) node.position = frame.key->position;
    frame.node.keys.push_back(std::move(*frame.key));
    frame.node.items.push_back(std::move(node));
    frame.known.added(frame.node);
  }
  frame.key.reset();
}

void TreeBuilder::check_key(const Frame& frame, const Node& key) {
  if (key.reported) return;
  if (key.kind != Node::Kind::scalar || key.text.empty()) {
    fault(key.position, {"the key of a map entry is not a name", "`name: value`"});
    return;
  }
  const Node* const first = frame.known.find(frame.node, key.text);
  if (first == nullptr) return;
  const std::string where = path();
  report_.add(key.position, where.empty() ? printable(key.text) : where + "." + printable(key.text),
              {quote(key.text) + " is given twice, first in line " + std::to_string(first->position.line),
               "each key once"});
}

// What yaml-cpp tells as it reads.
class Handler final : public YAML::EventHandler {
 public:
  explicit Handler(TreeBuilder& builder) : builder_(builder) {}
  void OnDocumentStart(const YAML::Mark& mark) override { builder_.document(at(mark)); }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    check(mark, {}, anchor);
    builder_.null(at(mark));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    builder_.stop(at(mark), "aliases (`*name`) are not supported", "the value written out");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    check(mark, tag, anchor);
    builder_.scalar(at(mark), tag == kPlainTag, value);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    check(mark, tag, anchor);
    builder_.open(at(mark), Node::Kind::sequence);
  }
  void OnSequenceEnd() override { builder_.close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    check(mark, tag, anchor);
    builder_.open(at(mark), Node::Kind::map);
  }
  void OnMapEnd() override { builder_.close(); }

 private:
  static constexpr std::string_view kPlainTag = "?";
  static constexpr std::string_view kQuotedTag = "!";

  // Aliases are refused because a few lines of them expand to gigabytes, and because a reader of the file
  // would have to expand them in their head; tags because nothing here has a type of its own.
  void check(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (anchor != 0) builder_.fault(at(mark), {"anchors (`&name`) are not supported", "the value alone"});
    if (tag != kPlainTag && tag != kQuotedTag && !tag.empty())
      builder_.fault(at(mark), {"tags (`!name`) are not supported", "the value alone"});
  }
  [[nodiscard]] Position at(const YAML::Mark& mark) const { return position(mark, builder_.file()); }

  TreeBuilder& builder_;
};

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

// What is read without it.
class SimpleHandler final : public YamlSink {
 public:
  explicit SimpleHandler(TreeBuilder& builder) : builder_(builder) {}
  void take(const YamlEvent& event) override {
    const Position at{event.at.line, event.at.column, builder_.file()};
    switch (event.kind) {
      case YamlEvent::Kind::null:
        return builder_.null(at);
      case YamlEvent::Kind::scalar:
        return builder_.scalar(at, event.plain, event.text);
      case YamlEvent::Kind::sequence:
        return builder_.open(at, Node::Kind::sequence);
      case YamlEvent::Kind::map:
        return builder_.open(at, Node::Kind::map);
      case YamlEvent::Kind::end:
        return builder_.close();
    }
  }

 private:
  TreeBuilder& builder_;
};

bool parse(std::string_view text, TreeBuilder& builder, Report& report) {
  try {
    SimpleHandler simple(builder);
    if (read_simple_yaml(text, simple)) return true;
    // yaml-cpp takes a line's end at the end of the file for the missing quote of a text that is still open,
    // so the file ends in a comment instead.
    std::istringstream stream{std::string(text) + (text.ends_with("\n") ? "#" : "\n#")};
    YAML::Parser parser(stream);
    Handler handler(builder);
    while (parser.HandleNextDocument(handler)) {
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
