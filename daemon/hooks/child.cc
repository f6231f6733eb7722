#include "daemon/hooks/child.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

namespace oakgate::hooks {

namespace {

constexpr std::size_t kReadsAtOnce = 16;  // what a pipe holds (pipe(7)), before the loop goes on

Error system_error(std::string_view what, int number) {
  return {ErrorCode::internal, fmt::format("{}: {}", what, std::strerror(number)), {}, {}, {}};
}

// posix_spawn's two parameters, which want to be destroyed.
struct SpawnPlan {
  SpawnPlan() {
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
  }
  ~SpawnPlan() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;

  // 0, or an errno.
  [[nodiscard]] int prepare(int output) {
    // The daemon ignores SIGPIPE and its threads block signals: a program expects neither.
    sigset_t all;
    sigset_t none;
    sigfillset(&all);
    sigemptyset(&none);
    for (const int failed :
         {posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0),
          posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO),
          posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO),
          posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1),
          posix_spawn_file_actions_addchdir_np(&actions, "/"),
          posix_spawnattr_setsigdefault(&attributes, &all), posix_spawnattr_setsigmask(&attributes, &none),
          posix_spawnattr_setpgroup(&attributes, 0),
          posix_spawnattr_setflags(&attributes,
                                   POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP)}) {
      if (failed != 0) return failed;
    }
    return 0;
  }

  posix_spawn_file_actions_t actions{};
  posix_spawnattr_t attributes{};
};

Result<void> outcome_of(int status) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  if (WIFSIGNALED(status)) {
    return fail(ErrorCode::internal, fmt::format("the program was ended by signal {} ({})", WTERMSIG(status),
                                                 ::strsignal(WTERMSIG(status))));
  }
  return fail(ErrorCode::internal, fmt::format("the program ended with exit status {}", WEXITSTATUS(status)),
              "0");
}

}  // namespace

Child::Child(Loop& loop, Milliseconds patience, Callbacks callbacks)
    : loop_(loop), patience_(patience), callbacks_(std::move(callbacks)), timer_(loop, [this] {
        too_slow_ = true;
        kill_group();
      }) {}

Child::~Child() {
  if (pid_ < 0) return;
  kill_group();
  int status = 0;
  // It was killed: this does not take long.
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) continue;
}

Result<std::unique_ptr<Child>> Child::start(Loop& loop, const std::string& path,
                                            const std::vector<std::string>& environment,
                                            Milliseconds patience, Callbacks callbacks) {
  std::unique_ptr<Child> child(new Child(loop, patience, std::move(callbacks)));
  if (auto running = child->spawn(path, environment); !running) return fail(running.error());
  return child;
}

Result<void> Child::spawn(const std::string& path, const std::vector<std::string>& environment) {
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) return fail(system_error("no pipe", errno));
  output_ = UniqueFd(pipe[0]);
  const UniqueFd theirs(pipe[1]);
  ::fcntl(output_.get(), F_SETFL, O_NONBLOCK);
  SpawnPlan plan;
  if (const int failed = plan.prepare(theirs.get()); failed != 0)
    return fail(system_error("no process", failed));
  std::string name = path;
  const std::array<char*, 2> arguments{name.data(), nullptr};
  std::vector<std::string> texts = environment;
  std::vector<char*> variables;
  for (std::string& one : texts) variables.push_back(one.data());
  variables.push_back(nullptr);
  const int failed =
      ::posix_spawn(&pid_, path.c_str(), &plan.actions, &plan.attributes, arguments.data(), variables.data());
  if (failed != 0) {
    pid_ = -1;
    return fail(system_error("it cannot be run", failed));
  }
  process_ = UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  if (!process_.valid()) return fail(system_error("its end cannot be watched", errno));
  output_watch_ = Watch::readable(loop_, output_.get(), [this] { read_output(); });
  process_watch_ = Watch::readable(loop_, process_.get(), [this] { on_end(); });
  timer_.arm(patience_);
  return {};
}

// Its descendants too: they are in its group unless they have left it. As long as it is not reaped, nobody
// else can have the number.
void Child::kill_group() {
  ::kill(-pid_, SIGKILL);
}

void Child::read_output() {
  std::array<char, 4096> buffer{};
  for (std::size_t i = 0; i < kReadsAtOnce; ++i) {
    const ssize_t got = ::read(output_.get(), buffer.data(), buffer.size());
    if (got < 0) return;  // nothing now
    if (got == 0) {
      output_watch_->stop();
      return;
    }
    take({buffer.data(), static_cast<std::size_t>(got)});
  }
}

void Child::take(std::string_view bytes) {
  for (const char c : bytes) {
    if (c == '\n') {
      say(line_);
      line_.clear();
    } else if (line_.size() <= kMaxOutputLine) {
      line_ += c;
    }
  }
}

void Child::say(std::string_view line) {
  if (line.empty()) return;
  if (++lines_ > kMaxOutputLines) return;
  callbacks_.said(line.size() > kMaxOutputLine ? std::string(line.substr(0, kMaxOutputLine)) + "..."
                                               : std::string(line));
}

void Child::on_end() {
  process_watch_->stop();
  timer_.disarm();
  kill_group();  // what it has left behind
  output_watch_->stop();
  read_output();
  say(line_);
  if (lines_ > kMaxOutputLines) callbacks_.said(fmt::format("({} more lines)", lines_ - kMaxOutputLines));
  int status = 0;
  const pid_t reaped = ::waitpid(pid_, &status, WNOHANG);
  if (reaped == pid_) pid_ = -1;
  Result<void> result = outcome_of(status);
  if (too_slow_) {
    result =
        fail(ErrorCode::no_answer, fmt::format("the program was ended after {} s", patience_.count() / 1000),
             "one that is done sooner");
  }
  callbacks_.ended(result);
}

}  // namespace oakgate::hooks
