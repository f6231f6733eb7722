#include "conf/values.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <vector>

#include "conf/text.h"

namespace oakgate::conf {

namespace {

constexpr std::size_t kMaxNameBytes = 64;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool all_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
}

// The digits' value, or the largest there is if that is smaller: every bound is below it.
std::uint64_t saturated(std::string_view digits) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return error == std::errc{} ? value : std::numeric_limits<std::uint64_t>::max();
}

std::string without_zeros(std::string_view digits) {
  const std::size_t start = digits.find_first_not_of('0');
  return start == std::string_view::npos ? "0" : std::string(digits.substr(start));
}

bool has_leading_zero(std::string_view digits) {
  return digits.size() > 1 && digits.front() == '0';
}

Fault leading_zero(std::string_view text, std::string_view digits) {
  return {quote(text) + " starts with a zero: other readers of YAML take that for an octal number",
          quote(without_zeros(digits) + std::string(text.substr(digits.size()))) + ", if it is decimal"};
}

struct Unit {
  char suffix;
  std::int64_t seconds;
};
constexpr auto kUnits = std::to_array<Unit>({{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}});

std::string duration_text(Seconds duration) {
  for (const Unit& unit : kUnits) {
    if (duration.count() % unit.seconds == 0) {
      return std::to_string(duration.count() / unit.seconds) + unit.suffix;
    }
  }
  return {};
}

}  // namespace

Parsed<std::uint64_t> parse_integer(std::string_view text, std::uint64_t min, std::uint64_t max) {
  const auto range = [&] { return "a number from " + std::to_string(min) + " to " + std::to_string(max); };
  if (!all_digits(text)) return fault(quote(text) + " is not a whole number", range());
  if (has_leading_zero(text)) return tl::unexpected(leading_zero(text, text));
  const std::uint64_t value = saturated(text);
  if (value < min || value > max) return fault(quote(text) + " is out of range", range());
  return value;
}

Parsed<Seconds> parse_duration(std::string_view text, Seconds min, Seconds max) {
  const auto range = [&] { return duration_text(min) + " to " + duration_text(max); };
  std::string_view digits = text;
  std::int64_t factor = 1;
  for (const Unit& unit : kUnits) {
    if (text.empty() || text.back() != unit.suffix) continue;
    digits.remove_suffix(1);
    factor = unit.seconds;
  }
  if (!all_digits(digits)) {
    return fault(quote(text) + " is not a duration", "one number with a unit (30s, 5m, 24h, 1d), " + range());
  }
  if (has_leading_zero(digits)) return tl::unexpected(leading_zero(text, digits));
  // Divided, not multiplied: the number may be anything.
  const std::uint64_t value = saturated(digits);
  if (value > static_cast<std::uint64_t>(max.count() / factor))
    return fault(quote(text) + " is too long", range());
  const Seconds duration(static_cast<std::int64_t>(value) * factor);
  if (duration < min) return fault(quote(text) + " is too short", range());
  return duration;
}

Parsed<std::chrono::sys_days> parse_date(std::string_view text) {
  const bool shaped = text.size() == 10 && text[4] == '-' && text[7] == '-' &&
                      all_digits(text.substr(0, 4)) && all_digits(text.substr(5, 2)) &&
                      all_digits(text.substr(8, 2));
  if (!shaped) return fault(quote(text) + " is not a date", "YYYY-MM-DD");
  const std::chrono::year_month_day date(
      std::chrono::year(static_cast<int>(saturated(text.substr(0, 4)))),
      std::chrono::month(static_cast<unsigned>(saturated(text.substr(5, 2)))),
      std::chrono::day(static_cast<unsigned>(saturated(text.substr(8, 2)))));
  if (!date.ok()) return fault(quote(text) + " is no day of the calendar", "YYYY-MM-DD");
  return std::chrono::sys_days(date);
}

Parsed<std::string> parse_name(std::string_view text) {
  const auto inside = [](char c) { return is_letter(c) || is_digit(c) || c == '.' || c == '_' || c == '-'; };
  const bool good = !text.empty() && text.size() <= kMaxNameBytes &&
                    (is_letter(text[0]) || is_digit(text[0])) &&
                    std::all_of(text.begin(), text.end(), inside);
  if (!good) {
    return fault(quote(text) + " cannot be a name",
                 "a letter or digit, then letters, digits, `.`, `_` and `-`, at most " +
                     std::to_string(kMaxNameBytes));
  }
  return std::string(text);
}

Parsed<DhGroup> parse_group(std::string_view text) {
  const std::string name = all_digits(text) ? "group" + std::string(text) : std::string(text);
  for (const DhGroupInfo& group : dh_groups()) {
    if (group.name == name) return group.id;
  }
  std::vector<std::string_view> names;
  for (const DhGroupInfo& group : dh_groups()) names.push_back(group.name);
  return fault(quote(text) + " is not a known group", any_of(names), nearest(name, names));
}

}  // namespace oakgate::conf
