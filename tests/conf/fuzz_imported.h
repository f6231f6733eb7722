// What the fuzz targets of imports hold what came out against: it is shown without control characters, and is
// what the daemon's parser can read.
#pragma once

#include <algorithm>
#include <string>

#include "conf/imported.h"
#include "conf/load.h"

namespace oakgate::conf {

inline bool shown_safely(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c <= 0x7e; });
}

inline LoadOutcome check_imported(const Imported& imported) {
  for (const Note& note : imported.notes) {
    if (!shown_safely(note.text) || !shown_safely(note.why)) __builtin_trap();
  }
  return parse_config(imported.yaml, "oakgate.yaml");
}

// A key is missing, two tunnels have the same subnets: that is the file's. Text that is no YAML would be
// ours.
inline void check_yaml(const Imported& imported) {
  for (const Issue& issue : check_imported(imported).issues) {
    if (imported.peers != 0 && issue.key_path.empty()) __builtin_trap();
  }
}

}  // namespace oakgate::conf
