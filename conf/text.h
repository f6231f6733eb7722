// Small text tools for messages: quoting what a file says, lists of words, the nearest known name.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace oakgate::conf {

// `text` as printable ASCII, other bytes as \xNN: safe for terminals and logs.
[[nodiscard]] std::string printable(std::string_view text);
// The same between backticks, cut at 80 characters.
[[nodiscard]] std::string quote(std::string_view text);
// `text`, one line, as YAML has it between double quotes.
[[nodiscard]] std::string double_quoted(std::string_view text);
// "a, b or c"; of a long list the first few.
[[nodiscard]] std::string any_of(std::span<const std::string_view> words);
// The candidate with the smallest edit distance (a swap of neighbours is one edit), if it is near enough to
// be a slip of the fingers: at most a third of the letters, at most three. Empty: none is.
[[nodiscard]] std::string nearest(std::string_view word, std::span<const std::string_view> candidates);

}  // namespace oakgate::conf
