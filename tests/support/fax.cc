#include "tests/support/fax.h"

#include <algorithm>
#include <stdexcept>

namespace oakgate::test {

Bytes FaxRecord::hex(std::string_view name) const {
  const auto value = values.find(name);
  const auto bytes = value == values.end() ? std::nullopt : from_hex(value->second);
  if (!bytes) throw std::runtime_error("no hexadecimal " + std::string(name));
  return *bytes;
}

bool FaxRecord::under(std::string_view name) const {
  return std::find(headings.begin(), headings.end(), name) != headings.end();
}

std::vector<FaxRecord> parse_fax(std::string_view text) {
  std::vector<FaxRecord> records;
  std::vector<std::string> headings;
  bool fresh = true;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size() - 1);
    std::string_view line = text.substr(0, end + 1);
    text.remove_prefix(end + 1);
    while (!line.empty() && (line.back() == '\n' || line.back() == '\r' || line.back() == ' ')) {
      line.remove_suffix(1);
    }
    if (line.empty() || line.front() == '#') continue;
    if (line.front() == '[') {
      if (!fresh) headings.clear();
      fresh = true;
      headings.emplace_back(line.substr(1, line.size() - 2));
      continue;
    }
    const std::size_t equals = line.find(" = ");
    if (equals == std::string_view::npos) continue;
    const std::string_view name = line.substr(0, equals);
    if (name == "COUNT") {
      records.push_back({headings, {}});
      fresh = false;
    }
    if (records.empty()) throw std::runtime_error("a value before the first COUNT");
    records.back().values.emplace(name, line.substr(equals + 3));
  }
  return records;
}

}  // namespace oakgate::test
