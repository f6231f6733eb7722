#include "ike/base/bytes.h"

namespace oakgate {

namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

template <typename T>
bool read_big_endian(ByteReader& reader, T& out) {
  ByteView raw;
  if (!reader.view(sizeof(T), raw)) return false;
  T value = 0;
  for (const std::uint8_t byte : raw) value = static_cast<T>((value << 8) | byte);
  out = value;
  return true;
}

}  // namespace

ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

Bytes to_bytes(ByteView view) {
  return {view.begin(), view.end()};
}

std::string to_hex(ByteView view) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(view.size() * 2);
  for (const std::uint8_t byte : view) {
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 15]);
  }
  return text;
}

std::optional<Bytes> from_hex(std::string_view text) {
  Bytes out;
  int high = -1;
  for (const char c : text) {
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r') continue;
    const int digit = hex_digit(c);
    if (digit < 0) return std::nullopt;
    if (high < 0) {
      high = digit;
    } else {
      out.push_back(static_cast<std::uint8_t>(high << 4 | digit));
      high = -1;
    }
  }
  if (high >= 0) return std::nullopt;
  return out;
}

bool equal_constant_time(ByteView a, ByteView b) {
  if (a.size() != b.size()) return false;
  std::uint8_t difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const volatile std::uint8_t& left = a[i];
    difference = static_cast<std::uint8_t>(difference | (left ^ b[i]));
  }
  return difference == 0;
}

bool ByteReader::u8(std::uint8_t& out) {
  return read_big_endian(*this, out);
}
bool ByteReader::u16(std::uint16_t& out) {
  return read_big_endian(*this, out);
}
bool ByteReader::u32(std::uint32_t& out) {
  return read_big_endian(*this, out);
}
bool ByteReader::u64(std::uint64_t& out) {
  return read_big_endian(*this, out);
}

bool ByteReader::view(std::size_t length, ByteView& out) {
  if (length > remaining()) return false;
  out = data_.subspan(position_, length);
  position_ += length;
  return true;
}

bool ByteReader::skip(std::size_t length) {
  ByteView ignored;
  return view(length, ignored);
}

void ByteWriter::u16(std::uint16_t value) {
  u8(static_cast<std::uint8_t>(value >> 8));
  u8(static_cast<std::uint8_t>(value));
}

void ByteWriter::u32(std::uint32_t value) {
  u16(static_cast<std::uint16_t>(value >> 16));
  u16(static_cast<std::uint16_t>(value));
}

void ByteWriter::u64(std::uint64_t value) {
  u32(static_cast<std::uint32_t>(value >> 32));
  u32(static_cast<std::uint32_t>(value));
}

void ByteWriter::patch_u16(std::size_t offset, std::uint16_t value) {
  out_[offset] = static_cast<std::uint8_t>(value >> 8);
  out_[offset + 1] = static_cast<std::uint8_t>(value);
}

void ByteWriter::patch_u32(std::size_t offset, std::uint32_t value) {
  patch_u16(offset, static_cast<std::uint16_t>(value >> 16));
  patch_u16(offset + 2, static_cast<std::uint16_t>(value));
}

}  // namespace oakgate
