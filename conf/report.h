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

  explicit Report(std::string file) : file_(std::move(file)) {}
  void add(Position at, std::string key_path, Fault fault);
  [[nodiscard]] bool full() const { return issues_.size() >= kMaxIssues; }
  [[nodiscard]] std::size_t count() const { return issues_.size(); }
  // In the order of the file.
  [[nodiscard]] std::vector<Issue> take() &&;

 private:
  std::string file_;
  std::vector<Issue> issues_;
  bool more_ = false;
};

}  // namespace oakgate::conf
