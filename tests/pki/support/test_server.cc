#include "tests/pki/support/test_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

namespace oakgate::test {

namespace {

constexpr int kDripMilliseconds = 20;

// Header and, as long as it says, body are there.
bool complete(const std::string& request) {
  const auto end = request.find("\r\n\r\n");
  if (end == std::string::npos) return false;
  const auto length = request.find("Content-Length: ");
  const std::size_t body = length < end ? std::strtoul(request.c_str() + length + 16, nullptr, 10) : 0;
  return request.size() >= end + 4 + body;
}

bool send_all(int fd, const std::string& bytes) {
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t now = ::send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (now <= 0) return false;
    sent += static_cast<std::size_t>(now);
  }
  return true;
}

}  // namespace

TestServer::TestServer(Handler handler, const std::string& address, bool waits_for_request)
    : handler_(std::move(handler)), address_(address), waits_for_request_(waits_for_request) {
  listener_ = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  stop_ = UniqueFd(::eventfd(0, EFD_CLOEXEC));
  sockaddr_in in{};
  in.sin_family = AF_INET;
  ::inet_pton(AF_INET, address.c_str(), &in.sin_addr);
  sockaddr_storage bound{};
  std::memcpy(&bound, &in, sizeof in);
  auto* name = static_cast<sockaddr*>(static_cast<void*>(&bound));
  socklen_t length = sizeof in;
  if (::bind(listener_.get(), name, length) != 0 || ::listen(listener_.get(), 16) != 0 ||
      ::getsockname(listener_.get(), name, &length) != 0) {
    throw std::runtime_error("the test's server cannot listen on " + address);
  }
  std::memcpy(&in, &bound, sizeof in);
  port_ = ntohs(in.sin_port);
  acceptor_ = std::thread([this] { accept_all(); });
}

TestServer::~TestServer() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(stop_.get(), &one, sizeof one);
  acceptor_.join();
  for (std::thread& connection : connections_) connection.join();
}

std::string TestServer::url(const std::string& path) const {
  return "http://" + address_ + ":" + std::to_string(port_) + path;
}

std::vector<std::string> TestServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

void TestServer::accept_all() {
  std::array<pollfd, 2> waiting{{{listener_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}}};
  while (::poll(waiting.data(), waiting.size(), -1) > 0 && waiting[1].revents == 0) {
    const int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
    if (fd >= 0) connections_.emplace_back([this, fd] { serve(fd); });
  }
}

void TestServer::serve(int fd) {
  const UniqueFd owner(fd);
  std::array<pollfd, 2> waiting{{{fd, POLLIN, 0}, {stop_.get(), POLLIN, 0}}};
  std::string request;
  std::array<char, 4096> part{};
  while (waits_for_request_ && !complete(request)) {
    if (::poll(waiting.data(), waiting.size(), -1) <= 0 || waiting[1].revents != 0) return;
    const ssize_t got = ::recv(fd, part.data(), part.size(), 0);
    if (got <= 0) return;
    request.append(part.data(), static_cast<std::size_t>(got));
  }
  {
    const std::lock_guard lock(mutex_);
    requests_.push_back(request);
  }
  const TestReply reply = handler_(request);
  if (!send_all(fd, reply.bytes) || reply.then == TestReply::Then::close) return;
  const int patience = reply.then == TestReply::Then::drip ? kDripMilliseconds : -1;
  while (true) {
    const int ready = ::poll(waiting.data(), waiting.size(), patience);
    if (ready < 0 || waiting[1].revents != 0) return;
    if (waiting[0].revents != 0 && ::recv(fd, part.data(), part.size(), 0) <= 0) return;
    if (ready == 0 && !send_all(fd, "0")) return;
  }
}

std::string http_answer(const std::string& body, const std::string& type) {
  return "HTTP/1.1 200 OK\r\nContent-Type: " + type + "\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

std::string http_redirect(const std::string& location, int status) {
  return "HTTP/1.1 " + std::to_string(status) + " Found\r\nContent-Length: 0\r\nLocation: " + location +
         "\r\n\r\n";
}

}  // namespace oakgate::test
