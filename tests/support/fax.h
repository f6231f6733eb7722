// NIST's response files: records of "NAME = value" lines, each begun by COUNT, under "[...]" headings.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "ike/base/bytes.h"

namespace oakgate::test {

struct FaxRecord {
  std::vector<std::string> headings;  // those since the last record, else the same as before it
  std::map<std::string, std::string, std::less<>> values;
  // Throws if there is none, or it is not hexadecimal.
  [[nodiscard]] Bytes hex(std::string_view name) const;
  // Whether one of the headings is "[name]".
  [[nodiscard]] bool under(std::string_view name) const;
};
[[nodiscard]] std::vector<FaxRecord> parse_fax(std::string_view text);

}  // namespace oakgate::test
