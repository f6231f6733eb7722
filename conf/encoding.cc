#include "conf/encoding.h"

#include <algorithm>

#include "conf/load.h"
#include "conf/text.h"

namespace oakgate::conf {

namespace {

bool is_control(unsigned char byte) {
  return byte < 0x20 || byte == 0x7f;
}

// Length of the UTF-8 sequence at the front of `text`, 0 if it is not one (RFC 3629 section 4: no overlong
// forms, no surrogates, nothing beyond U+10FFFF). `text` is not empty.
std::size_t sequence_length(std::string_view text) {
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const unsigned char second = byte(1);
  if (lead == 0xe0 && second < 0xa0) return 0;
  if (lead == 0xed && second > 0x9f) return 0;
  if (lead == 0xf0 && second < 0x90) return 0;
  if (lead == 0xf4 && second > 0x8f) return 0;
  return length;
}

Position position_of(std::string_view text, std::size_t offset) {
  const std::string_view before = text.substr(0, offset);
  const auto lines = std::count(before.begin(), before.end(), '\n');
  const std::size_t line_start = before.rfind('\n');
  const std::size_t column = line_start == std::string_view::npos ? offset : offset - line_start - 1;
  return {static_cast<int>(lines) + 1, static_cast<int>(column) + 1};
}

}  // namespace

std::optional<std::size_t> find_control(std::string_view text) {
  const auto found = std::find_if(text.begin(), text.end(),
                                  [](char c) { return is_control(static_cast<unsigned char>(c)); });
  if (found == text.end()) return std::nullopt;
  return static_cast<std::size_t>(found - text.begin());
}

std::optional<EncodingFault> check_encoding(std::string_view text) {
  if (text.size() > kMaxFileBytes) {
    return EncodingFault{{}, {"the file is too long", "at most " + std::to_string(kMaxFileBytes) + " bytes"}};
  }
  for (std::size_t offset = 0; offset < text.size();) {
    const std::size_t length = sequence_length(text.substr(offset));
    if (length == 0) {
      return EncodingFault{position_of(text, offset), {"a byte that is not UTF-8", "text in UTF-8"}};
    }
    const char c = text[offset];
    const bool line_end = c == '\n' || (c == '\r' && text.substr(offset + 1, 1) == "\n");
    if (is_control(static_cast<unsigned char>(c)) && c != '\t' && !line_end) {
      return EncodingFault{position_of(text, offset),
                           {"a control character, " + quote(text.substr(offset, 1)), "text"}};
    }
    offset += length;
  }
  return std::nullopt;
}

}  // namespace oakgate::conf
