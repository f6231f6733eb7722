#include "conf/files.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "conf/text.h"

namespace oakgate::conf {

namespace {

std::string system_text(int error) {
  return std::strerror(error);
}

}  // namespace

FileHandle::~FileHandle() {
  if (fd_ >= 0) ::close(fd_);
}

Result<OpenFile> open_regular(const std::string& path) {
  OpenFile file{FileHandle(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)), {}};
  if (file.handle.get() < 0 || ::fstat(file.handle.get(), &file.status) != 0) {
    return fail(errno == ENOENT ? ErrorCode::not_found : ErrorCode::not_permitted,
                "cannot read " + printable(path) + ": " + system_text(errno),
                "a file that this user may read");
  }
  if (!S_ISREG(file.status.st_mode)) {
    return fail(
        ErrorCode::configuration,
        printable(path) + (S_ISDIR(file.status.st_mode) ? " is a directory" : " is not a regular file"),
        "a regular file");
  }
  return file;
}

Result<std::size_t> read_up_to(const FileHandle& file, std::span<std::uint8_t> out) {
  std::size_t filled = 0;
  while (filled < out.size()) {
    const ssize_t count = ::read(file.get(), out.data() + filled, out.size() - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(ErrorCode::not_found, system_text(errno));
    if (count == 0) break;
    filled += static_cast<std::size_t>(count);
  }
  return filled;
}

}  // namespace oakgate::conf
