// The daemon itself, as a service manager runs it, in a network namespace of this process's own (so it needs
// root): ready, asked, reloaded, ended. What it does to packets is the net suite's.
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "daemon/cli/client.h"

namespace oakgate {
namespace {

constexpr int kPatience = 20000;  // ms, for each thing that is waited for

class OakgatedTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    ASSERT_EQ(::unshare(CLONE_NEWNET), 0) << "this test needs root: " << std::strerror(errno);
    ASSERT_EQ(std::system("ip link set lo up && ip addr add 192.0.2.1/24 dev lo"), 0);
  }

  OakgatedTest() {
    std::string name = "/tmp/oakgate-daemon-test.XXXXXX";
    folder = ::mkdtemp(name.data());
    write_config("lan");
    std::ofstream(folder + "/b.psk") << "a pre-shared key that is long enough\n";
    ::chmod((folder + "/b.psk").c_str(), 0600);
    notify = UniqueFd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = folder + "/notify";
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    EXPECT_EQ(::bind(notify.get(), static_cast<const sockaddr*>(static_cast<const void*>(&address)),
                     sizeof address),
              0);
  }
  ~OakgatedTest() override {
    if (daemon > 0) {
      ::kill(daemon, SIGKILL);
      ::waitpid(daemon, nullptr, 0);
    }
    if (HasFailure()) std::cerr << std::ifstream(folder + "/log").rdbuf();
    std::filesystem::remove_all(folder);
  }

  void write_config(const std::string& tunnel) const {
    std::ofstream(folder + "/oakgate.yaml")
        << "gateway: {name: gw-a, data_plane: software, control_socket: " << folder
        << "/control.sock, state_dir: " << folder << "/state}\n"
        << "isakmp_policies:\n  10: {encryption: aes-256, hash: sha256, group: 14, authentication: "
           "pre-share}\n"
        << "transform_sets:\n  strong: [esp-aes-256, esp-sha256-hmac]\n"
        << "peers:\n  b:\n    address: 192.0.2.2\n    pre_shared_key: {file: b.psk}\n    tunnels:\n      "
        << tunnel
        << ": {local: 10.1.0.0/24, remote: 10.2.0.0/24, transform_sets: [strong], start: responder}\n";
  }

  pid_t launch(const std::string& config) const {
    const pid_t child = ::fork();
    if (child != 0) return child;
    const char* root = std::getenv("OAKGATE_BUILD_ROOT");
    const std::string program = std::string(root != nullptr ? root : ".") + "/daemon/oakgated";
    ::setenv("NOTIFY_SOCKET", (folder + "/notify").c_str(), 1);
    if (std::freopen((folder + "/log").c_str(), "a", stderr) == nullptr) ::_exit(126);
    ::execl(program.c_str(), program.c_str(), "--foreground", "--config", config.c_str(), nullptr);
    ::_exit(127);
  }
  void start() {
    daemon = launch(folder + "/oakgate.yaml");
    ASSERT_TRUE(notified("READY=1"));
  }

  // Whether a notification with `text` in it comes.
  [[nodiscard]] bool notified(const std::string& text) const {
    std::array<char, 4096> datagram{};
    pollfd one{notify.get(), POLLIN, 0};
    while (::poll(&one, 1, kPatience) == 1) {
      const ssize_t got = ::recv(notify.get(), datagram.data(), datagram.size(), 0);
      if (got > 0 && std::string_view(datagram.data(), static_cast<std::size_t>(got)).find(text) !=
                         std::string_view::npos) {
        return true;
      }
    }
    return false;
  }
  [[nodiscard]] cli::Outcome<Json> ask(ControlVerb verb) const {
    auto client = cli::ControlClient::connect(folder + "/control.sock");
    if (!client) return tl::unexpected(client.error());
    ControlRequest request;
    request.id = 1;
    request.verb = verb;
    return client->request(request, Seconds(10));
  }
  [[nodiscard]] std::string tunnel_name() const {
    const auto status = ask(ControlVerb::status);
    return status ? (*status)["peers"][0]["tunnels"][0].value("name", "") : status.error().text;
  }
  [[nodiscard]] bool logged(const std::string& text) const {
    std::ifstream stream(folder + "/log");
    const std::string all{std::istreambuf_iterator<char>(stream), {}};
    return all.find(text) != std::string::npos;
  }
  // The exit status, or -1.
  int end(int signal) {
    ::kill(daemon, signal);
    return wait_for_end();
  }
  int wait_for_end() {
    int status = 0;
    if (::waitpid(std::exchange(daemon, -1), &status, 0) < 0 || !WIFEXITED(status)) return -1;
    return WEXITSTATUS(status);
  }

  std::string folder;
  UniqueFd notify;
  pid_t daemon = -1;
};

TEST_F(OakgatedTest, StartsAnswersAndEnds) {
  start();
  const auto status = ask(ControlVerb::status);
  ASSERT_TRUE(status) << status.error().text;
  EXPECT_EQ((*status)["gateway"], "gw-a");
  EXPECT_EQ((*status)["data_plane"], "software");
  EXPECT_EQ((*status)["peers"][0]["state"], "down");
  EXPECT_EQ(end(SIGTERM), 0);
  EXPECT_TRUE(notified("STOPPING=1"));
  EXPECT_FALSE(std::filesystem::exists(folder + "/control.sock"));
  EXPECT_EQ(std::system("ip -o link | grep -q oakgate"), 256) << "no device is left behind";
  EXPECT_EQ(std::system("test -z \"$(ip rule | grep 1111)\""), 0) << "no rule is left behind";
}

TEST_F(OakgatedTest, ReloadsOnHangup) {
  start();
  EXPECT_EQ(tunnel_name(), "lan");
  write_config("voice");
  ::kill(daemon, SIGHUP);
  ASSERT_TRUE(notified("RELOADING=1"));
  ASSERT_TRUE(notified("READY=1"));
  EXPECT_EQ(tunnel_name(), "voice");
  EXPECT_EQ(end(SIGINT), 0);
}

TEST_F(OakgatedTest, KeepsItsConfigurationIfTheNewOneIsBad) {
  start();
  std::ofstream(folder + "/oakgate.yaml", std::ios::app) << "nonsense: 1\nrubbish: 2\n";
  const auto reloaded = ask(ControlVerb::reload);
  ASSERT_FALSE(reloaded);
  EXPECT_EQ(reloaded.error().exit, Exit::configuration);
  EXPECT_EQ(reloaded.error().more["issues"].size(), 2U);
  EXPECT_TRUE(logged("nonsense"));
  EXPECT_TRUE(logged("rubbish"));
  EXPECT_EQ(tunnel_name(), "lan");
  EXPECT_EQ(end(SIGTERM), 0);
}

TEST_F(OakgatedTest, IsTheOnlyOneWithItsState) {
  start();
  const pid_t first = std::exchange(daemon, launch(folder + "/oakgate.yaml"));
  EXPECT_EQ(wait_for_end(), 1);
  EXPECT_TRUE(logged("is in use by the oakgated with pid " + std::to_string(first)));
  daemon = first;
  EXPECT_EQ(tunnel_name(), "lan") << "the first one goes on";
  EXPECT_EQ(end(SIGTERM), 0);
}

TEST_F(OakgatedTest, TakesThePlaceOfAKilledOne) {
  start();
  ::kill(daemon, SIGKILL);
  wait_for_end();
  EXPECT_TRUE(std::filesystem::exists(folder + "/control.sock"));
  start();
  EXPECT_EQ(tunnel_name(), "lan");
  EXPECT_EQ(end(SIGTERM), 0);
}

}  // namespace
}  // namespace oakgate
