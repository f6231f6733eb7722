// Fuzz target: fragments of IKE messages as they may come, one after the other. The input is a list of them:
// two bytes of length, one of the message id, then the FRAG payload's body. Whatever comes, memory stays
// within its bounds, what is put together is as long as its pieces, and afterwards a genuine message gets
// through.
#include "ike/fragments.h"

using namespace oakgate;

namespace {

Result<std::optional<Bytes>> take(ike::Reassembly& reassembly, const wire::Header& header,
                                  ByteView datagram) {
  const auto body = wire::parse_body(wire::PayloadType::fragment, datagram, wire::Padding::none);
  if (!body || body->payloads.size() != 1) return std::optional<Bytes>{};
  return reassembly.take(header, std::get<wire::FragmentPayload>(body->payloads.front()));
}

// Behind a generic header, as in a message.
Bytes payload_of(ByteView body) {
  ByteWriter out;
  out.u16(0);
  out.u16(static_cast<std::uint16_t>(body.size() + wire::kGenericHeaderBytes));
  Bytes payload = std::move(out).take();
  payload.insert(payload.end(), body.begin(), body.end());
  return payload;
}

bool genuine_message_passes(ike::Reassembly& reassembly) {
  wire::Header header;
  header.message_id = MessageId{0x100};  // none of the input's
  const Bytes message = wire::encode_encrypted(header, wire::PayloadType::hash, Bytes(4000, 7));
  std::optional<Bytes> whole;
  for (const Bytes& datagram : ike::fragments_of(message, Family::ipv4)) {
    const auto outer = wire::parse_header(datagram);
    auto taken = outer ? take(reassembly, *outer, wire::body_of(*outer, datagram)) : std::optional<Bytes>{};
    if (!taken) return false;
    whole = std::move(*taken);
  }
  return whole == message;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ike::Reassembly reassembly;
  ByteReader reader(ByteView(data, size));
  std::uint16_t length = 0;
  std::uint8_t id = 0;
  ByteView body;
  while (reader.u16(length) && reader.u8(id) && reader.view(length, body)) {
    if (body.size() > 0xfff0) return 0;  // no payload's length says more
    wire::Header header;
    header.message_id = MessageId{id};
    const auto taken = take(reassembly, header, payload_of(body));
    if (reassembly.bytes() > ike::kMaxReassembledBytes) __builtin_trap();
    if (taken && *taken && (*taken)->size() != reassembly.bytes()) __builtin_trap();
  }
  if (!genuine_message_passes(reassembly)) __builtin_trap();
  return 0;
}
