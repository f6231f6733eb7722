#include "conf/difference.h"

#include <map>
#include <optional>

#include "conf/text.h"
#include "conf/yaml_tree.h"

namespace oakgate::conf {

namespace {

std::string value_text(const Node& node) {
  switch (node.kind) {
    case Node::Kind::null:
      return "(nothing)";
    case Node::Kind::scalar:
      return printable(node.text);
    case Node::Kind::map: {
      std::string text = "{";
      for (std::size_t i = 0; i < node.keys.size(); ++i) {
        text += (i == 0 ? "" : ", ") + printable(node.keys[i].text) + ": " + value_text(node.items[i]);
      }
      return text + "}";
    }
    case Node::Kind::sequence: {
      std::string text = "[";
      for (const Node& item : node.items) text += (text.size() == 1 ? "" : ", ") + value_text(item);
      return text + "]";
    }
  }
  return {};
}

bool has_members(const Node& node) {
  return node.kind == Node::Kind::map && !node.items.empty();
}

std::string below(const std::string& path, const Node& key) {
  return path.empty() ? printable(key.text) : path + "." + printable(key.text);
}

// Every value of `node` as one that came or went.
void list_all(const Node& node, const std::string& path, std::string Difference::*side,
              std::vector<Difference>& out) {
  if (has_members(node)) {
    for (std::size_t i = 0; i < node.keys.size(); ++i)
      list_all(node.items[i], below(path, node.keys[i]), side, out);
    return;
  }
  Difference one{path, {}, {}};
  one.*side = value_text(node);
  out.push_back(std::move(one));
}

void compare(const Node& before, const Node& after, const std::string& path, std::vector<Difference>& out) {
  if (before.kind != Node::Kind::map || after.kind != Node::Kind::map) {
    std::string was = value_text(before);
    std::string is = value_text(after);
    if (was != is) out.push_back({path, std::move(was), std::move(is)});
    return;
  }
  std::map<std::string_view, const Node*> others;
  for (std::size_t i = 0; i < after.keys.size(); ++i) others.emplace(after.keys[i].text, &after.items[i]);
  for (std::size_t i = 0; i < before.keys.size(); ++i) {
    const auto other = others.find(before.keys[i].text);
    const std::string at = below(path, before.keys[i]);
    if (other == others.end()) {
      list_all(before.items[i], at, &Difference::before, out);
      continue;
    }
    compare(before.items[i], *other->second, at, out);
    others.erase(other);
  }
  for (std::size_t i = 0; i < after.keys.size(); ++i) {
    if (!others.contains(after.keys[i].text)) continue;
    list_all(after.items[i], below(path, after.keys[i]), &Difference::after, out);
  }
}

Result<Node> tree_of(std::string_view text) {
  Report report("configuration");
  std::optional<Node> tree = build_tree(text, report);
  const std::vector<Issue> issues = std::move(report).take();
  if (!tree || !issues.empty()) {
    return fail(ErrorCode::malformed, issues.empty() ? "no configuration" : to_string(issues.front()),
                "a configuration as oakgated keeps it");
  }
  return std::move(*tree);
}

}  // namespace

Result<std::vector<Difference>> differences(std::string_view before, std::string_view after) {
  Result<Node> old_tree = tree_of(before);
  if (!old_tree) return fail(std::move(old_tree.error()));
  Result<Node> new_tree = tree_of(after);
  if (!new_tree) return fail(std::move(new_tree.error()));
  std::vector<Difference> out;
  compare(*old_tree, *new_tree, {}, out);
  return out;
}

}  // namespace oakgate::conf
