#include "daemon/process.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
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
