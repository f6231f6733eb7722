// Fuzz target: a running configuration. Whatever it is, what comes out of it is shown without control
// characters, and a configuration with peers in it is one that the daemon's parser takes.
#include <string_view>

#include "conf/cisco/import.h"
#include "conf/load.h"

namespace {

bool printable(const std::string& text) {
  for (const char c : text) {
    if (c < 0x20 || c > 0x7e) return false;
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  constexpr std::chrono::sys_days kUntil{std::chrono::year{2027} / 6 / 30};
  const auto imported = oakgate::conf::cisco::import_cisco(text, kUntil);
  for (const auto& note : imported.notes) {
    if (!printable(note.text) || !printable(note.why)) __builtin_trap();
  }
  static_cast<void>(oakgate::conf::parse_config(imported.yaml, "oakgate.yaml"));
  return 0;
}
