#include "daemon/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>

namespace oakgate {

namespace {

struct NeededCapability {
  unsigned number;
  const char* name;
  const char* purpose;
};
constexpr std::array kNeeded{NeededCapability{CAP_NET_ADMIN, "CAP_NET_ADMIN", "routes, policies and devices"},
                             NeededCapability{CAP_NET_RAW, "CAP_NET_RAW", "ESP sockets"},
                             NeededCapability{CAP_NET_BIND_SERVICE, "CAP_NET_BIND_SERVICE", "UDP port 500"}};

bool port_500_needs_capability() {
  std::ifstream stream("/proc/sys/net/ipv4/ip_unprivileged_port_start");
  int first_free = 1024;
  stream >> first_free;
  return first_free > 500;
}

std::string read_pid(int fd) {
  std::array<char, 32> text{};
  const ssize_t got = ::pread(fd, text.data(), text.size() - 1, 0);
  const long pid = got > 0 ? std::strtol(text.data(), nullptr, 10) : 0;
  return pid > 0 ? fmt::format("the oakgated with pid {}", pid) : "another oakgated";
}

}  // namespace

Result<void> check_privileges() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> data{};
  if (::syscall(SYS_capget, &header, data.data()) != 0) {
    return fail(ErrorCode::internal, fmt::format("capget: {}", std::strerror(errno)));
  }
  std::string missing;
  for (const NeededCapability& needed : kNeeded) {
    if (needed.number == CAP_NET_BIND_SERVICE && !port_500_needs_capability()) continue;
    if ((data[needed.number / 32].effective >> (needed.number % 32) & 1U) != 0) continue;
    missing += fmt::format("{}{} ({})", missing.empty() ? "" : ", ", needed.name, needed.purpose);
  }
  if (missing.empty()) return {};
  return fail(ErrorCode::not_permitted, "oakgated lacks privileges: " + missing,
              "root, or a process with these capabilities",
              "start it with `systemctl start oakgated`, or as root");
}

Result<ProcessLock> ProcessLock::take(const std::string& file, const std::string& what) {
  std::error_code problem;
  const std::filesystem::path folder = std::filesystem::path(file).parent_path();
  if (!folder.empty()) std::filesystem::create_directories(folder, problem);
  if (problem) {
    return fail(ErrorCode::not_permitted,
                fmt::format("{}: the folder {} cannot be made: {}", what, folder.string(), problem.message()),
                "a folder oakgated may write to", "make it, or name another one in the configuration");
  }
  UniqueFd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) {
    return fail(ErrorCode::not_permitted,
                fmt::format("{}: {} cannot be opened: {}", what, file, std::strerror(errno)),
                "a file oakgated may write to", "check the owner of its folder");
  }
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) {
      return fail(ErrorCode::internal, fmt::format("{}: {}: {}", what, file, std::strerror(errno)));
    }
    return fail(ErrorCode::in_use, fmt::format("the {} is in use by {}", what, read_pid(fd.get())),
                "one daemon for each state directory and control socket",
                "stop the other one, or give this one its own `gateway.state_dir` and "
                "`gateway.control_socket`");
  }
  const std::string pid = fmt::format("{}\n", ::getpid());
  if (::ftruncate(fd.get(), 0) != 0 ||
      ::pwrite(fd.get(), pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    return fail(ErrorCode::internal, fmt::format("{}: {}: {}", what, file, std::strerror(errno)),
                "a file system with free space", "make room there");
  }
  return ProcessLock(std::move(fd));
}

void notify_ready(const std::string& status) {
  sd_notifyf(0, "READY=1\nSTATUS=%s", status.c_str());
}

void notify_reloading() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const auto micros = static_cast<unsigned long long>(now.tv_sec) * 1000000ULL +
                      static_cast<unsigned long long>(now.tv_nsec) / 1000ULL;
  sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu", micros);
}

void notify_stopping() {
  sd_notify(0, "STOPPING=1\nSTATUS=taking the tunnels down");
}

void notify_status(const std::string& status) {
  sd_notifyf(0, "STATUS=%s", status.c_str());
}

std::optional<Milliseconds> watchdog_bound() {
  std::uint64_t micros = 0;
  if (sd_watchdog_enabled(0, &micros) <= 0) return std::nullopt;
  return Milliseconds(std::max<std::int64_t>(1, static_cast<std::int64_t>(micros / 1000)));
}

void notify_watchdog() {
  sd_notify(0, "WATCHDOG=1");
}

}  // namespace oakgate
