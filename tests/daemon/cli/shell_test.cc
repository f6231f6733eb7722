// The parts of `oakgate shell`, and the whole with its input from a file.
#include "daemon/cli/shell.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "daemon/cli/debug_jobs.h"
#include "daemon/cli/session.h"
#include "daemon/cli/terminal.h"
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
  EXPECT_EQ(help_for("frobnicate "), "  % there is no such command\n");
  EXPECT_EQ(help_for("show frobnicate "), "  % there is no such command\n");
  EXPECT_EQ(help_for("up gw-b "), "  <cr>\n");
  EXPECT_THAT(help_for("show cr"), HasSubstr("dynamic-map, engine, ipsec, isakmp"));
  const std::vector<std::string> targets{"gw-b", "gw-b/lan", "hub"};
  EXPECT_THAT(help_for("up gw", targets),
              AllOf(HasSubstr("gw-b\n"), HasSubstr("gw-b/lan\n"), Not(HasSubstr("hub"))));
  EXPECT_THAT(help_for("explain ", targets),
              AllOf(HasSubstr("gw-b\n"), HasSubstr("hub\n"), Not(HasSubstr("/lan"))));
  EXPECT_THAT(help_for("decode ", targets), Not(HasSubstr("gw-b")));
  EXPECT_THAT(help_for("up ", std::vector<std::string>(25, "x")), HasSubstr("(5 more)\n"));
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
  for (const Verb verb :
       {Verb::debug_isakmp, Verb::debug_ipsec, Verb::debug_engine, Verb::debug_pki, Verb::show_debugging,
        Verb::show_connections, Verb::show_clock, Verb::show_dynamic_map}) {
    EXPECT_TRUE(only_looks(verb)) << static_cast<int>(verb);
  }
  for (const Verb verb : {Verb::clear_sas, Verb::clear_counters, Verb::clear_isakmp, Verb::clear_connection,
                          Verb::show_pubkey_chain}) {
    EXPECT_FALSE(only_looks(verb)) << static_cast<int>(verb);
  }
}

TEST(Shell, UndebugIsCutAsIosTakesIt) {
  using Line = std::vector<std::string>;
  EXPECT_THAT(*undebug_words({"undebug", "all"}), ElementsAre("all"));
  EXPECT_THAT(*undebug_words({"un", "crypto", "isakmp"}), ElementsAre("crypto", "isakmp"));
  EXPECT_THAT(*undebug_words({"no", "deb", "cr", "ips"}), ElementsAre("cr", "ips"));
  for (const Line& line : {Line{"undebug"}, Line{"u", "all"}, Line{"up", "b"}, Line{"no", "debug"},
                           Line{"no", "de", "all"}, Line{"debug", "all"}, Line{"undebugx", "all"}}) {
    EXPECT_FALSE(undebug_words(line)) << line[0];
  }
}

