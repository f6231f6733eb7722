// A control socket that answers one client with prepared lines: for the tests of the command.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <thread>

#include "xfrm/netlink/unique_fd.h"

namespace oakgate::test {

class FakeDaemon {
 public:
  // Reads one line, sends `answer`, closes. An empty answer: it takes the connection and never says a word
  // until the test ends.
  explicit FakeDaemon(std::string answer) : answer_(std::move(answer)) {
    std::string name = "/tmp/oakgate-cli-test.XXXXXX";
    folder_ = ::mkdtemp(name.data());
    path_ = folder_ + "/control.sock";
    listener_ = UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path_.c_str(), path_.size() + 1);
    EXPECT_EQ(::bind(listener_.get(), static_cast<const sockaddr*>(static_cast<const void*>(&address)),
                     sizeof address),
              0);
    EXPECT_EQ(::listen(listener_.get(), 1), 0);
    if (!answer_.empty()) thread_ = std::thread([this] { serve(); });
  }
  ~FakeDaemon() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    if (thread_.joinable()) thread_.join();
    std::filesystem::remove_all(folder_);
  }
  FakeDaemon(const FakeDaemon&) = delete;
  FakeDaemon& operator=(const FakeDaemon&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  // What the client asked; call it once the client has ended.
  [[nodiscard]] const std::string& request() {
    ::shutdown(listener_.get(), SHUT_RDWR);  // a client that never came does not come any more
    if (thread_.joinable()) thread_.join();
    return request_;
  }

 private:
  void serve() {
    const UniqueFd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!client.valid()) return;
    std::array<char, 4096> chunk{};
    while (request_.find('\n') == std::string::npos) {
      const ssize_t got = ::recv(client.get(), chunk.data(), chunk.size(), 0);
      if (got <= 0) return;
      request_.append(chunk.data(), static_cast<std::size_t>(got));
    }
    std::string_view rest = answer_;
    while (!rest.empty()) {
      const ssize_t sent = ::send(client.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      rest.remove_prefix(static_cast<std::size_t>(sent));
    }
  }

  std::string answer_;
  std::string folder_;
  std::string path_;
  std::string request_;
  UniqueFd listener_;
  std::thread thread_;
};

}  // namespace oakgate::test
