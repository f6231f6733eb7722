// The HTTP server over real sockets: what it answers, what it refuses, and that no client holds it up.
#include "daemon/metrics/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "daemon/sockaddr.h"

namespace oakgate::metrics {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

// Nothing on the first call, then `pieces` pieces of about the size asked.
class Pieces final : public Answer {
 public:
  explicit Pieces(int pieces) : left_(pieces) {}
  Step make(std::string& text, std::size_t about) override {
    if (!begun_) {
      begun_ = true;
      return Step::more;
    }
    if (left_-- > 0) {
      text += std::string(about, 'x') + "\n";
      return Step::more;
    }
    text += "# EOF\n";
    return Step::done;
  }

 private:
  bool begun_ = false;
  int left_;
};

class ServerTest : public testing::Test {
 protected:
  ServerTest() {
    std::string name = "/tmp/oakgate-metrics-test.XXXXXX";
    folder = ::mkdtemp(name.data());
    std::signal(SIGPIPE, SIG_IGN);  // as the daemon does
    loop = std::move(*Loop::create());
  }
  ~ServerTest() override {
    server.reset();
    std::filesystem::remove_all(folder);
  }

  void open(int pieces = 1, const ServerLimits& limits = {}) {
    address.socket = folder + "/metrics.sock";
    auto opened = Server::open(
        *loop, address, [pieces] { return std::make_unique<Pieces>(pieces); }, limits);
    ASSERT_TRUE(opened) << opened.error().text;
    server = std::move(*opened);
  }

  UniqueFd connect() const {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    std::strncpy(to.sun_path, address.socket.c_str(), sizeof to.sun_path - 1);
    EXPECT_EQ(::connect(fd.get(), static_cast<const sockaddr*>(static_cast<const void*>(&to)), sizeof to), 0);
    return fd;
  }
  static void write(const UniqueFd& fd, const std::string& text) {
    ::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL);
  }
  // Up to the end of the connection, or nothing for `patience`.
  static std::string read_all(const UniqueFd& fd, Seconds patience = Seconds(10)) {
    const timeval wait{patience.count(), 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    std::string all;
    char buffer[65536];
    for (ssize_t got = 0; (got = ::recv(fd.get(), buffer, sizeof buffer, 0)) > 0;)
      all.append(buffer, static_cast<std::size_t>(got));
    return all;
  }
  std::string ask(const std::string& request) {
    std::string answer;
    with_client([&] {
      const UniqueFd fd = connect();
      write(fd, request);
      answer = read_all(fd);
    });
    return answer;
  }
  void with_client(const std::function<void()>& client) {
    UniqueFd ended(::eventfd(0, EFD_CLOEXEC));
    const auto watch = Watch::readable(*loop, ended.get(), [this] { loop->stop(); });
    std::thread thread([&] {
      client();
      const std::uint64_t one = 1;
      EXPECT_EQ(::write(ended.get(), &one, sizeof one), static_cast<ssize_t>(sizeof one));
    });
    loop->run();
    thread.join();
  }

  std::string folder;
  conf::MetricsAddress address;
  std::unique_ptr<Loop> loop;
  std::unique_ptr<Server> server;
};

const std::string kGet = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";

TEST_F(ServerTest, Answers) {
  open();
  const std::string answer = ask(kGet);
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer,
              HasSubstr("Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"));
  EXPECT_THAT(answer, HasSubstr("Connection: close\r\n"));
  EXPECT_THAT(answer, HasSubstr("# EOF\n"));
  EXPECT_THAT(ask("GET /metrics?x=1 HTTP/1.0\r\n\r\n"), testing::EndsWith("xx\n# EOF\n"));
  const std::string head = ask("HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(head, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(head, testing::Not(HasSubstr("EOF")));
}

TEST_F(ServerTest, ALoopbackAddressServesToo) {
  address.endpoint = {*IpAddress::parse("127.0.0.1"), 0};
  auto opened = Server::open(*loop, address, [] { return std::make_unique<Pieces>(1); });
  ASSERT_TRUE(opened);
  server = std::move(*opened);
  ASSERT_NE(server->port(), 0);
  std::string answer;
  with_client([&] {
    const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const SocketAddress to = to_socket_address({*IpAddress::parse("127.0.0.1"), server->port()});
    ASSERT_EQ(::connect(fd.get(), to.get(), to.length), 0);
    write(fd, kGet);
    answer = read_all(fd);
  });
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  const auto again = Server::open(*loop, {{}, {*IpAddress::parse("127.0.0.1"), server->port()}}, {});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::in_use);
  EXPECT_THAT(again.error().text, HasSubstr("Address already in use"));
}

TEST_F(ServerTest, TheSocketIsForRootAndItsGroupAndLeavesWithTheServer) {
  open();
  struct stat status {};
  ASSERT_EQ(::stat(address.socket.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0660U);
  server.reset();
  EXPECT_NE(::stat(address.socket.c_str(), &status), 0);
  std::ofstream(address.socket) << "not a socket";
  const auto refused = Server::open(*loop, address, {});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().text, HasSubstr("something else is there, not a socket"));
  EXPECT_THAT(refused.error().remedy, HasSubstr("gateway.metrics"));
}

