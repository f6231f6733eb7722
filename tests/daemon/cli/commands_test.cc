// The programs themselves: exit codes and where their words go.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "daemon/control_protocol.h"
#include "tests/daemon/cli/fake_daemon.h"
#include "tests/daemon/cli/programs.h"

namespace oakgate {
namespace {

using test::Ran;

Ran run(const std::string& program, const std::string& arguments) {
  return test::run_program(program, arguments);
}
Ran oakgate(const std::string& arguments) {
  return test::run_oakgate(arguments);
}

TEST(Oakgate, WithoutADaemonEndsWith3) {
  const Ran plain = oakgate("--socket /nonexistent/sock status");
  EXPECT_EQ(plain.exit, 3);
  EXPECT_EQ(plain.out, "");
  EXPECT_NE(plain.err.find("/nonexistent/sock"), std::string::npos);
  const Ran json = oakgate("status --json --socket /nonexistent/sock");
  EXPECT_EQ(json.exit, 3);
  EXPECT_EQ(json.err, "");
  const Json error = Json::parse(json.out);
  EXPECT_EQ(error["version"], 1);
  EXPECT_EQ(error["error"]["code"], "unreachable");
  EXPECT_EQ(error["error"]["exit"], 3);
  EXPECT_EQ(run("oakgate", "").exit, 3) << "no daemon has the default socket here";
}

TEST(Oakgate, MistakesEndWith2) {
  EXPECT_EQ(oakgate("frobnicate").exit, 2);
  EXPECT_NE(oakgate("up").err.find("PEER"), std::string::npos);
  const Ran json = oakgate("frobnicate --json");
  EXPECT_EQ(json.exit, 2);
  EXPECT_EQ(Json::parse(json.out)["error"]["code"], "usage");
}

TEST(Oakgate, HelpAndVersionEndWith0) {
  EXPECT_EQ(oakgate("--help").exit, 0);
  EXPECT_NE(oakgate("--help").out.find("monitor"), std::string::npos);
  EXPECT_EQ(oakgate("--version").exit, 0);
  EXPECT_EQ(oakgate("--version").out.find("oakgate "), 0U);
}

TEST(Oakgate, CheckTellsEveryIssueAndEndsWith4) {
  const Ran absent = oakgate("check /nonexistent/oakgate.yaml");
  EXPECT_EQ(absent.exit, 4);
  EXPECT_NE(absent.err.find("/nonexistent/oakgate.yaml"), std::string::npos);
  std::string folder = "/tmp/oakgate-check-test.XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  std::ofstream(folder + "/bad.yaml") << "gatway: {name: x}\npeers: 7\n";
  const Ran bad = oakgate("check --json " + folder + "/bad.yaml");
  EXPECT_EQ(bad.exit, 4);
  const Json json = Json::parse(bad.out);
  EXPECT_EQ(json["valid"], false);
  EXPECT_GE(json["issues"].size(), 2U);
  EXPECT_EQ(json["issues"][0]["line"], 1);
  EXPECT_EQ(json["issues"][0]["nearest"], "gateway");
  std::filesystem::remove_all(folder);
}

// The files are there, the key is nobody else's to read, and the daemon's own check takes the whole.
TEST(Oakgate, ImportsARunningConfiguration) {
  const test::Folder folder;
  const char* root = std::getenv("OAKGATE_SOURCE_ROOT");
  const std::string source = std::string(root != nullptr ? root : ".") + "/tests/conf/cisco/cl-2513-2a.txt";
  const std::string out = folder.path().string() + "/new";

  const Ran shown = oakgate("import cisco " + source);
  EXPECT_EQ(shown.exit, 0) << shown.err;
  EXPECT_NE(shown.out.find("50.50.50.0/24"), std::string::npos);
  EXPECT_NE(shown.err.find("--output"), std::string::npos);
  EXPECT_EQ((shown.out + shown.err).find("sharedkey"), std::string::npos);

  const Ran written = oakgate("import cisco " + source + " --output " + out);
  EXPECT_EQ(written.exit, 0) << written.err;
  const auto mode = std::filesystem::status(out + "/test-10.psk").permissions();
  EXPECT_EQ(mode, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  EXPECT_EQ(test::read_text(out + "/test-10.psk"), "sharedkey\n");
  const Ran checked = oakgate("check " + out + "/oakgate.yaml");
  EXPECT_EQ(checked.exit, 0) << checked.err;

  const Ran again = oakgate("import cisco " + source + " --output " + out);
  EXPECT_EQ(again.exit, 1);
  EXPECT_NE(again.err.find("--force"), std::string::npos);
  EXPECT_EQ(oakgate("import cisco " + source + " --force --output " + out).exit, 0);

  const Ran nothing = oakgate("import cisco --json - ");
  EXPECT_EQ(nothing.exit, 4);
  EXPECT_EQ(Json::parse(nothing.out)["peers"], 0);
  EXPECT_EQ(oakgate("import cisco /nonexistent/running-config").exit, 5);
}

TEST(Oakgate, ExportsThePeersSide) {
  const char* root = std::getenv("OAKGATE_SOURCE_ROOT");
  const std::string config =
      " --config " + std::string(root != nullptr ? root : ".") + "/conf/samples/old-cisco.yaml";
  const Ran pix = oakgate("export cisco pix-520 --dialect pix" + config);
  EXPECT_EQ(pix.exit, 0) << pix.err;
  EXPECT_NE(pix.out.find("crypto map oakgate interface outside\n"), std::string::npos);
  const Ran nobody = oakgate("export cisco nobody" + config);
  EXPECT_EQ(nobody.exit, 5);
  EXPECT_NE(nobody.err.find("pix-520"), std::string::npos);
  EXPECT_EQ(oakgate("export cisco pix-520 --address 300.1.1.1" + config).exit, 4);
  EXPECT_EQ(oakgate("export cisco pix-520 --config /nonexistent.yaml").exit, 4);
}

TEST(Oakgate, PrintsTheDaemonsAnswerAndItsExitCode) {
  test::FakeDaemon up(
      "{\"id\":1,\"event\":{\"level\":\"info\",\"text\":\"[b] hint\"}}\n"
      "{\"id\":1,\"event\":{\"level\":\"debug\",\"text\":\"[b] noise\"}}\n"
      "{\"id\":1,\"ok\":true,\"result\":{\"version\":1,\"verb\":\"up\",\"peer\":\"b\","
      "\"tunnels\":[{\"name\":\"lan\",\"state\":\"up\"}]}}\n");
  const Ran ran = oakgate("up b --socket " + up.path());
  EXPECT_EQ(ran.exit, 0);
  EXPECT_EQ(ran.out, "b/lan: up\n");
  EXPECT_EQ(ran.err, "  [b] hint\n");
  EXPECT_EQ(up.request(), "{\"id\":1,\"version\":1,\"verb\":\"up\",\"peer\":\"b\",\"progress\":true}\n");

  test::FakeDaemon failing(
      "{\"id\":1,\"ok\":false,\"error\":{\"code\":\"wrong-key\",\"text\":\"b: refused\",\"expected\":\"one "
      "key\","
      "\"remedy\":\"compare\",\"exit\":1}}\n");
  const Ran failed = oakgate("up b/lan --socket " + failing.path());
  EXPECT_EQ(failed.exit, 1);
  EXPECT_EQ(failed.out, "");
  EXPECT_EQ(failed.err, "oakgate: b: refused\n  expected: one key\n  to mend it: compare\n");
}

TEST(Oakgate, MonitorPrintsEventsUntilTheDaemonEnds) {
  test::FakeDaemon daemon(
      "{\"id\":1,\"ok\":true,\"result\":{\"monitoring\":true}}\n"
      "{\"id\":1,\"event\":{\"at\":\"2026-11-20T20:11:04Z\",\"level\":\"notice\",\"text\":\"[b] up\"}}\n");
  const Ran ran = oakgate("monitor --socket " + daemon.path());
  EXPECT_EQ(ran.exit, 3);
  EXPECT_EQ(ran.out, "2026-11-20T20:11:04Z notice  [b] up\n");
  test::FakeDaemon again(
      "{\"id\":1,\"ok\":true,\"result\":{\"monitoring\":true}}\n{\"id\":1,\"event\":{\"event\":\"x\"}}\n");
  EXPECT_EQ(oakgate("monitor --json --socket " + again.path()).out.find("{\"event\":\"x\"}\n"), 0U);
}

TEST(Oakgated, RefusesABadConfigurationWith4) {
  const Ran ran = run("oakgated", "--foreground --config /nonexistent/oakgate.yaml");
  EXPECT_EQ(ran.exit, 4);
  EXPECT_NE(ran.err.find("/nonexistent/oakgate.yaml"), std::string::npos);
}

TEST(Oakgated, MistakesEndWith2) {
  EXPECT_EQ(run("oakgated", "--frobnicate").exit, 2);
  EXPECT_EQ(run("oakgated", "--log-level loud").exit, 2);
  EXPECT_EQ(run("oakgated", "--version").exit, 0);
  EXPECT_EQ(run("oakgated", "--help").exit, 0);
}

}  // namespace
}  // namespace oakgate
