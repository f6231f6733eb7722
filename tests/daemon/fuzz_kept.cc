// The file that `on_exit: keep` leaves: any bytes give SA pairs that are written and read again as they are,
// or an error that names a line.
#include <cstdint>
#include <string>
#include <string_view>

#include "daemon/kept_store.h"
#include "ike/kept_pairs.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace oakgate;
  const std::string boot = "boot";
  const auto pairs = parse_kept({reinterpret_cast<const char*>(data), size}, boot);
  if (!pairs) return pairs.error().text.find("line ") == 0 ? 0 : (__builtin_trap(), 1);
  std::string again = kept_header(boot);
  for (const ike::KeptPair& pair : *pairs) {
    again += kept_line(pair);
    if (ike::kept_sas(pair).size() < 2) __builtin_trap();  // one each way at least
  }
  const auto same = parse_kept(again, boot);
  if (!same || *same != *pairs) __builtin_trap();
  return 0;
}
