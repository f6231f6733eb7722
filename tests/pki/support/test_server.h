// A TCP server on loopback, in the test's process: answers as a test says, well or badly. One thread accepts,
// one serves each connection; all end with the object.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "xfrm/netlink/unique_fd.h"

namespace oakgate::test {

struct TestReply {
  std::string bytes;
  enum class Then : std::uint8_t { close, hold, drip } then = Then::close;  // drip: a byte every 20 ms
};

class TestServer {
 public:
  // `request`: header and body as they came.
  using Handler = std::function<TestReply(const std::string& request)>;
  // Port 0: one of the kernel's choice. `waits_for_request`: false: answers a connection at once.
  explicit TestServer(Handler handler, const std::string& address = "127.0.0.1",
                      bool waits_for_request = true);
  ~TestServer();
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string url(const std::string& path = "/") const;  // http://ADDRESS:PORT/path
  [[nodiscard]] std::vector<std::string> requests() const;

 private:
  void accept_all();
  void serve(int fd);

  Handler handler_;
  std::string address_;
  bool waits_for_request_;
  std::uint16_t port_ = 0;
  UniqueFd listener_;
  UniqueFd stop_;  // an eventfd: readable once the server ends
  mutable std::mutex mutex_;
  std::vector<std::string> requests_;
  std::vector<std::thread> connections_;
  std::thread acceptor_;
};

// "HTTP/1.1 200 OK" with Content-Length and type.
[[nodiscard]] std::string http_answer(const std::string& body,
                                      const std::string& type = "application/pkix-crl");
[[nodiscard]] std::string http_redirect(const std::string& location, int status = 302);

}  // namespace oakgate::test