TEST_F(ServerTest, RefusesWhatIsNotMetrics) {
  open();
  EXPECT_THAT(ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(ask("GET /metrics/x HTTP/1.1\r\nHost: x\r\n\r\n"), StartsWith("HTTP/1.1 404 "));
  const std::string post = ask("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab");
  EXPECT_THAT(post, StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(post, HasSubstr("Allow: GET, HEAD\r\n"));
}

TEST_F(ServerTest, MalformedRequestsAreRefusedAndTheNextOneIsServed) {
  ServerLimits limits;
  limits.idle = Seconds(1);
  open(1, limits);
  const std::string bad[] = {
      "\r\n\r\n",
      "GET\r\n\r\n",
      "GET /metrics\r\n\r\n",
      "GET /metrics HTTP/9.9\r\n\r\n",
      "BREW /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET /metrics HTTP/1.1\r\nno colon\r\n\r\n",
      "GET http://[::1 HTTP/1.1\r\n\r\n",
      "GET /%zz%00 HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET /metrics HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
      "POST /metrics HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
      "POST /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
      std::string(100000, 'A'),
      "GET /metrics HTTP/1.1\r\nX: " + std::string(100000, 'y') + "\r\n\r\n",
      std::string("\0\x01\xff\xfe", 4) + "\r\n\r\n",
      "\x16\x03\x01\x02\x00\x01\x00\x01\xfc",  // TLS
      "",
  };
  for (const std::string& request : bad) {
    const std::string answer = ask(request);
    // Silence, or an answer that is no metrics; a request that is good enough may be served.
    if (answer.find(" 200 ") != std::string::npos) {
      EXPECT_THAT(answer, HasSubstr("# EOF\n")) << request;
    }
  }
  EXPECT_THAT(ask(kGet), HasSubstr("# EOF\n"));
}

TEST_F(ServerTest, ALargeAnswerWaitsForASlowReaderAndOthersAreServedMeanwhile) {
  ServerLimits limits;
  limits.answers = 2;
  open(500, limits);  // 32 MB
  std::string first;
  std::string refused;
  with_client([&] {
    const UniqueFd slow = connect();
    const UniqueFd other = connect();
    write(slow, kGet);
    write(other, kGet);
    char one = 0;
    EXPECT_EQ(::recv(slow.get(), &one, 1, 0), 1);
    EXPECT_EQ(::recv(other.get(), &one, 1, 0), 1);
    const UniqueFd third = connect();
    write(third, kGet);
    refused = read_all(third);
    first = read_all(slow);
  });
  EXPECT_THAT(refused, StartsWith("HTTP/1.1 503 "));
  EXPECT_GT(first.size(), std::size_t{500} * limits.piece);
  EXPECT_THAT(first, HasSubstr("# EOF\n"));
}

TEST_F(ServerTest, AClientThatGoesInTheMiddleOfItsAnswerIsForgotten) {
  ServerLimits limits;
  limits.answers = 1;
  open(500, limits);
  for (int i = 0; i < 3; ++i) {
    with_client([&] {
      const UniqueFd fd = connect();
      write(fd, kGet);
      char one = 0;
      EXPECT_EQ(::recv(fd.get(), &one, 1, 0), 1);
    });
  }
  // It may take a moment until the end is seen.
  std::string answer;
  for (int i = 0; i < 200 && answer.find("# EOF") == std::string::npos; ++i) answer = ask(kGet);
  EXPECT_THAT(answer, HasSubstr("# EOF\n"));
}

TEST_F(ServerTest, TheServerMayEndInTheMiddleOfAnAnswer) {
  open(500);
  UniqueFd fd;
  with_client([&] {
    fd = connect();
    write(fd, kGet);
    char one = 0;
    EXPECT_EQ(::recv(fd.get(), &one, 1, 0), 1);
  });
  server.reset();
  EXPECT_THAT(read_all(fd), testing::Not(HasSubstr("# EOF\n")));
}

TEST_F(ServerTest, IdleConnectionsEndAndMakeRoom) {
  ServerLimits limits;
  limits.connections = 4;
  limits.idle = Seconds(1);
  open(1, limits);
  std::string answer;
  with_client([&] {
    std::vector<UniqueFd> idle;
    for (int i = 0; i < 12; ++i) idle.push_back(connect());
    write(idle[0], "GET /metr");
    const UniqueFd fd = connect();
    write(fd, kGet);
    answer = read_all(fd);
    for (const UniqueFd& one : idle) read_all(one);
  });
  EXPECT_THAT(answer, HasSubstr("# EOF\n"));
}

TEST_F(ServerTest, WhoSendsAByteNowAndThenIsNotServedForEver) {
  ServerLimits limits;
  limits.idle = Seconds(5);
  limits.whole = Seconds(1);
  open(1, limits);
  const Instant begun = read_clocks().instant;
  with_client([&] {
    const UniqueFd fd = connect();
    write(fd, "GET /metrics HTTP/1.1\r\n");
    EXPECT_EQ(read_all(fd), "");
  });
  EXPECT_LT(read_clocks().instant - begun, Milliseconds(4000));
}

}  // namespace
}  // namespace oakgate::metrics
