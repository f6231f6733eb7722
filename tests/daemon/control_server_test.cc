// The control socket's bounds, seen from clients.
#include "daemon/control_server.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>

namespace oakgate {
namespace {

class Recorder final : public ControlHandler {
 public:
  void on_request(ClientId client, const ControlRequest& request) override {
    requests.emplace_back(client, request);
    if (echo) server->answer(client, answer_line(request.id, Json(to_string(request.verb))));
  }
  void on_gone(ClientId client) override { gone.insert(client); }
  ControlServer* server = nullptr;
  bool echo = true;
  std::vector<std::pair<ClientId, ControlRequest>> requests;
  std::set<ClientId> gone;
};

class Client {
 public:
  explicit Client(const std::string& path)
      : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    connected = ::connect(fd_.get(), static_cast<const sockaddr*>(static_cast<const void*>(&address)),
                          sizeof address) == 0;
  }
  // Whatever the socket takes.
  std::size_t send(std::string_view text) const {
    const ssize_t sent = ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL);
    return sent > 0 ? static_cast<std::size_t>(sent) : 0;
  }
  // What came since the last call; sets `closed` at the end of the stream.
  std::string receive() {
    std::string all;
    std::array<char, 65536> chunk{};
    while (true) {
      const ssize_t got = ::recv(fd_.get(), chunk.data(), chunk.size(), 0);
      if (got > 0) {
        all.append(chunk.data(), static_cast<std::size_t>(got));
        continue;
      }
      closed = closed || got == 0 || errno == ECONNRESET;
      return all;
    }
  }
  bool connected = false;
  bool closed = false;

 private:
  UniqueFd fd_;
};

class ControlServerTest : public testing::Test {
 protected:
  ControlServerTest() {
    std::string name = "/tmp/oakgate-control-test.XXXXXX";
    folder = ::mkdtemp(name.data());
    path = folder + "/control.sock";
    loop = std::move(*Loop::create());
  }
  ~ControlServerTest() override {
    server.reset();
    std::filesystem::remove_all(folder);
  }
  void open(const ControlLimits& limits = {}) {
    auto opened = ControlServer::open(*loop, path, limits);
    ASSERT_TRUE(opened) << opened.error().text;
    server = std::move(*opened);
    recorder.server = server.get();
    server->serve(recorder);
  }
  // Runs the loop until `condition` holds; five seconds at most.
  template <typename Condition>
  bool until(Condition condition) {
    const Instant end = read_clocks().instant + Milliseconds(5000);
    Timer tick(*loop, [] {});
    while (!condition()) {
      if (read_clocks().instant > end) return false;
      tick.arm(Milliseconds(5));
      event_base_loop(loop->base(), EVLOOP_ONCE);
    }
    return true;
  }
  static std::string request(int id, const char* verb = "status") {
    return "{\"id\":" + std::to_string(id) + ",\"version\":1,\"verb\":\"" + verb + "\"}\n";
  }

  std::string folder;
  std::string path;
  std::unique_ptr<Loop> loop;
  Recorder recorder;
  std::unique_ptr<ControlServer> server;
};

TEST_F(ControlServerTest, AnswersLineByLine) {
  open();
  Client client(path);
  ASSERT_TRUE(client.connected);
  const std::string both = request(1) + request(2, "reload");
  client.send(both.substr(0, 10));
  std::string answers;
  until([&] { return client.send(std::string_view(both).substr(10)) > 0; });
  EXPECT_TRUE(until([&] { return (answers += client.receive()).find("reload") != std::string::npos; }));
  EXPECT_EQ(answers,
            "{\"id\":1,\"ok\":true,\"result\":\"status\"}\n{\"id\":2,\"ok\":true,\"result\":\"reload\"}\n");
}

TEST_F(ControlServerTest, IsForOwnerAndGroupOnly) {
  open();
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0660U);
  server.reset();
  EXPECT_NE(::stat(path.c_str(), &status), 0) << "the end removes it";
}

