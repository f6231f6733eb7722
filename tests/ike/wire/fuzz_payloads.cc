// Fuzz target: a decrypted body. The first byte is the first payload's type; padding may follow the chain.
#include "ike/wire/message.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace oakgate;
  if (size == 0) return 0;
  const ByteView bytes(data + 1, size - 1);
  const auto body = wire::parse_body(static_cast<wire::PayloadType>(data[0]), bytes, wire::Padding::allowed);
  if (!body) return 0;
  if (body->length > bytes.size() || body->first_end > body->length) __builtin_trap();
  const Bytes written = wire::encode_body(body->payloads);
  if (written != to_bytes(bytes.first(body->length))) __builtin_trap();
  const auto again = wire::parse_body(static_cast<wire::PayloadType>(data[0]), written, wire::Padding::none);
  if (!again || again->payloads != body->payloads) __builtin_trap();
  return 0;
}
