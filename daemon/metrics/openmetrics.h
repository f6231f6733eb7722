// The text form of OpenMetrics 1.0.0: families with HELP, TYPE and UNIT, samples with escaped labels.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace oakgate::metrics {

inline constexpr std::string_view kContentType = "application/openmetrics-text; version=1.0.0; charset=utf-8";
inline constexpr std::string_view kEnd = "# EOF\n";

enum class Type : std::uint8_t { counter, gauge, info };

struct Family {
  std::string_view name;  // without the suffix of its type; a unit is its end
  Type type{};
  std::string_view unit;  // may be empty
  std::string_view help;
};

using Label = std::pair<std::string_view, std::string_view>;

// As samples of the family are named: counters "..._total", infos "..._info".
[[nodiscard]] std::string sample_name(const Family& family);
// What stands between quotes: backslash, quote and line feed are escaped, other control characters and bytes
// beyond ASCII shown as \xNN (names in a configuration may be anything).
[[nodiscard]] std::string label_value(std::string_view value);

void append_family(std::string& text, const Family& family);
void append_sample(std::string& text, const Family& family, std::span<const Label> labels,
                   std::int64_t value);
inline void append_sample(std::string& text, const Family& family, std::initializer_list<Label> labels,
                          std::int64_t value) {
  append_sample(text, family, std::span(labels.begin(), labels.size()), value);
}
// A counter: the largest ones a double cannot hold exactly are still written with every digit.
void append_count(std::string& text, const Family& family, std::span<const Label> labels,
                  std::uint64_t value);
inline void append_count(std::string& text, const Family& family, std::initializer_list<Label> labels,
                         std::uint64_t value) {
  append_count(text, family, std::span(labels.begin(), labels.size()), value);
}

}  // namespace oakgate::metrics
