#include "conf/swan/swanctl_conf.h"

#include <algorithm>

#include "conf/swan/values.h"

namespace oakgate::conf::swan {

namespace {

template <typename Things>
auto* find_named(Things& things, std::string_view name) {
  const auto found =
      std::find_if(things.begin(), things.end(), [&](const auto& one) { return one.name == name; });
  return found == things.end() ? nullptr : &*found;
}

Section& section_of(Section& parent, std::string_view name, int line) {
  if (Section* known = find_named(parent.sections, name)) return *known;
  Section fresh;
  fresh.name = name;
  fresh.line = line;
  return parent.sections.emplace_back(std::move(fresh));
}

void set(Section& section, Setting setting) {
  const auto found = std::find_if(section.settings.begin(), section.settings.end(),
                                  [&](const Setting& one) { return one.key == setting.key; });
  if (found == section.settings.end()) {
    section.settings.push_back(std::move(setting));
  } else {
    *found = std::move(setting);
  }
}

// ---- The text ------------------------------------------------------------------------------------------

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  SwanctlConf parse() {
    read_section(out_.root, 0);
    return std::move(out_);
  }

 private:
  [[nodiscard]] bool at_end() const { return at_ >= text_.size(); }
  [[nodiscard]] char peek() const { return at_end() ? '\0' : text_[at_]; }
  char next() {
    const char c = text_[at_++];
    if (c == '\n') ++line_;
    return c;
  }
  void skip_line() {
    while (!at_end() && peek() != '\n') next();
  }
  // Blanks, line ends and comments.
  void skip_space() {
    while (!at_end()) {
      const char c = peek();
      if (c == '#') {
        skip_line();
      } else if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
        next();
      } else {
        return;
      }
    }
  }
  void note(int line, std::string_view text, std::string why) {
    out_.notes.push_back(note_at(line, text, std::move(why)));
  }
  bool room(int line) {
    if (++nodes_ <= kMaxTreeNodes) return true;
    if (nodes_ == kMaxTreeNodes + 1) note(line, "...", "more than 200000 settings: the rest is left out");
    return false;
  }

  void read_section(Section& section, int depth) {
    for (;;) {
      skip_space();
      if (at_end()) {
        if (depth > 0) note(line_, "section " + section.name, "the file ends within it");
        return;
      }
      if (peek() == '}') {
        next();
        if (depth > 0) return;
        note(line_, "}", "it closes no section");
        continue;
      }
      read_entry(section, depth);
    }
  }

  void read_entry(Section& section, int depth) {
    constexpr std::string_view kNoName = " \t\r\n={}#:,\"";
    const int line = line_;
    const std::size_t begin = at_;
    while (!at_end() && kNoName.find(peek()) == std::string_view::npos) next();
    const std::string name(text_.substr(begin, at_ - begin));
    while (peek() == ' ' || peek() == '\t') next();
    if (name == "include" && peek() != '=' && peek() != '{') {
      skip_line();
      note(line, text_.substr(begin, at_ - begin),
           "the file it names is not read: import it too, or put it in its place");
    } else if (!name.empty() && peek() == '=') {
      next();
      std::string value = read_value();
      if (room(line)) set(section, {line, name, std::move(value)});
    } else {
      open_section(section, name, line, begin, depth);
    }
  }

  // "name {", "name : reference, reference {", the brace on a later line maybe.
  void open_section(Section& parent, const std::string& name, int line, std::size_t begin, int depth) {
    const std::size_t here = at_;
    const int line_here = line_;
    std::vector<std::string> references;
    skip_space();
    if (peek() == ':') {
      next();
      const std::size_t from = at_;
      while (!at_end() && peek() != '{' && peek() != '}' && peek() != '=' && peek() != '#') next();
      references = words_in(text_.substr(from, at_ - from));
    }
    if (name.empty() || peek() != '{') {
      at_ = here;
      line_ = line_here;
      skip_line();
      if (at_ == begin) next();
      // It may be the rest of a secret.
      note(line, name.empty() ? "..." : name + " ...", "it is neither a section nor a setting");
      return;
    }
    next();
    if (depth >= kMaxTreeDepth || !room(line)) {
      if (depth >= kMaxTreeDepth) note(line, name, "sections more than 32 deep: left out");
      skip_block();
      return;
    }
    Section& section = section_of(parent, name, line);
    section.references.insert(section.references.end(), references.begin(), references.end());
    read_section(section, depth + 1);
  }

  void skip_block() {
    for (int open = 1; open > 0 && !at_end();) {
      skip_space();
      if (at_end()) return;
      const char c = next();
      if (c == '{') ++open;
      if (c == '}') --open;
    }
  }

