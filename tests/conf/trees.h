// Trees of YAML compared, and made by yaml-cpp alone: what conf/simple_yaml.h is measured against.
#pragma once

#include <algorithm>
#include <optional>
#include <string>

#include "conf/yaml_tree.h"

namespace oakgate::conf {

// `...` ends a document, as the end of the text does, and is no simple YAML.
inline std::optional<Node> tree_by_yaml_cpp(std::string_view text, Report& report) {
  return build_tree(std::string(text) + "\n...\n", report);
}

inline bool same_tree(const Node& a, const Node& b) {
  const auto same_place = [](const Position& x, const Position& y) {
    return x.line == y.line && x.column == y.column && x.file == y.file;
  };
  const auto all_same = [](const std::vector<Node>& x, const std::vector<Node>& y) {
    return std::equal(x.begin(), x.end(), y.begin(), y.end(), same_tree);
  };
  return a.kind == b.kind && a.plain == b.plain && a.reported == b.reported && a.text == b.text &&
         same_place(a.position, b.position) && all_same(a.keys, b.keys) && all_same(a.items, b.items);
}

}  // namespace oakgate::conf
