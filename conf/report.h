// Where the readers put what is wrong, so that all errors of a file come at once. Private to conf/.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "conf/issue.h"

namespace oakgate::conf {

// What is wrong with a value, before anybody knows where it stands. Texts must be printable: quote() what is
// the file's.
struct Fault {
  std::string message;
  std::string expected{};
  std::string nearest{};
};
template <typename T>
using Parsed = tl::expected<T, Fault>;
[[nodiscard]] inline tl::unexpected<Fault> fault(std::string message, std::string expected = {},
                                                 std::string nearest = {}) {
  return tl::unexpected<Fault>(Fault{std::move(message), std::move(expected), std::move(nearest)});
}

class Report {
 public:
  // A hostile file could hold an error in every byte; whoever has mended this many will ask again.
  static constexpr std::size_t kMaxIssues = 1000;

  explicit Report(std::string file) : files_{std::move(file)} {}
  explicit Report(std::vector<std::string> files) : files_(std::move(files)) {}
  // One more file; what Position::file is within it.
  [[nodiscard]] std::uint16_t add_file(std::string file);
  [[nodiscard]] const std::vector<std::string>& files() const { return files_; }
  // A fault that is there already, at the same place, is left out: a template is read once for each peer.
  void add(Position at, std::string key_path, Fault fault);
  // "line 12", or "peers.d/b.yaml line 12" for a reader who is told about `seen_from`.
  [[nodiscard]] std::string place(Position at, Position seen_from) const;
  [[nodiscard]] bool full() const { return issues_.size() >= kMaxIssues; }
  [[nodiscard]] std::size_t count() const { return issues_.size(); }
  // In the order of the files.
  [[nodiscard]] std::vector<Issue> take() &&;

 private:
  std::vector<std::string> files_;
  std::vector<std::pair<std::uint16_t, Issue>> issues_;  // with the number of its file
  bool more_ = false;
};

}  // namespace oakgate::conf
