// Any text as an enrolment's file: refused, or what is written of it is read alike.
#include "daemon/enrollment_state.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace oakgate;
  const auto transactions = parse_transactions({reinterpret_cast<const char*>(data), size});
  if (!transactions) return 0;
  if (transactions->size() > 2) __builtin_trap();
  if (parse_transactions(transactions_text(*transactions)) != *transactions) __builtin_trap();
  return 0;
}
