#include "pki/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <system_error>

namespace oakgate::pki {
namespace {

class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  [[nodiscard]] int get() const { return descriptor_; }
  [[nodiscard]] explicit operator bool() const { return descriptor_ >= 0; }

 private:
  int descriptor_;
};

std::string reason(int error) {
  return std::generic_category().message(error);
}

tl::unexpected<Error> write_failure(const std::filesystem::path& path, const char* what, int error) {
  const bool denied = error == EACCES || error == EPERM || error == EROFS;
  return fail(
      denied ? ErrorCode::not_permitted : ErrorCode::internal,
      "cannot " + std::string(what) + " " + path.string() + ": " + reason(error), "a folder we may write to",
      denied ? "Give the daemon's user the folder, or name another one." : "See that the disk has room.");
}

// Reads into `out`, which has room for one byte more than is allowed: so a file that grows is noticed.
Result<std::size_t> read_all(const std::filesystem::path& path, int descriptor, std::span<std::uint8_t> out) {
  std::size_t size = 0;
  while (size < out.size()) {
    const ssize_t count = ::read(descriptor, out.data() + size, out.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      return fail(ErrorCode::configuration, "cannot read " + path.string() + ": " + reason(errno));
    }
    if (count == 0) break;
    size += static_cast<std::size_t>(count);
  }
  return size;
}

struct Opened {
  int descriptor;
  std::size_t size;
};
Result<Opened> open_to_read(const std::filesystem::path& path, std::size_t max_bytes) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a FIFO must not hold us
  if (descriptor < 0) {
    const int error = errno;
    if (error == ENOENT || error == ENOTDIR)
      return fail(ErrorCode::not_found, "there is no file " + path.string());
    return fail(ErrorCode::configuration, "cannot read " + path.string() + ": " + reason(error));
  }
  struct stat status {};
  if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(descriptor);
    return fail(ErrorCode::configuration, path.string() + " is not a regular file");
  }
  if (static_cast<std::uint64_t>(status.st_size) > max_bytes) {
    ::close(descriptor);
    return fail(ErrorCode::configuration, path.string() + " has " + std::to_string(status.st_size) +
                                              " bytes, more than the " + std::to_string(max_bytes) +
                                              " that are read");
  }
  return Opened{descriptor, static_cast<std::size_t>(status.st_size)};
}

Result<void> write_all(const std::filesystem::path& path, int descriptor, ByteView content) {
  while (!content.empty()) {
    const ssize_t count = ::write(descriptor, content.data(), content.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return write_failure(path, "write", errno);
    content = content.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

Result<void> fill(const std::filesystem::path& path, int descriptor, ByteView content, mode_t mode) {
  // The umask may have taken bits from the mode that mkostemp gives (0600): set it while it is still empty.
  if (::fchmod(descriptor, mode) != 0) return write_failure(path, "set the mode of", errno);
  if (auto written = write_all(path, descriptor, content); !written) return written;
  if (::fsync(descriptor) != 0) return write_failure(path, "write", errno);
  return {};
}

}  // namespace

Result<Bytes> read_file(const std::filesystem::path& path, std::size_t max_bytes) {
  auto opened = open_to_read(path, max_bytes);
  if (!opened) return tl::unexpected(opened.error());
  const File file(opened->descriptor);
  Bytes content(opened->size + 1);
  const auto size = read_all(path, file.get(), content);
  if (!size) return tl::unexpected(size.error());
  content.resize(std::min(*size, opened->size));
  return content;
}

Result<SecretBytes> read_secret_file(const std::filesystem::path& path, std::size_t max_bytes) {
  auto opened = open_to_read(path, max_bytes);
  if (!opened) return tl::unexpected(opened.error());
  const File file(opened->descriptor);
  SecretBytes content(opened->size);
  const auto size = read_all(path, file.get(), content.mutable_view());
  if (!size) return tl::unexpected(size.error());
  return content.slice(0, *size);
}

Result<void> write_file(const std::filesystem::path& path, ByteView content, mode_t mode) {
  const std::filesystem::path folder =
      path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  std::error_code error;
  if (!std::filesystem::exists(folder, error)) {
    std::filesystem::create_directories(folder, error);
    if (error) return write_failure(folder, "make the folder", error.value());
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all, error);
  }
  std::string name = path.string() + ".XXXXXX";
  const File file(::mkostemp(name.data(), O_CLOEXEC));
  if (!file) return write_failure(path, "write", errno);
  if (auto filled = fill(path, file.get(), content, mode); !filled) {
    ::unlink(name.c_str());
    return filled;
  }
  if (::rename(name.c_str(), path.c_str()) != 0) {
    const int failure = errno;
    ::unlink(name.c_str());
    return write_failure(path, "replace", failure);
  }
  // The rename itself has to reach the disk; where a folder cannot be synced, the content is safe all the
  // same.
  if (const File directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)); directory) {
    static_cast<void>(::fsync(directory.get()));
  }
  return {};
}

}  // namespace oakgate::pki
