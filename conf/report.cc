#include "conf/report.h"

#include <algorithm>
#include <tuple>

#include "conf/text.h"

namespace oakgate::conf {

std::uint16_t Report::add_file(std::string file) {
  files_.push_back(std::move(file));
  return static_cast<std::uint16_t>(files_.size() - 1);
}

void Report::add(Position at, std::string key_path, Fault fault) {
  if (full()) {
    more_ = true;
    return;
  }
  const bool known = std::any_of(issues_.begin(), issues_.end(), [&](const auto& entry) {
    const Issue& issue = entry.second;
    return at.line != 0 && issue.line == at.line && issue.column == at.column && entry.first == at.file &&
           issue.message == fault.message;
  });
  if (known) return;
  issues_.push_back({at.file,
                     {files_.at(at.file), at.line, at.column, std::move(key_path), std::move(fault.message),
                      std::move(fault.expected), std::move(fault.nearest)}});
}

std::string Report::place(Position at, Position seen_from) const {
  const std::string line = "line " + std::to_string(at.line);
  return at.file == seen_from.file ? line : printable(files_.at(at.file)) + " " + line;
}

std::vector<Issue> Report::take() && {
  std::stable_sort(issues_.begin(), issues_.end(), [](const auto& a, const auto& b) {
    return std::tie(a.first, a.second.line, a.second.column) <
           std::tie(b.first, b.second.line, b.second.column);
  });
  std::vector<Issue> issues;
  issues.reserve(issues_.size() + 1);
  for (auto& [file, issue] : issues_) issues.push_back(std::move(issue));
  if (more_) {
    issues.push_back(
        {files_.front(), 0, 0, {}, "there are more errors; these are the first that were found", {}, {}});
  }
  return issues;
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
