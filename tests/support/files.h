// Where tests find their data: files of the source tree, by paths relative to its root.
#pragma once

#include <filesystem>
#include <string>

#include "ike/base/bytes.h"

namespace oakgate::test {

// From OAKGATE_SOURCE_ROOT, which the test run sets; else the current folder.
[[nodiscard]] std::filesystem::path source_root();
// Throws if the file cannot be read: a test without its data fails.
[[nodiscard]] Bytes read_file(const std::filesystem::path& relative);
[[nodiscard]] std::string read_text(const std::filesystem::path& relative);

}  // namespace oakgate::test
