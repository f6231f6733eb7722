// Fuzz target: a running configuration. Whatever it is, what comes out of it is shown without control
// characters, and a configuration with peers in it is one that the daemon's parser takes.
#include <string_view>

#include "conf/cisco/import.h"
#include "tests/conf/fuzz_imported.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  constexpr std::chrono::sys_days kUntil{std::chrono::year{2027} / 6 / 30};
  const auto imported = oakgate::conf::cisco::import_cisco(text, kUntil);
  static_cast<void>(oakgate::conf::check_imported(imported));
  return 0;
}
