#include "daemon/cli/client.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "daemon/text.h"
#include "ike/base/secret.h"

namespace oakgate::cli {

namespace {

using Clock = std::chrono::steady_clock;

constexpr Seconds kConnectPatience{5};
constexpr Milliseconds kConnectAgain{50};
constexpr std::size_t kMaxAnswer = 512U << 20;  // of one line: a hundred thousand tunnels take a fifth of it

Failure unreachable(const std::string& path, int code) {
  Failure failure{Exit::unreachable, "unreachable", {}, {}, {}};
  failure.expected = "a running oakgated";
  failure.remedy = "start it (`systemctl start oakgated`), or name its socket with --socket";
  if (code == ENOENT || code == ECONNREFUSED) {
    failure.text =
        fmt::format("oakgated does not listen at {}: it is not running, or has another socket", path);
  } else if (code == EACCES || code == EPERM) {
    failure.text = fmt::format("no permission to use {}", path);
    failure.expected = "root, or a member of the socket's group";
    failure.remedy = "use sudo";
  } else {
    failure.text = fmt::format("oakgated cannot be reached at {}: {}", path, std::strerror(code));
  }
  return failure;
}

// Milliseconds until `end`, for poll(2).
int left(Clock::time_point end) {
  const auto milliseconds = std::chrono::ceil<Milliseconds>(end - Clock::now()).count();
  return static_cast<int>(std::max<Milliseconds::rep>(milliseconds, 0));
}

bool wait_for(int fd, short what, std::optional<Clock::time_point> end) {
  while (true) {
    pollfd poll_fd{fd, what, 0};
    const int ready = ::poll(&poll_fd, 1, end ? left(*end) : -1);
    if (ready > 0) return true;
    if (ready == 0 || errno != EINTR) return false;
  }
}

std::optional<Clock::time_point> deadline(Seconds patience) {
  if (patience.count() == 0) return std::nullopt;
  return Clock::now() + patience;
}

Failure failure_from(const Json& error) {
  Failure failure;
  failure.exit = static_cast<Exit>(error.value("exit", static_cast<int>(Exit::failed)));
  failure.code = error.value("code", "internal");
  failure.text = error.value("text", "oakgated gives no reason");
  failure.expected = error.value("expected", "");
  failure.remedy = error.value("remedy", "");
  failure.more = error;
  for (const char* known : {"exit", "code", "text", "expected", "remedy"}) failure.more.erase(known);
  return failure;
}

}  // namespace

Failure failure_of(const Error& error) {
  // What an authority or a file says malformed is no mistake on the command line.
  const Exit exit = error.code == ErrorCode::malformed ? Exit::failed : exit_for(error.code);
  return {exit, std::string(to_string(error.code)), printable(error.text, 1024),
          printable(error.expected, 1024), printable(error.remedy, 1024)};
}

Json failure_json(const Failure& failure) {
  Json error{{"code", failure.code},
             {"text", failure.text},
             {"expected", failure.expected},
             {"remedy", failure.remedy},
             {"exit", static_cast<int>(failure.exit)}};
  if (failure.more.is_object()) error.update(failure.more);
  return {{"version", kControlVersion}, {"error", std::move(error)}};
}

Outcome<ControlClient> ControlClient::connect(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return tl::unexpected(unreachable(path, ENAMETOOLONG));
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return tl::unexpected(unreachable(path, errno));
  const auto end = Clock::now() + kConnectPatience;
  // EAGAIN: more clients are waiting than the daemon's queue holds.
  while (::connect(fd.get(), static_cast<const sockaddr*>(static_cast<const void*>(&address)),
                   sizeof address) != 0) {
    if (errno == EINTR) continue;
    if (errno != EAGAIN || Clock::now() >= end) return tl::unexpected(unreachable(path, errno));
    ::poll(nullptr, 0, static_cast<int>(kConnectAgain.count()));
  }
  return ControlClient(std::move(fd), path);
}

Failure ControlClient::broken(const std::string& what) const {
  return {Exit::unreachable, "unreachable", fmt::format("oakgated at {} {}", path_, what),
          "an answer of the daemon", "look at its log: `journalctl -u oakgated`"};
}

Outcome<void> ControlClient::send_line(const std::string& line, Seconds patience) {
  const auto end = deadline(patience);
  std::string_view rest = line;
  while (!rest.empty()) {
    const ssize_t sent = ::send(fd_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      rest.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN) {
      if (!wait_for(fd_.get(), POLLOUT, end)) return tl::unexpected(broken("does not read"));
    } else if (errno != EINTR) {
      return tl::unexpected(broken("has closed the connection"));
    }
  }
  return {};
}

Outcome<std::optional<Json>> ControlClient::next_line(std::size_t searched) {
  const std::size_t line_end = received_.find('\n', searched);
  if (line_end == std::string::npos) {
    if (received_.size() > kMaxAnswer) return tl::unexpected(broken("sends a line without end"));
    return std::nullopt;
  }
  Json json = Json::parse(received_.begin(), received_.begin() + static_cast<std::ptrdiff_t>(line_end),
                          nullptr, false);
  wipe(received_.data(), line_end);  // it may hold keys (`capture`)
  received_.erase(0, line_end + 1);
  if (!json.is_object()) return tl::unexpected(broken("speaks another protocol"));
  return json;
}

Outcome<bool> ControlClient::receive() {
  std::array<char, 65536> chunk{};
  const ssize_t got = ::recv(fd_.get(), chunk.data(), chunk.size(), 0);
  if (got > 0) {
    received_.append(chunk.data(), static_cast<std::size_t>(got));
    wipe(chunk.data(), static_cast<std::size_t>(got));
    return true;
  }
  if (got == 0 || (errno != EAGAIN && errno != EINTR))
    return tl::unexpected(broken("has closed the connection"));
  return false;
}

Outcome<Json> ControlClient::read_line(Seconds patience) {
  const auto end = deadline(patience);
  std::size_t searched = 0;
  while (true) {
    Outcome<std::optional<Json>> line = next_line(searched);
    if (!line) return tl::unexpected(line.error());
    if (*line) return std::move(**line);
    searched = received_.size();
    if (!wait_for(fd_.get(), POLLIN, end)) {
      return tl::unexpected(broken(fmt::format("has not answered for {} s", patience.count())));
    }
    if (const Outcome<bool> more = receive(); !more) return tl::unexpected(more.error());
  }
}

Outcome<void> ControlClient::begin(const ControlRequest& request, Seconds patience) {
  return send_line(dump(request_json(request)) + "\n", patience);
}

Outcome<std::optional<ControlClient::Line>> ControlClient::take() {
  std::size_t searched = 0;
  while (true) {
    Outcome<std::optional<Json>> line = next_line(searched);
    if (!line) return tl::unexpected(line.error());
    if (*line) {
      Json& json = **line;
      if (json.contains("event")) return Line{false, std::move(json["event"])};
      if (json.contains("result")) return Line{true, std::move(json["result"])};
      if (json.contains("error") && json["error"].is_object())
        return tl::unexpected(failure_from(json["error"]));
      return tl::unexpected(broken("speaks another protocol"));
    }
    searched = received_.size();
    const Outcome<bool> more = receive();
    if (!more) return tl::unexpected(more.error());
    if (!*more) return std::nullopt;
  }
}

Outcome<Json> ControlClient::request(const ControlRequest& request, Seconds patience,
                                     const OnEvent& on_event) {
  if (const auto sent = send_line(dump(request_json(request)) + "\n", patience); !sent) {
    return tl::unexpected(sent.error());
  }
  while (true) {
    Outcome<Json> line = read_line(patience);
    if (!line) return line;
    if (line->contains("event")) {
      if (on_event) on_event((*line)["event"]);
    } else if (line->contains("result")) {
      return (*line)["result"];
    } else if (line->contains("error") && (*line)["error"].is_object()) {
      return tl::unexpected(failure_from((*line)["error"]));
    } else {
      return tl::unexpected(broken("speaks another protocol"));
    }
  }
}

Failure ControlClient::follow(const OnEvent& on_event) {
  while (true) {
    const Outcome<Json> line = read_line(Seconds(0));
    if (!line) return line.error();
    if (line->contains("event")) on_event((*line)["event"]);
  }
}

}  // namespace oakgate::cli
