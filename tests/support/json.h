// Test vectors in JSON: the parsed file, and its hexadecimal fields.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

#include "ike/base/bytes.h"
#include "tests/support/files.h"

namespace oakgate::test {

[[nodiscard]] inline nlohmann::json read_json(const std::filesystem::path& relative) {
  return nlohmann::json::parse(read_text(relative));
}

// Throws if the field is missing or not hexadecimal.
[[nodiscard]] inline Bytes hex(const nlohmann::json& object, const char* field) {
  const auto bytes = from_hex(object.at(field).get<std::string>());
  if (!bytes) throw std::runtime_error(std::string("not hexadecimal: ") + field);
  return *bytes;
}

}  // namespace oakgate::test
