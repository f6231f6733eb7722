// Byte sequences and the one bounded reader and writer of the project.
//
// ByteReader never reads past its view: each getter returns false, leaves its output and its position as
// they were, and never allocates. Multi-byte integers are big-endian (network order) on the wire and host
// order in the caller's hands. Nothing here is secret: secrets live in SecretBytes (secret.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace oakgate {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;

// A view over the characters of `text`, valid as long as they are.
[[nodiscard]] ByteView as_bytes(std::string_view text);
[[nodiscard]] Bytes to_bytes(ByteView view);
// Lower-case hexadecimal without separators.
[[nodiscard]] std::string to_hex(ByteView view);
// Accepts both cases and blanks between digits; nothing on any other character or an odd number of digits.
[[nodiscard]] std::optional<Bytes> from_hex(std::string_view text);
// Equality in time that depends on the lengths alone: for tags, hashes and anything an attacker can probe.
[[nodiscard]] bool equal_constant_time(ByteView a, ByteView b);

class ByteReader {
 public:
  explicit ByteReader(ByteView data) : data_(data) {}

  [[nodiscard]] bool u8(std::uint8_t& out);
  [[nodiscard]] bool u16(std::uint16_t& out);
  [[nodiscard]] bool u32(std::uint32_t& out);
  [[nodiscard]] bool u64(std::uint64_t& out);
  // A view into the reader's own data: no copy.
  [[nodiscard]] bool view(std::size_t length, ByteView& out);
  [[nodiscard]] bool skip(std::size_t length);
  [[nodiscard]] ByteView rest() const { return data_.subspan(position_); }
  [[nodiscard]] std::size_t remaining() const { return data_.size() - position_; }
  [[nodiscard]] std::size_t position() const { return position_; }
  [[nodiscard]] bool empty() const { return remaining() == 0; }

 private:
  ByteView data_;
  std::size_t position_ = 0;
};

class ByteWriter {
 public:
  void u8(std::uint8_t value) { out_.push_back(value); }
  void u16(std::uint16_t value);
  void u32(std::uint32_t value);
  void u64(std::uint64_t value);
  void bytes(ByteView value) { out_.insert(out_.end(), value.begin(), value.end()); }
  void zeros(std::size_t count) { out_.insert(out_.end(), count, 0); }
  // Overwrites bytes written before; `offset + 2` (`+ 4`) must not exceed size().
  void patch_u16(std::size_t offset, std::uint16_t value);
  void patch_u32(std::size_t offset, std::uint32_t value);
  void patch_u8(std::size_t offset, std::uint8_t value) { out_[offset] = value; }
  [[nodiscard]] std::size_t size() const { return out_.size(); }
  [[nodiscard]] ByteView view() const { return out_; }
  [[nodiscard]] Bytes take() && { return std::move(out_); }

 private:
  Bytes out_;
};

}  // namespace oakgate