  std::string read_value() {
    std::string value;
    while (peek() == ' ' || peek() == '\t') next();
    while (!at_end()) {
      const char c = peek();
      if (c == '"') {
        next();
        read_quoted(value);
      } else if (c == '\n' || c == '#' || c == '}' || c == '{') {
        break;
      } else {
        value += next();
      }
    }
    return std::string(trim(value));
  }

  void read_quoted(std::string& value) {
    while (!at_end()) {
      const char c = next();
      if (c == '"') return;
      if (c != '\\' || at_end()) {
        value += c;
        continue;
      }
      const char escaped = next();
      if (escaped != '\n') value += escaped == 'n' ? '\n' : escaped == 't' ? '\t' : escaped;
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
  int line_ = 1;
  std::size_t nodes_ = 0;
  SwanctlConf out_;
};

// ---- References ----------------------------------------------------------------------------------------

class Merger {
 public:
  Merger(const Section& root, std::vector<Note>& notes) : root_(root), notes_(notes) {}

  // `section` with all that it refers to, directly or by what it refers to.
  Section merged(const Section& section, const Section& parent, int depth) {
    Section out;
    out.name = section.name;
    out.line = section.line;
    ++nodes_;
    for (const Setting& one : section.settings) {
      if (++nodes_ <= kMaxTreeNodes) out.settings.push_back(one);
    }
    if (depth < kMaxTreeDepth) {
      for (const Section& one : section.sections) {
        if (nodes_ < kMaxTreeNodes) out.sections.push_back(merged(one, section, depth + 1));
      }
      for (const std::string& name : section.references) follow(section, parent, name, out, depth);
    }
    if (nodes_ >= kMaxTreeNodes && !said_) {
      said_ = true;
      notes_.push_back(note_at(section.line, section.name,
                               "more than 200000 settings, references merged in: some are left out"));
    }
    return out;
  }

 private:
  // The path begins at the top; one that is not there may be meant beside the section.
  const Section* find(const std::string& path, const Section& parent) const {
    for (const Section* from : {&root_, &parent}) {
      const Section* at = from;
      std::string_view rest = path;
      while (at != nullptr && !rest.empty()) {
        const std::size_t dot = std::min(rest.find('.'), rest.size());
        at = at->section(rest.substr(0, dot));
        rest.remove_prefix(std::min(dot + 1, rest.size()));
      }
      if (at != nullptr && at != from) return at;
    }
    return nullptr;
  }

  void follow(const Section& section, const Section& parent, const std::string& name, Section& out,
              int depth) {
    const Section* found = find(name, parent);
    if (found == nullptr || std::find(way_.begin(), way_.end(), found) != way_.end() || found == &section) {
      notes_.push_back(
          note_at(section.line, section.name + " : " + name,
                  found == nullptr ? "there is no such section to refer to" : "it refers to itself"));
      return;
    }
    way_.push_back(found);
    const Section other = merged(*found, parent, depth + 1);
    way_.pop_back();
    add(out, other);
  }

  // What `out` has itself wins.
  static void add(Section& out, const Section& other) {
    for (const Setting& one : other.settings) {
      if (out.setting(one.key) == nullptr) out.settings.push_back(one);
    }
    for (const Section& one : other.sections) {
      if (Section* known = find_named(out.sections, one.name)) {
        add(*known, one);
      } else {
        out.sections.push_back(one);
      }
    }
  }

  const Section& root_;
  std::vector<Note>& notes_;
  std::vector<const Section*> way_;
  std::size_t nodes_ = 0;
  bool said_ = false;
};

void collect(const Section& section, std::vector<std::string>& names) {
  for (const std::string& one : section.references) names.push_back(one.substr(0, one.find('.')));
  for (const Section& one : section.sections) collect(one, names);
}

}  // namespace

const Setting* Section::setting(std::string_view key) const {
  const auto found =
      std::find_if(settings.begin(), settings.end(), [&](const Setting& one) { return one.key == key; });
  return found == settings.end() ? nullptr : &*found;
}

const Section* Section::section(std::string_view wanted) const {
  return find_named(sections, wanted);
}

SwanctlConf read_swanctl_conf(std::string_view text) {
  SwanctlConf conf = Parser(text).parse();
  collect(conf.root, conf.referenced);
  Section whole = Merger(conf.root, conf.notes).merged(conf.root, conf.root, 0);
  conf.root = std::move(whole);
  return conf;
}

}  // namespace oakgate::conf::swan
