// Any ID payload as a client identity, RFC 2407 section 4.6.2: what is taken is well-formed, goes back as it
// came or in the other form for the same, and is exactly its subnets. The first four bytes are type, protocol
// and port, as on the wire.
#include <algorithm>

#include "ike/identities.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace oakgate;
  if (size < 4 || size > 256) return 0;
  const wire::IdPayload id{static_cast<wire::IdType>(data[0]), data[1],
                           static_cast<std::uint16_t>(data[2] << 8 | data[3]), Bytes(data + 4, data + size)};
  if (ike::describe(id).size() > 512) __builtin_trap();
  const auto selector = ike::parse_client_id(id);
  if (!selector) return 0;
  const auto again = ike::parse_client_id(ike::client_id(*selector));
  if (!again || *again != *selector) __builtin_trap();
  const Selector canonical = selector->canonical();
  if (canonical.canonical() != canonical || canonical.addresses() != selector->addresses()) __builtin_trap();
  if (!selector->contains(canonical) || !canonical.contains(*selector)) __builtin_trap();
  if (!selector->overlaps(canonical) || selector->addresses().last < selector->addresses().first)
    __builtin_trap();
  const std::vector<Subnet> subnets = selector->subnets();
  if (subnets.empty() || subnets.size() > 254) __builtin_trap();
  if (subnets.front().address() != selector->addresses().first) __builtin_trap();
  if (subnets.back().last() != selector->addresses().last) __builtin_trap();
  for (const Subnet& one : subnets) {
    if (!selector->subnet.contains(one)) __builtin_trap();
  }
  return 0;
}
