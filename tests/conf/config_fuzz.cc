// Fuzz target: the text of a configuration file. Whatever it is, it is read to an end: configuration or
// issues. A configuration as one file, its templates filled in, is the same configuration.
#include <string_view>

#include "conf/load.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto outcome = oakgate::conf::parse_config(text, "oakgate.yaml");
  if (outcome.config.has_value() != outcome.issues.empty()) __builtin_trap();
  if (outcome.config) {
    const auto again = oakgate::conf::parse_config(outcome.composed, "oakgate.yaml");
    if (!again.config || again.composed != outcome.composed) __builtin_trap();
  }
  for (const auto& issue : outcome.issues) {
    const std::string line = to_string(issue);
    for (const char c : line) {
      if (c < 0x20 || c > 0x7e) __builtin_trap();
    }
  }
  return 0;
}
