// Regular files, opened so that neither a FIFO nor a device can hold the daemon up. Private to conf/.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "ike/base/result.h"

namespace oakgate::conf {

// Owns a file descriptor.
class FileHandle {
 public:
  explicit FileHandle(int fd) : fd_(fd) {}
  FileHandle(FileHandle&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileHandle& operator=(FileHandle&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  FileHandle(const FileHandle&) = delete;
  FileHandle& operator=(const FileHandle&) = delete;
  ~FileHandle();
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

struct OpenFile {
  FileHandle handle;
  struct stat status;  // of what was opened, not of what the path leads to by now
};

// ErrorCode::not_found if there is nothing of that name.
[[nodiscard]] Result<OpenFile> open_regular(const std::string& path);
// How many bytes there were, at most as many as fit. An error's text is the system's alone.
[[nodiscard]] Result<std::size_t> read_up_to(const FileHandle& file, std::span<std::uint8_t> out);

}  // namespace oakgate::conf
