// The manual pages and the code say the same: event names, error codes, verbs, limits, and the status
// example.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string>

#include "daemon/control_server.h"
#include "daemon/event_text.h"
#include "daemon/messages.h"
#include "tests/daemon/snapshots.h"

namespace oakgate {
namespace {

// The text of a page without roff's escapes for hyphens and quotes.
std::string page(const std::string& name) {
  const char* root = std::getenv("OAKGATE_SOURCE_ROOT");
  std::ifstream stream(std::string(root != nullptr ? root : ".") + "/man/" + name);
  std::string text{std::istreambuf_iterator<char>(stream), {}};
  EXPECT_FALSE(text.empty()) << name;
  for (const auto& [from, to] : {std::pair{"\\-", "-"}, std::pair{"\\(dq", "\""}}) {
    for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at)) {
      text.replace(at, std::string_view(from).size(), to);
    }
  }
  return text;
}

TEST(Manual, NamesEveryEvent) {
  const std::string text = page("oakgate-control.7");
  for (const EventRow& row : event_table()) {
    const std::string name(ike::to_string(row.id));
    EXPECT_NE(text.find(" " + name + " "), std::string::npos) << name;
  }
}

TEST(Manual, NamesTheDaemonsOwnMessages) {
  std::string text = page("oakgated.8");
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '"' || c == '\n'; }, ' ');
  for (int i = 0; i <= static_cast<int>(kLastDaemonMessage); ++i) {
    const std::string name(message_row(static_cast<DaemonMessage>(i)).name);
    EXPECT_NE(text.find(" " + name + " "), std::string::npos) << name;
  }
}

TEST(Manual, ExplainsEveryErrorCode) {
  const std::string text = page("oakgate.8");
  for (int i = 0; i <= static_cast<int>(kLastErrorCode); ++i) {
    const std::string name(to_string(static_cast<ErrorCode>(i)));
    EXPECT_NE(text.find("\n.B " + name + "\n"), std::string::npos) << name;
  }
}

TEST(Manual, NamesEveryVerb) {
  const std::string text = page("oakgate-control.7");
  for (int i = 0; i <= static_cast<int>(kLastControlVerb); ++i) {
    const std::string name(to_string(static_cast<ControlVerb>(i)));
    EXPECT_TRUE(text.find("\n.B " + name + "\n") != std::string::npos ||
                text.find("\n.BR " + name + " ") != std::string::npos ||
                text.find("\n.BR \"" + name + "\" ") != std::string::npos)
        << name;
  }
}

TEST(Manual, TellsTheLimits) {
  const std::string text = page("oakgate-control.7");
  const ControlLimits limits;
  for (const std::size_t limit :
       {kMaxRequestLine, kMaxTarget, limits.clients, limits.lookers, limits.requests_per_client}) {
    EXPECT_NE(text.find(" " + std::to_string(limit)), std::string::npos) << limit;
  }
  EXPECT_EQ(limits.backlog, 1U << 20);
  EXPECT_NE(text.find(std::to_string(limits.idle.count()) + " seconds"), std::string::npos);
  EXPECT_NE(text.find(std::to_string(limits.slow.count()) + " seconds"), std::string::npos);
}

// The example is what the tests' gateway says, but for its second SA and second peer.
TEST(Manual, ItsStatusIsTheRealOne) {
  const std::string text = page("oakgate.8");
  const std::size_t begin = text.find("{\"version\": 1, \"gateway\"");
  ASSERT_NE(begin, std::string::npos);
  const Json example = Json::parse(text.substr(begin, text.find("\n.RE", begin) - begin), nullptr, false);
  ASSERT_TRUE(example.is_object());
  StatusInput input = test::status_input();
  input.peers.pop_back();
  input.peers[0].tunnels[0].sas.pop_back();
  EXPECT_EQ(example.dump(1), status_json(input, false).dump(1));
}

}  // namespace
}  // namespace oakgate
