// A tree of nodes as YAML text, one value a line: build_tree() makes the same tree of it. Private to conf/.
#pragma once

#include <string>

#include "conf/yaml_tree.h"

namespace oakgate::conf {

[[nodiscard]] std::string to_yaml(const Node& root);

}  // namespace oakgate::conf
