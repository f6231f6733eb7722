// What the tests of imports share: samples, and what the daemon's own parser makes of what came out.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "conf/imported.h"
#include "conf/load.h"

namespace oakgate::conf {

// The end of the waivers that imports give.
inline constexpr std::chrono::sys_days kUntil{std::chrono::year{2027} / 6 / 30};

// tests/conf/FOLDER/NAME.txt
inline std::string sample_of(const std::string& folder, const std::string& name) {
  const char* root = std::getenv("OAKGATE_SOURCE_ROOT");
  std::ifstream file(std::string(root == nullptr ? "." : root) + "/tests/conf/" + folder + "/" + name +
                     ".txt");
  std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  EXPECT_FALSE(text.empty()) << name;
  return text;
}

inline Config parsed(const Imported& imported) {
  LoadOutcome outcome = parse_config(imported.yaml, "oakgate.yaml");
  for (const Issue& issue : outcome.issues) ADD_FAILURE() << to_string(issue) << "\n" << imported.yaml;
  return outcome.config ? *outcome.config : Config{};
}

inline std::string file(const Imported& imported, const std::string& name) {
  for (const ImportedFile& one : imported.files) {
    const ByteView raw = one.contents.view();
    if (one.name == name) return {raw.begin(), raw.end()};
  }
  return "no such file";
}

// Of the first note about `text`, why.
inline std::string why(const Imported& imported, const std::string& text) {
  for (const Note& note : imported.notes) {
    if (note.text.find(text) != std::string::npos) return note.why;
  }
  return "no such note";
}

}  // namespace oakgate::conf
