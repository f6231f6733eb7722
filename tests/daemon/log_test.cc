// The system's loggers as they see us: each test's child has a mount namespace of its own, where the
// journal's or syslog's socket is the test's. Needs root.
#include "daemon/log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <functional>
#include <vector>

#include "xfrm/netlink/unique_fd.h"

namespace oakgate {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// Empty /run and /dev, and the logger's socket, if it has a path; the folders above it are there.
UniqueFd private_logger(const std::string& path) {
  if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount("tmpfs", "/run", "tmpfs", 0, nullptr) != 0 ||
      ::mount("tmpfs", "/dev", "tmpfs", 0, nullptr) != 0) {
    return UniqueFd();
  }
  ::mkdir("/run/systemd", 0755);
  ::mkdir("/run/systemd/journal", 0755);
  UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::memcpy(name.sun_path, path.data(), path.size());
  sockaddr_storage address{};
  std::memcpy(&address, &name, sizeof name);
  const void* raw = &address;
  if (::bind(fd.get(), static_cast<const sockaddr*>(raw), sizeof name) != 0) return UniqueFd();
  return fd;
}

// What a logger at `path` gets of what `write` writes.
std::string logged(const std::string& path, const std::function<void(const Log&)>& write) {
  std::array<int, 2> ends{};
  EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  const pid_t child = ::fork();
  if (child == 0) {
    const UniqueFd logger = private_logger(path);
    if (!logger.valid()) ::_exit(2);
    write(Log(make_system_sink(), LogLevel::info));
    std::array<char, 16384> datagram{};
    const ssize_t got = ::recv(logger.get(), datagram.data(), datagram.size(), MSG_DONTWAIT);
    if (got < 0) ::_exit(3);
    ::_exit(::write(writer.get(), datagram.data(), static_cast<std::size_t>(got)) == got ? 0 : 4);
  }
  writer = UniqueFd();
  std::string text;
  std::array<char, 4096> part{};
  ssize_t got = 0;
  while ((got = ::read(reader.get(), part.data(), part.size())) > 0) {
    text.append(part.data(), static_cast<std::size_t>(got));
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0) << "2: no private logger (needs root), 3: nothing came";
  return text;
}

const std::string kJournal = "/run/systemd/journal/socket";
const std::string kSyslog = "/dev/log";

TEST(SystemLog, TheJournalGetsTextPriorityAndFields) {
  const std::string entry = logged(kJournal, [](const Log& log) {
    const std::vector<LogField> fields{{"OAKGATE_PEER", "branch-7"}};
    log.write(LogLevel::warning, "[branch-7] a line", fields);
  });
  EXPECT_THAT(entry, HasSubstr("MESSAGE=[branch-7] a line\n"));
  EXPECT_THAT(entry, HasSubstr("PRIORITY=" + std::to_string(LOG_WARNING) + "\n"));
  EXPECT_THAT(entry, HasSubstr("SYSLOG_IDENTIFIER=oakgated\n"));
  EXPECT_THAT(entry, HasSubstr("OAKGATE_PEER=branch-7\n"));
}

TEST(SystemLog, NoLineBreakBeginsAField) {
  const std::string entry = logged(kJournal, [](const Log& log) {
    const std::vector<LogField> fields{{"OAKGATE_PEER", "x\nPRIORITY=0"}};
    log.write(LogLevel::notice, "text\nMESSAGE=another", fields);
  });
  EXPECT_THAT(entry, HasSubstr("MESSAGE=text\\x0aMESSAGE=another\n"));
  // The journal's form for values with line breaks: name, length in eight bytes, value.
  const std::string length(std::string("\x0c") + std::string(7, '\0'));
  EXPECT_THAT(entry, HasSubstr("OAKGATE_PEER\n" + length + "x\nPRIORITY=0\n"));
}

TEST(SystemLog, WithoutAJournalSyslogGetsTheLine) {
  const std::string line = logged(kSyslog, [](const Log& log) { log.error("a line\nand %s"); });
  EXPECT_THAT(line, StartsWith("<" + std::to_string(LOG_DAEMON | LOG_ERR) + ">"));
  EXPECT_THAT(line, HasSubstr(" oakgated["));
  EXPECT_THAT(line, EndsWith("]: a line\\x0aand %s"));
}

TEST(SystemLog, DropsWhatIsLessUrgentThanAsked) {
  const std::string entry = logged(kJournal, [](const Log& log) {
    log.write(LogLevel::debug, "too much");
    log.write(LogLevel::info, "enough");
  });
  EXPECT_THAT(entry, HasSubstr("MESSAGE=enough\n"));
  EXPECT_THAT(entry, Not(HasSubstr("too much")));
}

}  // namespace
}  // namespace oakgate
