#include "daemon/cli/debug_jobs.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <string_view>

#include "daemon/cli/debug.h"
#include "xfrm/netlink/unique_fd.h"

namespace oakgate::cli {

namespace {

Failure refuse(std::string text, std::string expected, std::string remedy) {
  return {Exit::failed, "in-use", std::move(text), std::move(expected), std::move(remedy), nullptr};
}

void end_process(pid_t process) {
  ::kill(process, SIGTERM);
  while (::waitpid(process, nullptr, 0) < 0 && errno == EINTR) {
  }
}

// At least so many letters of `word`.
bool is_cut(const std::string& word, std::string_view full, std::size_t letters) {
  return word.size() >= letters && full.starts_with(word);
}

}  // namespace

DebugJobs::~DebugJobs() {
  for (const Job& job : jobs_) end_process(job.process);
}

void DebugJobs::forget_ended() {
  std::erase_if(jobs_,
                [](const Job& job) { return ::waitpid(job.process, nullptr, WNOHANG) == job.process; });
}

Outcome<void> DebugJobs::start(const Arguments& arguments) {
  forget_ended();
  if (jobs_.size() >= kMost) {
    return tl::unexpected(refuse(fmt::format("{} debugs run already", jobs_.size()),
                                 fmt::format("at most {} in one shell", kMost), "`undebug all` ends them"));
  }
  std::fflush(stdout);
  std::array<int, 2> begun{};
  if (::pipe2(begun.data(), O_CLOEXEC) != 0)
    return tl::unexpected(refuse("no pipe can be made", "more descriptors", ""));
  const UniqueFd to_read(begun[0]);
  UniqueFd to_close(begun[1]);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return tl::unexpected(refuse("no process can be started", "fewer of them", ""));
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(0);
    ::_exit(debug(arguments, DebugEnds::with_the_shell, to_close.get()));
  }
  // The prompt comes behind what it says first, or why it ended.
  to_close = UniqueFd();
  char none = 0;
  while (::read(to_read.get(), &none, 1) < 0 && errno == EINTR) {
  }
  jobs_.push_back({child, arguments.verb, arguments.peer});
  return {};
}

void DebugJobs::given_up() {
  forget_ended();
  if (!jobs_.empty()) end_all();
}

void DebugJobs::end_all() {
  forget_ended();
  for (const Job& job : jobs_) end_process(job.process);
  jobs_.clear();
  fmt::print("All possible debugging has been turned off\n");
}

void DebugJobs::end(Verb verb, const std::string& peer) {
  forget_ended();
  const auto meant = [&](const Job& job) { return job.verb == verb && (peer.empty() || job.peer == peer); };
  for (const Job& job : jobs_) {
    if (meant(job)) end_process(job.process);
  }
  std::erase_if(jobs_, meant);
  fmt::print("{} debugging is off\n", info(debug_facility(verb)).ios);
}

std::optional<std::vector<std::string>> undebug_words(const std::vector<std::string>& line) {
  if (line.size() >= 2 && is_cut(line[0], "undebug", 2)) return std::vector(line.begin() + 1, line.end());
  if (line.size() >= 3 && line[0] == "no" && is_cut(line[1], "debug", 3))
    return std::vector(line.begin() + 2, line.end());
  return std::nullopt;
}

}  // namespace oakgate::cli