// Connects as somebody who is not root. The socket's folder and mode let in whom they let in: here everybody.
class Looker {
 public:
  explicit Looker(const std::string& path) {
    std::filesystem::permissions(std::filesystem::path(path).parent_path(), std::filesystem::perms(0711));
    std::filesystem::permissions(path, std::filesystem::perms(0666));
    EXPECT_EQ(::seteuid(65534), 0);
    client.emplace(path);
    EXPECT_EQ(::seteuid(0), 0);
  }
  std::optional<Client> client;
};

TEST_F(ControlServerTest, WhoIsNotRootMayLookOnly) {
  if (::geteuid() != 0) FAIL() << "needs root, to be somebody else";
  open();
  Looker looker(path);
  ASSERT_TRUE(looker.client->connected);
  looker.client->send(request(1) + request(2, "reload") + request(3, "monitor"));
  std::string answers;
  ASSERT_TRUE(
      until([&] { return (answers += looker.client->receive()).find("\"id\":3") != std::string::npos; }));
  EXPECT_NE(answers.find("{\"id\":1,\"ok\":true"), std::string::npos) << answers;
  EXPECT_NE(
      answers.find(
          "{\"id\":2,\"ok\":false,\"error\":{\"code\":\"not-permitted\",\"text\":\"\\\"reload\\\" is not "
          "for you: you may look, and change nothing\",\"expected\":\"one of \\\"status\\\", "),
      std::string::npos)
      << answers;
  EXPECT_EQ(recorder.requests.size(), 2U) << "the reload is nobody's to do";
}

TEST_F(ControlServerTest, SomeMayChange) {
  if (::geteuid() != 0) FAIL() << "needs root, to be somebody else";
  open();
  server->let_change({65534});
  Looker changer(path);
  changer.client->send(request(1, "reload"));
  EXPECT_TRUE(until([&] { return changer.client->receive().find("\"ok\":true") != std::string::npos; }));
  server->let_change({});
  Looker looker(path);
  looker.client->send(request(1, "reload"));
  EXPECT_TRUE(until([&] { return looker.client->receive().find("not-permitted") != std::string::npos; }));
}

TEST_F(ControlServerTest, LookersLeaveRoomForRoot) {
  if (::geteuid() != 0) FAIL() << "needs root, to be somebody else";
  ControlLimits limits;
  limits.clients = 2;
  limits.lookers = 1;
  open(limits);
  Looker one(path);
  Looker two(path);
  std::string refused;
  ASSERT_TRUE(until([&] {
    refused += two.client->receive();
    return two.client->closed;
  }));
  EXPECT_NE(refused.find("that are not root's"), std::string::npos) << refused;
  Client root(path);
  root.send(request(1, "reload"));
  EXPECT_TRUE(until([&] { return root.receive().find("\"ok\":true") != std::string::npos; }));
}

TEST_F(ControlServerTest, BelongsToAnotherGroup) {
  if (::geteuid() != 0) FAIL() << "needs root, to give the socket away";
  auto opened = ControlServer::open(*loop, path, {}, "nogroup");
  ASSERT_TRUE(opened) << opened.error().text;
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_gid, 65534U);
  EXPECT_EQ(status.st_mode & 07777, 0660U);
  opened->reset();
  opened = ControlServer::open(*loop, path, {}, "no-such-group");
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().text, "control socket: there is no group no-such-group");
  EXPECT_EQ(opened.error().remedy, "`groupadd --system no-such-group`, or another `gateway.control_group`");
  EXPECT_FALSE(std::filesystem::exists(path)) << "nothing is left behind";
}

TEST_F(ControlServerTest, TakesTheNextPlaceAfterAnAccident) {
  open();
  const auto left_behind = std::move(server);
  open();
  EXPECT_TRUE(Client(path).connected);
  // Not ours: `left_behind` would remove the new socket; it is the same path, which is what the lock is for.
}

TEST_F(ControlServerTest, RemovesNothingThatIsNotASocket) {
  std::ofstream(path) << "precious";
  const auto opened = ControlServer::open(*loop, path);
  ASSERT_FALSE(opened);
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST_F(ControlServerTest, RefusesAPathThatDoesNotFit) {
  const auto opened = ControlServer::open(*loop, folder + "/" + std::string(200, 'a'));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::configuration);
}

