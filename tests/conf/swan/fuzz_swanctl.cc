// Fuzz target: a swanctl.conf. Whatever it is, what comes out of it is shown without control
// characters, and a configuration with peers in it is YAML that the daemon's parser reads.
#include <string_view>

#include "conf/swan/import.h"
#include "tests/conf/fuzz_imported.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace oakgate::conf;
  using namespace oakgate::conf::swan;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  constexpr std::chrono::sys_days kUntil{std::chrono::year{2027} / 6 / 30};
  const Imported imported = import_swanctl_conf(text, kUntil);
  check_yaml(imported);
  return 0;
}
