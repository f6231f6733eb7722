#include "daemon/unix_listener.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

namespace oakgate {

namespace {

tl::unexpected<Error> socket_error(const ListenerName& name, const std::string& path,
                                   const std::string& what) {
  return fail(ErrorCode::not_permitted, fmt::format("{} {}: {}", name.what, path, what),
              "a path oakgated may make a socket at", fmt::format("check its folder and `{}`", name.key));
}

}  // namespace

Result<UniqueFd> listen_at_path(const ListenerName& name, const std::string& path, int backlog) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return fail(ErrorCode::configuration, fmt::format("{} {}: the path is too long", name.what, path),
                fmt::format("at most {} bytes", sizeof address.sun_path - 1),
                fmt::format("choose a shorter `{}`", name.key));
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0) {
    if (!S_ISSOCK(status.st_mode)) return socket_error(name, path, "something else is there, not a socket");
    ::unlink(path.c_str());
  }
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return socket_error(name, path, std::strerror(errno));
  const mode_t before = ::umask(0117);
  const int bound =
      ::bind(fd.get(), static_cast<const sockaddr*>(static_cast<const void*>(&address)), sizeof address);
  const int code = errno;
  ::umask(before);
  if (bound != 0) return socket_error(name, path, std::strerror(code));
  if (::listen(fd.get(), backlog) != 0) return socket_error(name, path, std::strerror(errno));
  return fd;
}

}  // namespace oakgate
