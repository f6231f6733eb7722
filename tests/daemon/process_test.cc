#include "daemon/process.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "daemon/core_dumps.h"
#include "daemon/system_rng.h"

namespace oakgate {
namespace {

struct Folder {
  Folder() {
    std::string name = "/tmp/oakgate-process-test.XXXXXX";
    path = ::mkdtemp(name.data());
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string path;
};

TEST(ProcessLock, IsTakenOnceAndNamesItsHolder) {
  const Folder folder;
  const std::string file = folder.path + "/state/oakgated.lock";
  auto first = ProcessLock::take(file, "state directory " + folder.path);
  ASSERT_TRUE(first) << first.error().text;
  const auto second = ProcessLock::take(file, "state directory " + folder.path);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::in_use);
  EXPECT_EQ(second.error().text, "the state directory " + folder.path +
                                     " is in use by the oakgated with pid " + std::to_string(::getpid()));
}

TEST(ProcessLock, EndsWithItsHolder) {
  const Folder folder;
  const std::string file = folder.path + "/oakgated.lock";
  { ASSERT_TRUE(ProcessLock::take(file, "state directory")); }
  EXPECT_TRUE(ProcessLock::take(file, "state directory"));
}

TEST(ProcessLock, FollowsNoLink) {
  const Folder folder;
  std::filesystem::create_symlink("/etc/passwd", folder.path + "/oakgated.lock");
  const auto lock = ProcessLock::take(folder.path + "/oakgated.lock", "state directory");
  ASSERT_FALSE(lock);
  EXPECT_EQ(lock.error().code, ErrorCode::not_permitted);
}

// A service manager's environment, and what it is told.
class ServiceManager {
 public:
  ServiceManager() : fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = folder_.path + "/notify";
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    EXPECT_EQ(
        ::bind(fd_.get(), static_cast<const sockaddr*>(static_cast<const void*>(&address)), sizeof address),
        0);
    ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
  }
  ~ServiceManager() {
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) ::unsetenv(name);
  }
  ServiceManager(const ServiceManager&) = delete;
  ServiceManager& operator=(const ServiceManager&) = delete;
  [[nodiscard]] std::string told() const {
    std::array<char, 1024> text{};
    const ssize_t got = ::recv(fd_.get(), text.data(), text.size(), MSG_DONTWAIT);
    return got < 0 ? "nothing" : std::string(text.data(), static_cast<std::size_t>(got));
  }

 private:
  Folder folder_;
  UniqueFd fd_;
};

TEST(Watchdog, IsTheServiceManagersToAskFor) {
  const ServiceManager manager;
  EXPECT_EQ(watchdog_bound(), std::nullopt);
  ::setenv("WATCHDOG_USEC", "30000000", 1);
  EXPECT_EQ(watchdog_bound(), Milliseconds(30000));
  ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
  EXPECT_EQ(watchdog_bound(), Milliseconds(30000));
  ::setenv("WATCHDOG_PID", "1", 1);
  EXPECT_EQ(watchdog_bound(), std::nullopt) << "another process's";
  notify_watchdog();
  EXPECT_EQ(manager.told(), "WATCHDOG=1");
}

TEST(SystemRng, FillsWhatItIsGiven) {
  auto rng = SystemRng::create();
  ASSERT_TRUE(rng);
  std::array<std::uint8_t, 1024> bytes{};
  rng->fill(bytes);
  EXPECT_LT(std::count(bytes.begin(), bytes.end(), 0), 100);
}

// In a child: the process stays as it becomes.
TEST(CoreDumps, AreForbidden) {
  const pid_t child = ::fork();
  if (child == 0) {
    forbid_core_dumps();
    rlimit limit{1, 1};
    ::getrlimit(RLIMIT_CORE, &limit);
    ::_exit(limit.rlim_max == 0 && ::prctl(PR_GET_DUMPABLE) == 0 ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(Privileges, AreMissingWithoutThem) {
  const pid_t child = ::fork();
  if (child == 0) {
    // Root gives its capabilities up by becoming nobody; nobody has none.
    if (::geteuid() == 0 && ::setuid(65534) != 0) ::_exit(2);
    const Result<void> allowed = check_privileges();
    const bool named = !allowed && allowed.error().code == ErrorCode::not_permitted &&
                       allowed.error().text.find("CAP_NET_ADMIN") != std::string::npos &&
                       allowed.error().text.find("CAP_NET_RAW") != std::string::npos;
    ::_exit(named ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace oakgate
