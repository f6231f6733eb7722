#include "tests/support/files.h"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace oakgate::test {

std::filesystem::path source_root() {
  const char* root = std::getenv("OAKGATE_SOURCE_ROOT");
  return root == nullptr ? std::filesystem::current_path() : std::filesystem::path(root);
}

std::string read_text(const std::filesystem::path& relative) {
  std::ifstream stream(source_root() / relative, std::ios::binary);
  if (!stream) throw std::runtime_error("cannot read " + (source_root() / relative).string());
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

Bytes read_file(const std::filesystem::path& relative) {
  return to_bytes(as_bytes(read_text(relative)));
}

}  // namespace oakgate::test
