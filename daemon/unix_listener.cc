#include "daemon/unix_listener.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <vector>

namespace oakgate {

namespace {

tl::unexpected<Error> socket_error(const ListenerName& name, const std::string& path,
                                   const std::string& what) {
  return fail(ErrorCode::not_permitted, fmt::format("{} {}: {}", name.what, path, what),
              "a path oakgated may make a socket at", fmt::format("check its folder and `{}`", name.key));
}

constexpr std::size_t kMaxGroupEntry = 1U << 20;  // with every member's name

Result<gid_t> find_group(const ListenerName& name, const std::string& group) {
  struct group entry {};
  struct group* found = nullptr;
  int code = ERANGE;
  for (std::size_t size = 4096; code == ERANGE && size <= kMaxGroupEntry; size *= 4) {
    std::vector<char> text(size);
    code = ::getgrnam_r(group.c_str(), &entry, text.data(), text.size(), &found);
    if (found != nullptr) return entry.gr_gid;
  }
  return fail(ErrorCode::configuration,
              fmt::format("{}: there is no group {}{}", name.what, group,
                          code == 0 ? "" : fmt::format(" ({})", std::strerror(code))),
              "a group of this machine",
              fmt::format("`groupadd --system {}`, or another `{}`", group, name.key));
}

}  // namespace

Result<void> give_to_group(const ListenerName& name, const std::string& path, const std::string& group) {
  const Result<gid_t> id = find_group(name, group);
  if (!id) return fail(id.error());
  if (::fchownat(AT_FDCWD, path.c_str(), static_cast<uid_t>(-1), *id, AT_SYMLINK_NOFOLLOW) == 0) return {};
  return fail(
      ErrorCode::not_permitted,
      fmt::format("{} {}: it cannot become group {}'s: {}", name.what, path, group, std::strerror(errno)),
      "a group that oakgated is a member of",
      fmt::format("`SupplementaryGroups={}` in the unit, or another `{}`", group, name.key));
}

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
