#include "daemon/cli/client.h"

#include <gtest/gtest.h>

#include "tests/daemon/cli/fake_daemon.h"

namespace oakgate::cli {
namespace {

ControlRequest status_request() {
  ControlRequest request;
  request.id = 1;
  return request;
}

Outcome<Json> ask(const std::string& path, Seconds patience = Seconds(5),
                  const ControlClient::OnEvent& on_event = {}) {
  auto client = ControlClient::connect(path);
  if (!client) return tl::unexpected(client.error());
  return client->request(status_request(), patience, on_event);
}

TEST(ControlClient, BringsTheResult) {
  test::FakeDaemon daemon("{\"id\":1,\"ok\":true,\"result\":{\"answer\":42}}\n");
  const auto result = ask(daemon.path());
  ASSERT_TRUE(result) << result.error().text;
  EXPECT_EQ((*result)["answer"], 42);
  EXPECT_EQ(daemon.request(), "{\"id\":1,\"version\":1,\"verb\":\"status\"}\n");
}

TEST(ControlClient, HandsEventsOverFirst) {
  test::FakeDaemon daemon(
      "{\"id\":1,\"event\":{\"n\":1}}\n{\"id\":1,\"event\":{\"n\":2}}\n{\"id\":1,\"ok\":true,\"result\":3}"
      "\n");
  std::vector<int> seen;
  const auto result =
      ask(daemon.path(), Seconds(5), [&](const Json& event) { seen.push_back(event["n"].get<int>()); });
  ASSERT_TRUE(result);
  EXPECT_EQ(seen, (std::vector{1, 2}));
}

TEST(ControlClient, TurnsErrorsIntoFailures) {
  test::FakeDaemon daemon(
      "{\"id\":1,\"ok\":false,\"error\":{\"code\":\"not-found\",\"text\":\"t\",\"expected\":\"e\",\"remedy\":"
      "\"r\","
      "\"exit\":5,\"issues\":[]}}\n");
  const auto result = ask(daemon.path());
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().exit, Exit::not_found);
  EXPECT_EQ(result.error().code, "not-found");
  EXPECT_EQ(result.error().more, (Json{{"issues", Json::array()}}));
  EXPECT_EQ(
      failure_json(result.error()).dump(),
      "{\"version\":1,\"error\":{\"code\":\"not-found\",\"text\":\"t\",\"expected\":\"e\",\"remedy\":\"r\","
      "\"exit\":5,\"issues\":[]}}");
}

TEST(ControlClient, NobodyThereIsUnreachable) {
  const auto client = ControlClient::connect("/nonexistent/control.sock");
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().exit, Exit::unreachable);
  EXPECT_NE(client.error().text.find("/nonexistent/control.sock"), std::string::npos);
  EXPECT_NE(client.error().remedy.find("systemctl start oakgated"), std::string::npos);
}

TEST(ControlClient, AnOverlongPathIsUnreachable) {
  EXPECT_EQ(ControlClient::connect("/" + std::string(500, 'x')).error().exit, Exit::unreachable);
}

TEST(ControlClient, ASilentDaemonIsGivenUp) {
  test::FakeDaemon daemon("");
  const auto result = ask(daemon.path(), Seconds(1));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().exit, Exit::unreachable);
  EXPECT_NE(result.error().text.find("has not answered for 1 s"), std::string::npos) << result.error().text;
}

TEST(ControlClient, ADaemonThatSpeaksSomethingElseIsGivenUp) {
  for (const char* answer :
       {"SSH-2.0-OpenSSH\n", "[]\n", "{\"id\":1}\n", "{\"id\":1,\"error\":7}\n", "half a line"}) {
    test::FakeDaemon daemon(answer);
    const auto result = ask(daemon.path());
    ASSERT_FALSE(result) << answer;
    EXPECT_EQ(result.error().exit, Exit::unreachable) << answer;
  }
}

}  // namespace
}  // namespace oakgate::cli
