// Fuzz target: an ipsec.conf and, behind it, an ipsec.secrets. Whatever it is, what comes out of it is shown
// without control characters, and a configuration with peers in it is YAML that the daemon's parser reads.
#include <string_view>

#include "conf/swan/import.h"
#include "tests/conf/fuzz_imported.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace oakgate::conf;
  using namespace oakgate::conf::swan;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  constexpr std::chrono::sys_days kUntil{std::chrono::year{2027} / 6 / 30};
  const std::size_t mark = text.find(char{0});
  const std::size_t half = mark == std::string_view::npos ? text.size() : mark;
  const Imported imported =
      import_ipsec_conf({text.substr(0, half), text.substr(half), Side::automatic}, kUntil);
  check_yaml(imported);
  return 0;
}
