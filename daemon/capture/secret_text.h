// Text that holds keys while it is put together: bounded, never moved by growth, wiped when it ends.
#pragma once

#include <algorithm>
#include <string_view>

#include "ike/base/secret.h"

namespace oakgate::capture {

class SecretText {
 public:
  // What does not fit is left out: `size` is chosen for what will come.
  explicit SecretText(std::size_t size) : buffer_(size) {}
  void add(std::string_view text) {
    for (const char c : text) put(static_cast<std::uint8_t>(c));
  }
  void add_hex(ByteView bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    for (const std::uint8_t byte : bytes) {
      put(static_cast<std::uint8_t>(kDigits[byte >> 4]));
      put(static_cast<std::uint8_t>(kDigits[byte & 15U]));
    }
  }
  // As the inside of a JSON string; of what JSON escapes only quotes and backslashes may be in it.
  void add_quoted(ByteView text) {
    for (const std::uint8_t byte : text) {
      if (byte == '"' || byte == '\\') put('\\');
      put(byte);
    }
  }
  [[nodiscard]] SecretBytes take() const { return buffer_.slice(0, used_); }

 private:
  void put(std::uint8_t byte) {
    if (used_ < buffer_.size()) buffer_.mutable_view()[used_++] = byte;
  }
  SecretBytes buffer_;
  std::size_t used_ = 0;
};

}  // namespace oakgate::capture
