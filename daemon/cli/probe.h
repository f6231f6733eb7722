// `oakgate check --probe`: what is found, on the terminal or as JSON.
#pragma once

#include "conf/load.h"
#include "daemon/cli/arguments.h"
#include "daemon/probe/finding.h"

namespace oakgate::cli {

// Of a configuration that is valid; its exit code: Exit::failed if there is an error among the findings.
[[nodiscard]] int probe(const Arguments& arguments, const conf::LoadOutcome& loaded);

// A line each; one that has something to mend has a second.
[[nodiscard]] std::string findings_text(const probe::Findings& findings);
[[nodiscard]] Json findings_json(const probe::Findings& findings);

}  // namespace oakgate::cli
