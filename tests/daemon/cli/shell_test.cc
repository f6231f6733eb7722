// The parts of `oakgate shell`, and the whole with its input from a file.
#include "daemon/cli/shell.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/daemon/cli/programs.h"

namespace oakgate::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

TEST(Shell, SplitsLines) {
  EXPECT_THAT(*split_line("  show  crypto map "), ElementsAre("show", "crypto", "map"));
  EXPECT_THAT(*split_line("up \"a b\"/lan"), ElementsAre("up", "a b/lan"));
  EXPECT_THAT(*split_line("up \"\""), ElementsAre("up", ""));
  EXPECT_THAT(*split_line(""), ElementsAre());
  EXPECT_FALSE(split_line("up \"a"));
}

TEST(Shell, HelpListsWhatMayFollow) {
  EXPECT_THAT(help_for("sh cr isa "),
              HasSubstr("  policy                   the ISAKMP policies that are configured\n"));
  EXPECT_THAT(help_for("sh cr isa "), Not(HasSubstr("ipsec")));
  EXPECT_THAT(help_for("sh cr i"), HasSubstr("ipsec"));
  EXPECT_THAT(help_for("sh cr i"), HasSubstr("isakmp"));
  EXPECT_THAT(help_for("up "), HasSubstr("PEER/TUNNEL"));
  EXPECT_THAT(help_for(""), HasSubstr("exit"));
  EXPECT_EQ(help_for("show crypto isakmp sa "), "  <cr>\n");
  EXPECT_EQ(help_for("frobnicate "), "  <cr>\n");
}

TEST(Shell, TabCompletesWordsAndNames) {
  EXPECT_EQ(completion_of("sho", {}), "w ");
  EXPECT_EQ(completion_of("show crypto is", {}), "akmp ");
  EXPECT_EQ(completion_of("show crypto i", {}), "");
  EXPECT_EQ(completion_of("up br", {"branch-7", "branch-7/lan", "other"}), "anch-7");
  EXPECT_EQ(completion_of("up o", {"branch-7", "branch-7/lan", "other"}), "ther ");
  EXPECT_EQ(completion_of("nothing ", {}), "");
}

TEST(Shell, LookersDoNotChange) {
  for (const Verb verb :
       {Verb::up, Verb::down, Verb::reload, Verb::confirm, Verb::check, Verb::diff, Verb::import_cisco,
        Verb::export_cisco, Verb::pki_generate_key, Verb::pki_show_keys, Verb::pki_zeroize, Verb::shell}) {
    EXPECT_FALSE(only_looks(verb)) << static_cast<int>(verb);
  }
  EXPECT_TRUE(only_looks(Verb::status));
  EXPECT_TRUE(only_looks(Verb::show_ipsec_sa));
}

std::string typed(const std::string& options, const std::string& lines) {
  const test::Folder folder;
  const std::string input = (folder.path() / "input").string();
  std::ofstream(input) << lines;
  const std::string output = (folder.path() / "output").string();
  const char* root = std::getenv("OAKGATE_BUILD_ROOT");
  const std::string command = std::string(root != nullptr ? root : ".") +
                              "/daemon/oakgate --socket /nonexistent/sock shell " + options + " <" + input +
                              " >" + output + " 2>&1";
  EXPECT_EQ(std::system(command.c_str()), 0);
  return test::read_text(output);
}

TEST(Shell, RunsVerbsUntilExit) {
  const std::string said =
      typed("", "up ?\n\nfrobnicate\nup b\nup \"b\nshell\nstatus --socket /else\n  exit\nhelp\n");
  EXPECT_THAT(said, HasSubstr("PEER/TUNNEL"));
  EXPECT_THAT(said, HasSubstr("frobnicate"));
  EXPECT_THAT(said, HasSubstr("/nonexistent/sock"));
  EXPECT_THAT(said, HasSubstr("a quote is not closed"));
  EXPECT_THAT(said, HasSubstr("that is not for this shell"));
  EXPECT_THAT(said, HasSubstr("no --socket"));
  EXPECT_THAT(said, Not(HasSubstr("leave the shell")));  // `help` came behind `exit`
}

TEST(Shell, WhoOnlyLooksCannotChange) {
  const std::string said =
      typed("--look", "down b\nreload\nimport cisco /etc/passwd\ncheck /etc/passwd\nsh cr isa sa\n");
  std::size_t refused = 0;
  for (auto at = said.find("not for this shell"); at != std::string::npos;
       at = said.find("not for this shell", at + 1))
    ++refused;
  EXPECT_EQ(refused, 4U) << said;
  EXPECT_THAT(said, HasSubstr("/nonexistent/sock"));
  EXPECT_THAT(said, Not(HasSubstr("root:")));
}

}  // namespace
}  // namespace oakgate::cli
