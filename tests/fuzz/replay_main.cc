// Runs a fuzz target over every file of the corpus folders named on the command line, each input also cut at
// every length and with each byte flipped, so that the ordinary test run walks the error paths too. An empty
// corpus fails. OAKGATE_FUZZ_STRIDE=N: only every Nth length and byte, beginning elsewhere in each file: the
// sanitizers are slow.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

constexpr std::size_t kMutateBelow = 2048;  // longer inputs run as they are: mutating is quadratic

std::vector<std::uint8_t> read_file(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

std::size_t stride() {
  const char* wanted = std::getenv("OAKGATE_FUZZ_STRIDE");
  return wanted == nullptr ? 1 : std::max(1UL, std::strtoul(wanted, nullptr, 10));
}

std::size_t replay(const std::vector<std::uint8_t>& input, std::size_t file) {
  LLVMFuzzerTestOneInput(input.data(), input.size());
  if (input.size() > kMutateBelow) return 1;
  std::size_t runs = 1;
  for (std::size_t length = file % stride(); length < input.size(); length += stride()) {
    runs += 3;
    // An exact allocation, so that AddressSanitizer sees a read past the cut.
    const std::vector<std::uint8_t> cut(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(length));
    LLVMFuzzerTestOneInput(cut.data(), cut.size());
    std::vector<std::uint8_t> flipped = input;
    flipped[length] = static_cast<std::uint8_t>(flipped[length] ^ (1U << (length % 8)));
    LLVMFuzzerTestOneInput(flipped.data(), flipped.size());
    flipped[length] = 0xff;
    LLVMFuzzerTestOneInput(flipped.data(), flipped.size());
  }
  return runs;
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t files = 0;
  std::size_t runs = 0;
  for (int i = 1; i < argc; ++i) {
    if (!std::filesystem::is_directory(argv[i])) continue;
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
      runs += replay(read_file(entry.path()), files);
      ++files;
    }
  }
  std::printf("%zu corpus files, %zu runs\n", files, runs);
  return files == 0 ? 1 : 0;
}
