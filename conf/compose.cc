#include "conf/compose.h"

#include <glob.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <set>

#include "conf/files.h"
#include "conf/reader.h"
#include "conf/sections.h"
#include "conf/text.h"

namespace oakgate::conf {

namespace {

constexpr std::string_view kInclude = "include";
constexpr std::string_view kTemplates = "templates";
constexpr std::string_view kExtends = "extends";
constexpr std::string_view kIncludeExpected = "a file name, a pattern like peers.d/*.yaml, or a list of them";

std::optional<std::size_t> index_of(const Node& map, std::string_view key) {
  for (std::size_t i = 0; i < map.keys.size(); ++i) {
    if (map.keys[i].text == key) return i;
  }
  return std::nullopt;
}

Node* find(Node& map, std::string_view key) {
  const auto index = index_of(map, key);
  return index ? &map.items[*index] : nullptr;
}

// Takes an entry out of a map, if it is one and has it.
std::optional<Node> take(Node& map, std::string_view key) {
  const auto index = map.kind == Node::Kind::map ? index_of(map, key) : std::nullopt;
  if (!index) return std::nullopt;
  const auto at = static_cast<std::ptrdiff_t>(*index);
  std::optional<Node> taken = std::move(map.items[*index]);
  map.items.erase(map.items.begin() + at);
  map.keys.erase(map.keys.begin() + at);
  return taken;
}

std::size_t count_nodes(const Node& node) {
  std::size_t count = 1 + node.keys.size();
  for (const Node& item : node.items) count += count_nodes(item);
  return count;
}

// ---- Files ---------------------------------------------------------------------------------------------

// The files a pattern stands for, by name. A name without wildcards stands for itself, there or not.
std::vector<std::string> matching(const std::string& pattern) {
  if (pattern.find_first_of("*?[") == std::string::npos) return {pattern};
  std::vector<std::string> paths;
  glob_t found{};
  if (::glob(pattern.c_str(), 0, nullptr, &found) == 0) {
    paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  }
  ::globfree(&found);
  return paths;
}

// Joins the sections of many files into one tree.
class Joiner {
 public:
  Joiner(Node& root, Report& report) : root_(root), report_(report) {
    for (std::size_t i = 0; i < root.keys.size(); ++i) know(root.keys[i].text, root.items[i]);
  }
  void join(Node tree);

 private:
  void know(const std::string& section, const Node& value);
  void join_section(Node& into, const Node& key, Node value);

  Node& root_;
  Report& report_;
  std::map<std::string, std::map<std::string, Position>, std::less<>> known_;  // names by section
};

void Joiner::know(const std::string& section, const Node& value) {
  std::map<std::string, Position>& names = known_[section];
  for (const Node& name : value.keys) names.emplace(name.text, name.position);
}

void Joiner::join(Node tree) {
  for (std::size_t i = 0; i < tree.keys.size(); ++i) {
    if (Node* const into = find(root_, tree.keys[i].text)) {
      join_section(*into, tree.keys[i], std::move(tree.items[i]));
      continue;
    }
    know(tree.keys[i].text, tree.items[i]);
    root_.keys.push_back(std::move(tree.keys[i]));
    root_.items.push_back(std::move(tree.items[i]));
  }
}

void Joiner::join_section(Node& into, const Node& key, Node value) {
  // Two that are no maps cannot be joined; one that is none is its reader's business, and comes alone.
  if (into.kind != Node::Kind::map || value.kind != Node::Kind::map) {
    report_.add(key.position, key.text,
                {quote(key.text) + " is given twice, first in " + report_.place(into.position, key.position),
                 "a map in each file, which are joined"});
    return;
  }
  std::map<std::string, Position>& names = known_[key.text];
  for (std::size_t i = 0; i < value.keys.size(); ++i) {
    const Node& name = value.keys[i];
    const auto [first, fresh] = names.emplace(name.text, name.position);
    if (!fresh) {
      report_.add(
          name.position, key.text + "." + printable(name.text),
          {quote(name.text) + " is given twice, first in " + report_.place(first->second, name.position),
           "each name once in all files together"});
      continue;
    }
    into.keys.push_back(std::move(value.keys[i]));
    into.items.push_back(std::move(value.items[i]));
  }
}

// False: a file could not be read.
bool include_files(Node& root, const Node& include, const std::optional<std::string>& folder,
                   Report& report) {
  if (!folder) {
    report.add(include.position, std::string(kInclude),
               {"other files cannot be included here", "a configuration in one file"});
    return false;
  }
  Joiner joiner(root, report);
  std::set<std::string> seen;
  bool good = true;
  for (const Field& item : one_or_many({&include, std::string(kInclude), &report}, kIncludeExpected)) {
    const auto pattern = free_text(item, kIncludeExpected);
    if (!pattern) {
      good = false;
      continue;
    }
    for (const std::string& path : matching((std::filesystem::path(*folder) / *pattern).string())) {
      if (!seen.insert(path).second) continue;
      if (seen.size() > kMaxIncludedFiles) {
        item.fail({"too many files are included", "at most " + std::to_string(kMaxIncludedFiles)});
        return false;
      }
      const std::uint16_t file = report.add_file(path);
      const auto text = read_text(path, file, report);
      std::optional<Node> tree = text ? build_tree(*text, report, file) : std::nullopt;
      if (tree && tree->kind != Node::Kind::map) {
        report.add({0, 0, file}, {}, {"the file holds no map", "sections such as `peers:`"});
        tree.reset();
      }
      good = good && tree;
      if (!tree) continue;
      if (const auto nested = take(*tree, kInclude)) {
        report.add(nested->position, std::string(kInclude),
                   {"an included file includes others", "`include` in the first file alone"});
      }
      joiner.join(std::move(*tree));
    }
  }
  return good;
}

// ---- Templates -----------------------------------------------------------------------------------------

enum class Level : std::uint8_t { peer, tunnels, tunnel };

// What `base` has and `own` has not.
void complete(Node& own, const Node& base, Level level) {
  for (std::size_t i = 0; i < base.keys.size(); ++i) {
    Node* const same = find(own, base.keys[i].text);
    if (same == nullptr) {
      own.keys.push_back(base.keys[i]);
      own.items.push_back(base.items[i]);
      continue;
    }
    if (same->kind != Node::Kind::map || base.items[i].kind != Node::Kind::map) continue;
    if (level == Level::peer && base.keys[i].text == "tunnels")
      complete(*same, base.items[i], Level::tunnels);
    if (level == Level::tunnels) complete(*same, base.items[i], Level::tunnel);
  }
}

class Templates {
 public:
  Templates(const std::optional<Node>& section, Report& report);
  void extend_peers(Node& peers);

