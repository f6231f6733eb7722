#include "daemon/cli/probe.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "daemon/issue_json.h"
#include "daemon/probe/probe.h"
#include "daemon/probe/system_environment.h"
#include "ike/base/printable.h"

namespace oakgate::cli {

namespace {

constexpr std::size_t kMaxLine = 1024;

std::size_t count(const probe::Findings& findings, probe::Severity severity) {
  return static_cast<std::size_t>(std::count_if(
      findings.begin(), findings.end(), [&](const probe::Finding& one) { return one.severity == severity; }));
}

std::string counted(std::size_t number, std::string_view word) {
  return fmt::format("{} {}{}", number, word, number == 1 ? "" : "s");
}

}  // namespace

std::string findings_text(const probe::Findings& findings) {
  std::string text;
  for (const probe::Finding& one : findings) {
    text += fmt::format("{:<7} {}: {}\n", probe::severity_word(one.severity), one.topic,
                        printable(one.text, kMaxLine));
    if (!one.remedy.empty()) text += fmt::format("        to mend it: {}\n", printable(one.remedy, kMaxLine));
  }
  return text;
}

Json findings_json(const probe::Findings& findings) {
  Json all = Json::array();
  for (const probe::Finding& one : findings) {
    Json json{{"severity", probe::severity_word(one.severity)},
              {"topic", one.topic},
              {"text", printable(one.text, kMaxLine)}};
    if (!one.remedy.empty()) json["remedy"] = printable(one.remedy, kMaxLine);
    all.push_back(std::move(json));
  }
  return all;
}

int probe(const Arguments& arguments, const conf::LoadOutcome& loaded) {
  const auto machine = probe::this_machine();
  const probe::Findings findings = probe::probe(*loaded.config, *machine);
  const std::size_t errors = count(findings, probe::Severity::error);
  const std::size_t warnings = count(findings, probe::Severity::warning);
  if (arguments.json) {
    fmt::print("{}\n", Json{{"version", kControlVersion},
                            {"file", arguments.file},
                            {"valid", true},
                            {"warnings", issues_json(loaded.warnings)},
                            {"findings", findings_json(findings)},
                            {"error_count", errors},
                            {"warning_count", warnings}}
                           .dump());
  } else {
    for (const conf::Issue& warning : loaded.warnings)
      fmt::print(stderr, "warning: {}\n", conf::to_string(warning));
    std::fputs(findings_text(findings).c_str(), stdout);
    fmt::print("{}: valid, {}, {}\n", arguments.file, counted(errors, "error"), counted(warnings, "warning"));
  }
  return static_cast<int>(errors == 0 ? Exit::done : Exit::failed);
}

}  // namespace oakgate::cli
