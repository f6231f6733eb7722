#include "conf/report.h"

#include <algorithm>
#include <tuple>

namespace oakgate::conf {

void Report::add(Position at, std::string key_path, Fault fault) {
  if (full()) {
    more_ = true;
    return;
  }
  issues_.push_back({file_, at.line, at.column, std::move(key_path), std::move(fault.message),
                     std::move(fault.expected), std::move(fault.nearest)});
}

std::vector<Issue> Report::take() && {
  std::stable_sort(issues_.begin(), issues_.end(), [](const Issue& a, const Issue& b) {
    return std::tie(a.line, a.column) < std::tie(b.line, b.column);
  });
  if (more_) {
    issues_.push_back(
        {file_, 0, 0, {}, "there are more errors; these are the first that were found", {}, {}});
  }
  return std::move(issues_);
}

std::string to_string(const Issue& issue) {
  std::string text = issue.file;
  if (issue.line > 0) text += ":" + std::to_string(issue.line) + ":" + std::to_string(issue.column);
  text += ": ";
  if (!issue.key_path.empty()) text += issue.key_path + ": ";
  text += issue.message;
  if (!issue.expected.empty()) text += "; expected " + issue.expected;
  if (!issue.nearest.empty()) text += "; did you mean `" + issue.nearest + "`?";
  return text;
}

}  // namespace oakgate::conf
