#include "ike/wire/fields.h"

#include <algorithm>

#include "ike/wire/message.h"

namespace oakgate::wire {

namespace {

// RFC 2408 section 3.3: the Attribute Format bit says whether the value itself follows, or its length.
constexpr std::uint16_t kAttributeFormatBasic = 0x8000;

}  // namespace

bool FieldReader::cookie(Cookie& out) {
  ByteView raw;
  if (!reader_.view(out.size(), raw)) return ends_early();
  std::copy(raw.begin(), raw.end(), out.begin());
  return true;
}

bool FieldReader::reserved(std::size_t count) {
  ByteView raw;
  if (!reader_.view(count, raw)) return ends_early();
  // RFC 2408 section 5.3: "Verify the RESERVED field contains the value zero."
  return std::all_of(raw.begin(), raw.end(), [](std::uint8_t byte) { return byte == 0; }) ||
         note({cut_, "a RESERVED field is not zero", "zero"});
}

bool FieldReader::bytes(Bytes& out, std::size_t size) {
  ByteView raw;
  if (!reader_.view(size, raw)) return ends_early();
  out = to_bytes(raw);
  return true;
}

bool FieldReader::rest(Bytes& out) {
  return bytes(out, reader_.remaining());
}

bool FieldReader::attribute(Attribute& out) {
  std::uint16_t type = 0;
  if (!number(type)) return false;
  out.type = type & 0x7fff;
  out.basic = (type & kAttributeFormatBasic) != 0;
  if (out.basic) return bytes(out.value, 2);
  std::uint16_t length = 0;
  return number(length) && bytes(out.value, length);
}

bool FieldReader::attributes_to_end(std::vector<Attribute>& out, std::size_t most) {
  while (!at_end()) {
    if (out.size() == most) return note({cut_, "too many attributes", "64 at most"});
    if (!attribute(out.emplace_back())) return false;
  }
  return true;
}

bool FieldReader::framed(PayloadType& next, FieldReader& body) {
  PayloadType type{};
  std::uint16_t length = 0;
  if (!number(type) || !reserved(1) || !number(length)) return false;
  if (length < kGenericHeaderBytes)
    return note({cut_, "its length is below its header's 4 bytes", "4 or more"});
  ByteView raw;
  if (!reader_.view(length - kGenericHeaderBytes, raw)) {
    return note({cut_, "its length goes past the end", "lengths that nest exactly"});
  }
  next = type;
  body = FieldReader(raw, *flaw_, cut_);
  return true;
}

bool FieldWriter::attribute(const Attribute& value) {
  const auto type = static_cast<std::uint16_t>(value.type & 0x7fff);
  // A value that does not fit the short form goes out in the long one rather than cut.
  if (value.basic && value.value.size() == 2) {
    return number(static_cast<std::uint16_t>(type | kAttributeFormatBasic)) && raw(value.value);
  }
  return number(type) && number(static_cast<std::uint16_t>(value.value.size())) && raw(value.value);
}

bool FieldWriter::attributes_to_end(const std::vector<Attribute>& values, std::size_t /*most*/) {
  for (const Attribute& value : values) attribute(value);
  return true;
}

}  // namespace oakgate::wire
