#include "ike/base/printable.h"

namespace oakgate {

std::string printable(std::string_view text, std::size_t max) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  const std::string_view kept = text.substr(0, max);
  out.reserve(kept.size());
  for (const char character : kept) {
    const auto byte = static_cast<unsigned char>(character);
    if (character == '\\') {
      out += "\\\\";
    } else if (byte >= 0x20 && byte < 0x7f) {
      out += character;
    } else {
      out += "\\x";
      out += kDigits[byte >> 4U];
      out += kDigits[byte & 0x0fU];
    }
  }
  if (kept.size() < text.size()) out += "...";
  return out;
}

}  // namespace oakgate
