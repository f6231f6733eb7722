// Fuzz target: a whole datagram in clear. What parses must be written back to the same bytes.
#include "ike/wire/message.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace oakgate;
  const ByteView datagram(data, size);
  const auto header = wire::parse_header(datagram);
  if (!header) return 0;
  const auto body =
      wire::parse_body(header->next_payload, wire::body_of(*header, datagram), wire::Padding::none);
  if (!body) return 0;
  if (wire::encode(*header, body->payloads) != to_bytes(datagram.first(header->length))) __builtin_trap();
  return 0;
}