 private:
  struct Template {
    Field field;
    bool under_way = false;       // being resolved: whoever asks for it now is in a circle
    std::optional<Node> whole{};  // with what it extends itself
    std::size_t nodes = 0;        // of `whole`
  };
  // `field` is the value of an `extends`. Nothing: it is reported.
  const Template* refer(const Field& field, std::size_t depth);
  // Puts into `map` what it extends; takes `extends` off.
  void extend(Node& map, const std::string& path, std::size_t depth);

  Report& report_;
  std::map<std::string, Template, std::less<>> templates_;
  std::size_t added_ = 0;  // nodes
};

Templates::Templates(const std::optional<Node>& section, Report& report) : report_(report) {
  if (!section) return;
  const Field field{&*section, std::string(kTemplates), &report};
  for (const Member& member : members(field, "a map of templates by name")) {
    const MapReader known_keys(member.value, peer_keys());
    if (member.value.node->kind == Node::Kind::map)
      templates_.emplace(member.name, Template{.field = member.value});
  }
}

const Templates::Template* Templates::refer(const Field& field, std::size_t depth) {
  const auto name = free_text(field, "the name of a template");
  if (!name) return nullptr;
  const auto found = templates_.find(*name);
  if (found == templates_.end()) {
    std::vector<std::string_view> names;
    for (const auto& [known, value] : templates_) names.push_back(known);
    report_dangling(field, *name, names, "template", kTemplates);
    return nullptr;
  }
  Template& meant = found->second;
  if (meant.under_way || depth > kMaxTemplateDepth) {
    field.fail({meant.under_way ? "the template " + quote(*name) + " extends itself"
                                : "templates extend one another too deep",
                "at most " + std::to_string(kMaxTemplateDepth) + " templates, each extending another"});
    return nullptr;
  }
  if (!meant.whole) {
    meant.under_way = true;
    Node whole = *meant.field.node;
    extend(whole, meant.field.path, depth + 1);
    meant.nodes = count_nodes(whole);
    meant.whole = std::move(whole);
    meant.under_way = false;
  }
  return &meant;
}

void Templates::extend(Node& map, const std::string& path, std::size_t depth) {
  const auto extends = take(map, kExtends);
  if (!extends) return;
  const Field field{&*extends, path + "." + std::string(kExtends), &report_};
  const Template* const base = refer(field, depth);
  if (base == nullptr) return;
  added_ += base->nodes;
  if (added_ > kMaxComposedNodes) {
    field.fail({"the templates make the configuration too large",
                "at most " + std::to_string(kMaxComposedNodes) + " values"});
    return;
  }
  complete(map, *base->whole, Level::peer);
}

void Templates::extend_peers(Node& peers) {
  for (std::size_t i = 0; i < peers.items.size(); ++i) {
    if (report_.full() || added_ > kMaxComposedNodes) return;
    extend(peers.items[i], "peers." + printable(peers.keys[i].text), 1);
  }
}

}  // namespace

std::optional<std::string> read_text(const std::string& path, std::uint16_t file, Report& report) {
  const auto opened = open_regular(path);
  if (!opened) {
    report.add({0, 0, file}, {}, {opened.error().text, opened.error().expected});
    return std::nullopt;
  }
  // One byte more than there should be: a file that is too long, or grows, is seen by it.
  const auto expected = std::min(static_cast<std::size_t>(opened->status.st_size), kMaxFileBytes);
  std::string text(expected + 1, '\0');
  const auto size = read_up_to(opened->handle, {reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
  if (!size) {
    report.add({0, 0, file}, {}, {"cannot be read: " + size.error().text});
    return std::nullopt;
  }
  if (*size > expected && expected < kMaxFileBytes) {
    report.add({0, 0, file}, {}, {"has changed while it was read", "a file that nobody is writing"});
    return std::nullopt;
  }
  text.resize(*size);
  return text;
}

std::optional<Node> compose(std::string_view text, const std::optional<std::string>& folder, Report& report) {
  std::optional<Node> root = build_tree(text, report);
  if (!root || root->kind != Node::Kind::map) return root;
  if (const auto include = take(*root, kInclude)) {
    if (!include_files(*root, *include, folder, report)) return std::nullopt;
  }
  const auto section = take(*root, kTemplates);
  Templates templates(section, report);
  Node* const peers = find(*root, "peers");
  if (peers != nullptr && peers->kind == Node::Kind::map) templates.extend_peers(*peers);
  return root;
}

}  // namespace oakgate::conf
