#include "ike/wire/payloads.h"

#include <algorithm>
#include <array>

#include "ike/wire/payload_fields.h"

namespace oakgate::wire {

namespace {

// By the variant's index; `none`: the payload carries its type itself.
constexpr std::array<PayloadType, std::variant_size_v<Payload>> kTypes = {
    PayloadType::sa,
    PayloadType::key_exchange,
    PayloadType::identification,
    PayloadType::certificate,
    PayloadType::certificate_request,
    PayloadType::hash,
    PayloadType::signature,
    PayloadType::nonce,
    PayloadType::notification,
    PayloadType::deletion,
    PayloadType::vendor_id,
    PayloadType::attributes,
    PayloadType::none,
    PayloadType::none,
    PayloadType::fragment,
    PayloadType::none,
};

}  // namespace

Attribute Attribute::short_form(std::uint16_t type, std::uint16_t value) {
  ByteWriter out;
  out.u16(value);
  return {type, true, std::move(out).take()};
}

Attribute Attribute::long_form(std::uint16_t type, std::uint32_t value) {
  ByteWriter out;
  out.u32(value);
  return {type, false, std::move(out).take()};
}

std::optional<std::uint64_t> Attribute::number() const {
  const auto first = std::find_if(value.begin(), value.end(), [](std::uint8_t byte) { return byte != 0; });
  if (value.empty() || value.end() - first > 8) return std::nullopt;
  std::uint64_t number = 0;
  for (auto byte = first; byte != value.end(); ++byte) number = number << 8 | *byte;
  return number;
}

Bytes IdPayload::body() const {
  FieldWriter out;
  static_cast<void>(fields(out, *this));
  return std::move(out).take();
}

PayloadType type_of(const Payload& payload) {
  return std::visit(
      [&payload](const auto& p) {
        if constexpr (requires { requires std::same_as<decltype(p.type), PayloadType>; }) {
          return p.type;
        } else {
          return kTypes[payload.index()];
        }
      },
      payload);
}

}  // namespace oakgate::wire
