// Fuzz target: the text of a configuration file. Whatever it is, it is read to an end: configuration or
// issues. A configuration as one file, its templates filled in, is the same configuration. What is read
// without yaml-cpp is what yaml-cpp makes of it.
#include <string_view>

#include "conf/load.h"
#include "conf/simple_yaml.h"
#include "tests/conf/trees.h"

namespace {

using namespace oakgate::conf;

void compare_readers(std::string_view text) {
  Report ours("f");
  Report theirs("f");
  const auto tree = build_tree(text, ours);
  const auto expected = tree_by_yaml_cpp(text, theirs);
  if (tree.has_value() != expected.has_value() || (tree && !same_tree(*tree, *expected))) __builtin_trap();
  if (ours.count() != theirs.count()) __builtin_trap();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto outcome = oakgate::conf::parse_config(text, "oakgate.yaml");
  if (outcome.config.has_value() != outcome.issues.empty()) __builtin_trap();
  if (outcome.config) {
    const auto again = oakgate::conf::parse_config(outcome.composed, "oakgate.yaml");
    if (!again.config || again.composed != outcome.composed) __builtin_trap();
  }
  // What is added for yaml-cpp would make a line's end of a lone `\r`, which is an error.
  if (!text.ends_with('\r') && is_simple_yaml(text)) compare_readers(text);
  for (const auto& issue : outcome.issues) {
    const std::string line = to_string(issue);
    for (const char c : line) {
      if (c < 0x20 || c > 0x7e) __builtin_trap();
    }
  }
  return 0;
}
