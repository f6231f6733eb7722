#include "daemon/ssh/staging.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "conf/load.h"
#include "daemon/text.h"
#include "xfrm/netlink/unique_fd.h"

namespace oakgate::ssh {

Result<std::string> read_staged(const std::string& files, const std::string& name) {
  if (files.empty()) {
    return fail(ErrorCode::not_found, "this gateway takes no configurations by scp",
                "`files` under `ssh` in oakgate.yaml");
  }
  const std::string path = (std::filesystem::path(files) / kIncoming / name).string();
  const auto failure = [&path](ErrorCode code, const std::string& what) {
    return fail(
        code, fmt::format("{}: {}", printable(path), what),
        fmt::format("a regular file of at most {} bytes that everybody may read", conf::kMaxFileBytes),
        "copy it there by scp or sftp, without -p");
  };
  // Not a FIFO's other end, and not what a link leads to.
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
  if (!file.valid())
    return failure(errno == ENOENT ? ErrorCode::not_found : ErrorCode::configuration, std::strerror(errno));
  struct stat status {};
  if (::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode))
    return failure(ErrorCode::configuration, "is no regular file");
  std::string text(conf::kMaxFileBytes + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ::read(file.get(), text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failure(ErrorCode::configuration, std::strerror(errno));
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size > conf::kMaxFileBytes) return failure(ErrorCode::configuration, "is too long");
  text.resize(size);
  return text;
}

}  // namespace oakgate::ssh
