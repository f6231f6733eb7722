// What `oakgate check --probe` has to say: one line each.
#pragma once

#include <string>
#include <vector>

namespace oakgate::probe {

enum class Severity : std::uint8_t { ok, warning, error };
[[nodiscard]] constexpr std::string_view severity_word(Severity severity) {
  return severity == Severity::ok ? "ok" : severity == Severity::warning ? "warning" : "error";
}

struct Finding {
  Severity severity = Severity::ok;
  std::string topic;   // a stable word: "algorithms", "firewall", ...
  std::string text;    // what was found
  std::string remedy;  // how to mend it; empty where nothing is to be
  friend bool operator==(const Finding&, const Finding&) = default;
};
using Findings = std::vector<Finding>;

}  // namespace oakgate::probe
