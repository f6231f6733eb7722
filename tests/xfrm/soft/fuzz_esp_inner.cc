// The parser of inner packets, and what is built from what it says: selectors, ICMP errors, traffic class.
#include <cstddef>
#include <cstdint>

#include "xfrm/soft/icmp.h"
#include "xfrm/soft/inner_packet.h"

namespace oakgate::soft {
namespace {

void require(bool holds) {
  if (!holds) __builtin_trap();
}

void run(ByteView input) {
  const auto parsed = parse_inner_packet(input);
  if (!parsed) return;
  require(parsed->size <= input.size() && parsed->upper_offset <= parsed->size);
  require(parsed->source.family() == parsed->destination.family());
  require(!parsed->ports || parsed->fragment != Fragment::later);
  for (const IcmpError kind : {IcmpError::too_big, IcmpError::prohibited}) {
    const auto message = make_icmp_error(input, *parsed, kind, 1400);
    require(!message || (message->bytes.size() >= 8 && message->bytes.size() <= 1280));
  }
  Bytes copy = to_bytes(input);
  set_traffic_class(copy, 0x5a);
  const auto again = parse_inner_packet(copy);
  require(again && again->traffic_class == 0x5a && again->size == parsed->size);
}

}  // namespace
}  // namespace oakgate::soft

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  oakgate::soft::run({data, size});
  return 0;
}