std::string typed_with_status(const std::string& options, int status) {
  const test::Ran ran = test::run_oakgate("shell " + options);
  EXPECT_EQ(ran.exit, status);
  return ran.out + ran.err;
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

TEST(Shell, UndebugSaysWhatIsOff) {
  const std::string said = typed("", "undebug all\nno debug crypto isakmp\nundebug crypto\nno debug sa\n");
  EXPECT_THAT(said,
              HasSubstr("All possible debugging has been turned off\nCrypto ISAKMP debugging is off\n"));
  EXPECT_THAT(said, HasSubstr("that is nothing to turn off"));
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

// ---- Logins

const char* const kSettings =
    "gateway: {control_socket: /nonexistent/sock}\ntrustpoints: {corp: {ca: ca.pem}}\n"
    "ssh: {trustpoint: corp, certificates: {folder: users}, username: subject-commonname, change: [root], "
    "files: /nonexistent/files, banner: Authorized operators only}\n";

std::string logged_in(const std::string& options, const std::string& lines, const char* environment = "") {
  const test::Folder folder;
  std::ofstream(folder.path() / "ssh.yaml") << kSettings;
  std::ofstream(folder.path() / "input") << lines;
  const char* root = std::getenv("OAKGATE_BUILD_ROOT");
  const std::string command = fmt::format(
      "{1} {2}/daemon/oakgate shell --login {0} --operator CN=alice%20smith {3} <{0}/input >{0}/output 2>&1",
      folder.path().string(), environment, root != nullptr ? root : ".", options);
  (void)std::system(command.c_str());
  return test::read_text((folder.path() / "output").string());
}

// Nothing of the machine is to be reached, whatever the level.
TEST(Shell, ALoginReachesTheGatewayAlone) {
  for (const char* line :
       {"check /etc/passwd", "diff ../../etc/passwd", "reload /etc/passwd", "check .hidden", "check"}) {
    EXPECT_THAT(logged_in("", std::string(line) + "\n"), HasSubstr("is no file that has come in")) << line;
  }
  for (const char* line : {"import cisco /etc/passwd", "pki show keys", "pki zeroize corp --yes",
                           "export cisco b", "shell", "pki known-hosts corp /etc/passwd"}) {
    const std::string said = logged_in("", std::string(line) + "\n");
    EXPECT_THAT(said, HasSubstr("that is not for this shell")) << line;
    EXPECT_THAT(said, Not(HasSubstr("root:"))) << line;
  }
  EXPECT_THAT(logged_in("", "status\n"), HasSubstr("Authorized operators only"));
  EXPECT_THAT(logged_in("", "down b\n"), HasSubstr("/nonexistent/sock"));
  EXPECT_THAT(logged_in("--look", "down b\n"), HasSubstr("that is not for this shell"));
  EXPECT_THAT(logged_in("", "check new.yaml\n"), HasSubstr("/nonexistent/sock"));
}

TEST(Shell, SshsCommandIsOneLine) {
  const std::string said = logged_in("--look", "", "SSH_ORIGINAL_COMMAND='reload; id'");
  EXPECT_THAT(said, Not(HasSubstr("uid=")));
  EXPECT_THAT(said, Not(HasSubstr("Authorized")));
  EXPECT_THAT(logged_in("", "", "SSH_ORIGINAL_COMMAND='down b'"), HasSubstr("/nonexistent/sock"));
  EXPECT_THAT(logged_in("--look", "", "SSH_ORIGINAL_COMMAND='down b'"), HasSubstr("not for this shell"));
}

TEST(Shell, WithoutSettingsThereIsNoLogin) {
  const std::string said = typed_with_status("--login /nonexistent", 4);
  EXPECT_THAT(said, HasSubstr("there are no settings for logins"));
}

// What sshd hands a login shell: our own command line as it is, everything else as a line to be typed.
TEST(Shell, AsALoginShell) {
  EXPECT_TRUE(is_login_shell("-oakgate-shell"));
  EXPECT_TRUE(is_login_shell("/usr/bin/oakgate-shell"));
  EXPECT_FALSE(is_login_shell("/usr/bin/oakgate"));
  const auto words = [](const char* command) {
    const char* argv[] = {"oakgate-shell", "-c", command};
    return login_shell_words(3, argv);
  };
  EXPECT_THAT(words("/usr/bin/oakgate shell --look --login /x --operator CN=a"),
              ElementsAre("/usr/bin/oakgate", "shell", "--look", "--login", "/x", "--operator", "CN=a"));
  EXPECT_THAT(words("oakgate shell"), ElementsAre("oakgate", "shell", "--login", "/var/lib/oakgate-ssh"));
  EXPECT_THAT(
      words("oakgate pki show keys"),
      ElementsAre("oakgate", "shell", "--login", "/var/lib/oakgate-ssh", "--line", "oakgate pki show keys"));
  EXPECT_THAT(words("/bin/sh"),
              ElementsAre("oakgate", "shell", "--login", "/var/lib/oakgate-ssh", "--line", "/bin/sh"));
  const char* argv[] = {"-oakgate-shell"};
  EXPECT_THAT(login_shell_words(1, argv), ElementsAre("oakgate", "shell", "--login", "/var/lib/oakgate-ssh"));
}

TEST(Shell, ALineIsWaitedForSoLongAndNoLonger) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const int before = ::dup(STDIN_FILENO);
  ::dup2(ends[0], STDIN_FILENO);
  ASSERT_EQ(::write(ends[1], "show\nhalf", 9), 9);
  Terminal terminal("", {}, Seconds{1});
  EXPECT_EQ(terminal.read_line(), "show");
  EXPECT_EQ(terminal.read_line(), std::nullopt);
  EXPECT_TRUE(terminal.timed_out());
  ::close(ends[1]);
  EXPECT_EQ(terminal.read_line(), std::nullopt);
  EXPECT_FALSE(terminal.timed_out());
  ::dup2(before, STDIN_FILENO);
  for (const int fd : {before, ends[0]}) ::close(fd);
}

}  // namespace
}  // namespace oakgate::cli
