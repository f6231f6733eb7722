#include "daemon/metrics/openmetrics.h"

#include <fmt/format.h>

#include <iterator>

#include "daemon/text.h"

namespace oakgate::metrics {

namespace {

std::string_view word(Type type) {
  switch (type) {
    case Type::counter:
      return "counter";
    case Type::gauge:
      return "gauge";
    case Type::info:
      break;
  }
  return "info";
}

std::string_view suffix(Type type) {
  switch (type) {
    case Type::counter:
      return "_total";
    case Type::info:
      return "_info";
    case Type::gauge:
      break;
  }
  return {};
}

template <typename Number>
void append(std::string& text, const Family& family, std::span<const Label> labels, Number value) {
  text += family.name;
  text += suffix(family.type);
  char before = '{';
  for (const auto& [name, content] : labels) {
    text += before;
    text += name;
    text += "=\"";
    text += label_value(content);
    text += '"';
    before = ',';
  }
  if (!labels.empty()) text += '}';
  fmt::format_to(std::back_inserter(text), " {}\n", value);
}

}  // namespace

std::string sample_name(const Family& family) {
  return std::string(family.name) + std::string(suffix(family.type));
}

std::string label_value(std::string_view value) {
  std::string out;
  // printable() has made backslashes of its own, which are escaped once more: a reader gets its text back.
  for (const char c : printable(value, 1024)) {
    if (c == '\\' || c == '"') out += '\\';
    out += c;
  }
  return out;
}

void append_family(std::string& text, const Family& family) {
  text +=
      fmt::format("# HELP {} {}\n# TYPE {} {}\n", family.name, family.help, family.name, word(family.type));
  if (!family.unit.empty()) text += fmt::format("# UNIT {} {}\n", family.name, family.unit);
}

void append_sample(std::string& text, const Family& family, std::span<const Label> labels,
                   std::int64_t value) {
  append(text, family, labels, value);
}

void append_count(std::string& text, const Family& family, std::span<const Label> labels,
                  std::uint64_t value) {
  append(text, family, labels, value);
}

}  // namespace oakgate::metrics
