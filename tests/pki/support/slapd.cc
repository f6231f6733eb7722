#include "tests/pki/support/slapd.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <vector>

#include "xfrm/netlink/unique_fd.h"

namespace oakgate::test {

namespace {

constexpr int kPatience = 20000;  // milliseconds
constexpr int kBetweenTries = 20;

// A port that was free a moment ago.
std::uint16_t free_port() {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  sockaddr_storage bound{};
  std::memcpy(&bound, &in, sizeof in);
  auto* name = static_cast<sockaddr*>(static_cast<void*>(&bound));
  socklen_t length = sizeof in;
  if (::bind(fd.get(), name, length) != 0 || ::getsockname(fd.get(), name, &length) != 0) {
    throw std::runtime_error("no free port");
  }
  std::memcpy(&in, &bound, sizeof in);
  return ntohs(in.sin_port);
}

// It says that it starts a moment before it listens. `output` ends with the server.
void await_listening(std::uint16_t port, int output) {
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(port);
  in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  sockaddr_storage server{};
  std::memcpy(&server, &in, sizeof in);
  const auto* name = static_cast<const sockaddr*>(static_cast<const void*>(&server));
  for (int tries = 0; tries < kPatience / kBetweenTries; ++tries) {
    const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::connect(fd.get(), name, sizeof in) == 0) return;
    pollfd waiting{output, 0, 0};
    if (::poll(&waiting, 1, kBetweenTries) != 0) throw std::runtime_error("slapd has ended");
  }
  throw std::runtime_error("slapd does not listen");
}

// Its standard error goes to `output`.
pid_t spawn(std::vector<std::string> arguments, int output) {
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t pid = -1;
  const int code = ::posix_spawn(&pid, pointers[0], &actions, nullptr, pointers.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (code != 0) throw std::runtime_error("cannot start " + arguments[0] + ": " + std::strerror(code));
  return pid;
}

// What comes out of `fd` until it ends or `word` is in it.
std::string read_until(int fd, std::string_view word) {
  std::string text;
  std::array<char, 4096> part{};
  pollfd waiting{fd, POLLIN, 0};
  while (text.find(word) == std::string::npos && ::poll(&waiting, 1, kPatience) == 1) {
    const ssize_t got = ::read(fd, part.data(), part.size());
    if (got <= 0) break;
    text.append(part.data(), static_cast<std::size_t>(got));
  }
  return text;
}

struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
    reader = UniqueFd(ends[0]);
    writer = UniqueFd(ends[1]);
  }
  UniqueFd reader;
  UniqueFd writer;
};

}  // namespace

Slapd::Slapd(const std::string& entries) : port_(free_port()) {
  std::string name = std::filesystem::temp_directory_path() / "oakgate-slapd.XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
  folder_ = name;
  std::filesystem::create_directory(folder_ / "data");
  std::ofstream(folder_ / "slapd.conf")
      << "include /etc/ldap/schema/core.schema\nmodulepath /usr/lib/ldap\n"
      << "moduleload back_mdb\ndatabase mdb\nmaxsize 67108864\nsuffix \"c=us\"\n"
      << "directory " << (folder_ / "data").string() << "\n";
  load("dn: c=us\nobjectClass: country\nc: us\n\n" + entries);
  start();
}

Slapd::~Slapd() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  std::filesystem::remove_all(folder_);
}

void Slapd::load(const std::string& entries) const {
  std::ofstream(folder_ / "tree.ldif") << entries;
  Pipe pipe;
  const pid_t pid = spawn(
      {"/usr/sbin/slapadd", "-f", (folder_ / "slapd.conf").string(), "-l", (folder_ / "tree.ldif").string()},
      pipe.writer.get());
  pipe.writer = UniqueFd();
  const std::string output = read_until(pipe.reader.get(), "\0");
  int status = 0;
  ::waitpid(pid, &status, 0);
  if (status != 0) throw std::runtime_error("slapadd: " + output);
}

void Slapd::start() {
  Pipe pipe;
  // Any level of debugging keeps it in the foreground and has it say when it is ready.
  pid_ = spawn({"/usr/sbin/slapd", "-d", "none", "-f", (folder_ / "slapd.conf").string(), "-h", url("")},
               pipe.writer.get());
  pipe.writer = UniqueFd();
  const std::string output = read_until(pipe.reader.get(), "slapd starting");
  if (output.find("slapd starting") == std::string::npos) throw std::runtime_error("slapd: " + output);
  output_ = std::move(pipe.reader);
  await_listening(port_, output_.get());
}

std::string Slapd::url(const std::string& rest) const {
  return "ldap://127.0.0.1:" + std::to_string(port_) + "/" + rest;
}

}  // namespace oakgate::test