TEST_F(ControlServerTest, AnswersNonsenseAndGoesOn) {
  open();
  Client client(path);
  client.send("nonsense\n\n" + request(3));
  std::string answers;
  ASSERT_TRUE(until([&] { return (answers += client.receive()).find("\"id\":3") != std::string::npos; }));
  EXPECT_EQ(answers.find("{\"id\":0,\"ok\":false,"), 0U) << answers;
  EXPECT_FALSE(client.closed);
}

TEST_F(ControlServerTest, EndsALineWithoutEnd) {
  open();
  Client client(path);
  client.send(std::string(3 * kMaxRequestLine, 'x'));
  std::string answers;
  ASSERT_TRUE(until([&] {
    answers += client.receive();
    return client.closed;
  }));
  EXPECT_NE(answers.find("too long"), std::string::npos);
  EXPECT_EQ(recorder.gone.size(), 1U);
}

TEST_F(ControlServerTest, ALineOfExactlyTheLimitIsRead) {
  open();
  Client client(path);
  std::string line = request(1);
  line.insert(line.size() - 1, kMaxRequestLine - (line.size() - 1), ' ');
  client.send(line);
  EXPECT_TRUE(until([&] { return recorder.requests.size() == 1; }));
}

TEST_F(ControlServerTest, BoundsItsClients) {
  ControlLimits limits;
  limits.clients = 2;
  open(limits);
  Client one(path);
  Client two(path);
  Client three(path);
  std::string refused;
  ASSERT_TRUE(until([&] {
    refused += three.receive();
    return three.closed;
  }));
  EXPECT_NE(refused.find("too many clients"), std::string::npos);
  one.send(request(1));
  EXPECT_TRUE(until([&] { return !one.receive().empty(); }));
}

TEST_F(ControlServerTest, BoundsTheRequestsUnderWay) {
  ControlLimits limits;
  limits.requests_per_client = 2;
  open(limits);
  recorder.echo = false;
  Client client(path);
  client.send(request(1) + request(2) + request(3));
  std::string answers;
  ASSERT_TRUE(until([&] { return !(answers += client.receive()).empty(); }));
  EXPECT_NE(answers.find("\"id\":3,\"ok\":false"), std::string::npos) << answers;
  server->answer(recorder.requests[0].first, answer_line(1, nullptr));
  client.send(request(4));
  EXPECT_TRUE(until([&] { return recorder.requests.size() == 3; }));
}

TEST_F(ControlServerTest, DropsWhoDoesNotRead) {
  ControlLimits limits;
  limits.backlog = 100000;
  open(limits);
  recorder.echo = false;
  Client client(path);
  client.send(request(1, "monitor"));
  ASSERT_TRUE(until([&] { return recorder.requests.size() == 1; }));
  const ClientId id = recorder.requests[0].first;
  const std::string line(1000, 'e');
  EXPECT_TRUE(until([&] {
    for (int i = 0; i < 100; ++i) server->stream(id, line);
    return recorder.gone.contains(id);
  }));
}

TEST_F(ControlServerTest, DropsWhoOnlyHoldsAPlace) {
  ControlLimits limits;
  limits.idle = Seconds(1);
  open(limits);
  recorder.echo = false;
  Client idle(path);
  Client waiting(path);
  waiting.send(request(1, "monitor"));
  EXPECT_TRUE(until([&] {
    idle.receive();
    return idle.closed;
  }));
  waiting.receive();
  EXPECT_FALSE(waiting.closed) << "it waits for us";
}

TEST_F(ControlServerTest, SaysWhoIsGone) {
  open();
  recorder.echo = false;
  {
    Client client(path);
    client.send(request(1));
    ASSERT_TRUE(until([&] { return recorder.requests.size() == 1; }));
  }
  EXPECT_TRUE(until([&] { return recorder.gone.size() == 1; }));
  server->answer(recorder.requests[0].first, answer_line(1, nullptr));  // no harm
}

TEST_F(ControlServerTest, FlushSendsWhatWaits) {
  open();
  recorder.echo = false;
  Client client(path);
  client.send(request(1));
  ASSERT_TRUE(until([&] { return recorder.requests.size() == 1; }));
  server->answer(recorder.requests[0].first, answer_line(1, Json("last words")));
  server->flush();
  EXPECT_NE(client.receive().find("last words"), std::string::npos);
}

}  // namespace
}  // namespace oakgate
