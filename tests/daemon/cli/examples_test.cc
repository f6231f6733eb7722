// Every command line that a manual page, the README or `oakgate explain` shows is one that `oakgate` takes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "daemon/cli/arguments.h"
#include "daemon/cli/shell.h"
#include "daemon/explain/reasons.h"

namespace oakgate::cli {
namespace {

namespace fs = std::filesystem;

fs::path source_root() {
  const char* root = std::getenv("OAKGATE_SOURCE_ROOT");
  return root == nullptr ? "." : root;
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

// What a shell would run of `line`: its commands, without comments and redirections.
std::vector<std::string> commands_of(std::string line) {
  for (const char* end : {" #", " >", " 2>"}) line = line.substr(0, line.find(end));
  for (const char* between : {"&&", "||", "|", ";"}) replace_all(line, between, "\n");
  std::vector<std::string> commands;
  std::istringstream text(line);
  for (std::string one; std::getline(text, one);) {
    one.erase(0, one.find_first_not_of(' '));
    for (const std::string prompt : {"$ ", "# ", "sudo "}) {
      if (one.starts_with(prompt)) one.erase(0, prompt.size());
    }
    if (one.starts_with("oakgate ") || one == "oakgate") commands.push_back(one);
  }
  return commands;
}

// Those of a page's literal blocks; a line with an italic word is a form, not an example.
std::vector<std::string> commands_of_page(const fs::path& page) {
  std::vector<std::string> commands;
  std::ifstream file(page);
  bool literal = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(".nf") || line.starts_with(".Bd -literal")) literal = true;
    if (line.starts_with(".fi") || line.starts_with(".Ed")) literal = false;
    if (!literal || line.starts_with(".") || line.find("\\fI") != std::string::npos) continue;
    for (const auto& [escape, character] : {std::pair{"\\-", "-"}, std::pair{"\\(dq", "\""}})
      replace_all(line, escape, character);
    for (std::string& one : commands_of(line)) commands.push_back(std::move(one));
  }
  return commands;
}

std::vector<std::string> commands_of_readme() {
  std::vector<std::string> commands;
  std::ifstream file(source_root() / "README.md");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("    ") || line.starts_with("     ")) continue;  // deeper: the picture
    for (std::string& one : commands_of(line)) commands.push_back(std::move(one));
  }
  return commands;
}

// Empty if the program takes it; else what it says.
std::string mistake_in(const std::string& command) {
  const auto words = split_line(command);
  if (!words) return words.error().text;
  std::vector<const char*> argv;
  for (const std::string& word : *words) argv.push_back(word.c_str());
  Arguments arguments;
  const auto parsed = parse_arguments(static_cast<int>(argv.size()), argv.data(), "", arguments);
  return parsed ? std::string() : parsed.error().text;
}

TEST(Examples, OfThePagesAndTheReadmeAreTaken) {
  std::map<std::string, std::size_t> shown;
  for (const auto& entry : fs::directory_iterator(source_root() / "man")) {
    for (const std::string& command : commands_of_page(entry.path())) {
      EXPECT_EQ(mistake_in(command), "") << entry.path().filename() << ": " << command;
      ++shown[entry.path().filename()];
    }
  }
  for (const std::string& command : commands_of_readme()) {
    EXPECT_EQ(mistake_in(command), "") << "README.md: " << command;
    ++shown["README.md"];
  }
  // They are found at all.
  EXPECT_GE(shown["oakgate.8"], 40U);
  EXPECT_GE(shown["oakgate-cisco.7"], 5U);
  EXPECT_GE(shown["oakgated.8"], 1U);
  EXPECT_GE(shown["README.md"], 20U);
}

TEST(Examples, ThatExplainGivesAreTaken) {
  std::size_t shown = 0;
  for (const explain::ReasonRow& row : explain::reason_table()) {
    std::istringstream lines{std::string(row.here)};
    for (std::string line; std::getline(lines, line);) {
      for (const auto& [place, value] : {std::pair{"{peer}", "gw-b"}, std::pair{"{trustpoint}", "corp"}})
        replace_all(line, place, value);
      for (const std::string& command : commands_of(line)) {
        EXPECT_EQ(mistake_in(command), "") << row.word << ": " << command;
        ++shown;
      }
    }
  }
  EXPECT_GE(shown, 6U);
}

// What the two above rest on.
TEST(Examples, AMistakeIsFound) {
  EXPECT_THAT(commands_of("$ oakgate up b && sudo oakgate status # oakgate x"),
              testing::ElementsAre("oakgate up b ", "oakgate status"));
  EXPECT_EQ(mistake_in("oakgate up b"), "");
  EXPECT_NE(mistake_in("oakgate upp b"), "");
  EXPECT_NE(mistake_in("oakgate up"), "");
  EXPECT_NE(mistake_in("oakgate status --wach"), "");
}

}  // namespace
}  // namespace oakgate::cli
