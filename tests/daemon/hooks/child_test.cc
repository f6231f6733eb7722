// Programs that behave, and such as do not. Nothing waits by the clock but the one bound that is tested.
#include "daemon/hooks/child.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "scripts.h"

namespace oakgate::hooks {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class ChildTest : public testing::Test {
 protected:
  ChildTest() {
    auto made = Loop::create();
    EXPECT_TRUE(made);
    loop = std::move(*made);
  }
  // Runs until it has ended.
  Result<void> run(const std::string& path, Milliseconds patience = Milliseconds(20000),
                   const std::vector<std::string>& environment = {"PATH=/usr/bin:/bin", "A=1"}) {
    Result<void> result = fail(ErrorCode::internal, "it has not ended");
    auto child = Child::start(*loop, path, environment, patience,
                              {[this](std::string_view line) { said.emplace_back(line); },
                               [&](const Result<void>& how) {
                                 result = how;
                                 loop->stop();
                               }});
    if (!child) return fail(child.error());
    loop->run();
    return result;
  }
  Scripts scripts;
  std::unique_ptr<Loop> loop;
  std::vector<std::string> said;
};

TEST_F(ChildTest, SaysWhatItSaysAndHowItEnds) {
  const auto result = run(scripts.write("good", "echo one; echo two >&2; printf three"));
  EXPECT_TRUE(result) << result.error().text;
  EXPECT_THAT(said, ElementsAre("one", "two", "three"));
}

TEST_F(ChildTest, HasNothingOfOurs) {
  // A descriptor that nobody marked, a blocked and an ignored signal, an environment.
  const int open = ::fcntl(STDIN_FILENO, F_DUPFD, 50);
  ASSERT_GE(open, 50);
  ::setenv("OAKGATE_TEST_SECRET", "x", 1);
  const auto old = std::signal(SIGPIPE, SIG_IGN);
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR1);
  sigprocmask(SIG_BLOCK, &blocked, nullptr);
  const auto result = run(scripts.write(
      "look",
      "env | sort | grep -v -e ^PWD= -e ^_= -e ^SHLVL= -e ^OLDPWD=; pwd; "
      "readlink /proc/$$/fd/0; ls /proc/$$/fd | tr '\\n' ' '; echo; "
      "for what in Blk Ign; do "
      "test $((0x$(sed -n s/^Sig$what:.//p /proc/$$/status) & 0x7fffffff)) = 0 && echo no $what; done; "
      "test $(ps -o pgid= -p $$) = $$ && echo leads"));
  sigprocmask(SIG_UNBLOCK, &blocked, nullptr);
  std::signal(SIGPIPE, old);
  ::close(open);
  EXPECT_TRUE(result) << result.error().text;
  // 10 is dash's own, for the script.
  EXPECT_THAT(said, ElementsAre("A=1", "PATH=/usr/bin:/bin", "/", "/dev/null", "0 1 10 2 ", "no Blk",
                                "no Ign", "leads"));
}

TEST_F(ChildTest, ThatFailsSaysHow) {
  const auto status = run(scripts.write("bad", "exit 3"));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().text, "the program ended with exit status 3");
  const auto killed = run(scripts.write("killed", "kill -TERM $$"));
  ASSERT_FALSE(killed);
  EXPECT_EQ(killed.error().text, "the program was ended by signal 15 (Terminated)");
}

TEST_F(ChildTest, ThatCannotBeRunIsAnError) {
  const auto missing = run(scripts.folder + "/nothing");
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().text, HasSubstr("it cannot be run: No such file or directory"));
  const std::string odd = scripts.write("odd", "");
  std::ofstream(odd) << "#!/nowhere/sh\n";
  EXPECT_FALSE(run(odd));
}

// What a child has started, watched from when it said its pid.
class Watched {
 public:
  void begin(std::string_view pid) {
    fd_ = UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, std::atoi(std::string(pid).c_str()), 0)));
  }
  [[nodiscard]] bool ended() const {
    pollfd one{fd_.get(), POLLIN, 0};
    return fd_.valid() && ::poll(&one, 1, 20000) == 1;
  }

 private:
  UniqueFd fd_;
};

TEST_F(ChildTest, ThatTakesTooLongIsKilledWithAllItHasStarted) {
  Watched sleeper;
  Result<void> result = fail(ErrorCode::internal, "it has not ended");
  auto child = Child::start(
      *loop, scripts.write("slow", "sleep 1000 & echo $!; trap '' TERM; while :; do sleep 1000; done"),
      {"PATH=/usr/bin:/bin"}, Milliseconds(300),
      {[&](std::string_view line) { sleeper.begin(line); },
       [&](const Result<void>& how) {
         result = how;
         loop->stop();
       }});
  ASSERT_TRUE(child) << child.error().text;
  loop->run();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::no_answer);
  EXPECT_TRUE(sleeper.ended());
}

TEST_F(ChildTest, LeavesNothingRunning) {
  Watched sleeper;
  // It ends once we have seen what it has started.
  const std::string fifo = scripts.folder + "/seen";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  auto child = Child::start(*loop, scripts.write("leaves", "sleep 1000 & echo $!; read seen <" + fifo),
                            {"PATH=/usr/bin:/bin"}, Milliseconds(20000),
                            {[&](std::string_view line) {
                               sleeper.begin(line);
                               std::ofstream(fifo) << "yes\n";
                             },
                             [&](const Result<void>& how) {
                               EXPECT_TRUE(how) << how.error().text;
                               loop->stop();
                             }});
  ASSERT_TRUE(child) << child.error().text;
  loop->run();
  EXPECT_TRUE(sleeper.ended());
}

TEST_F(ChildTest, ThatSaysTooMuchIsCut) {
  const auto result =
      run(scripts.write("loud", "i=0; while [ $i -lt 200 ]; do echo line $i; i=$((i+1)); done"));
  EXPECT_TRUE(result) << result.error().text;
  ASSERT_EQ(said.size(), kMaxOutputLines + 1);
  EXPECT_EQ(said[kMaxOutputLines - 1], "line 63");
  EXPECT_EQ(said.back(), "(136 more lines)");
  said.clear();
  EXPECT_TRUE(run(scripts.write("long", "head -c 1000000 /dev/zero | tr '\\0' x; echo; echo end")));
  EXPECT_THAT(said, ElementsAre(std::string(kMaxOutputLine, 'x') + "...", "end"));
}

TEST_F(ChildTest, IsKilledWithItsOwner) {
  std::string pid;
  auto child =
      Child::start(*loop, scripts.write("stays", "echo $$; exec sleep 1000"), {}, Milliseconds(20000),
                   {[&](std::string_view line) {
                      pid = line;
                      loop->stop();
                    },
                    [](const Result<void>&) { ADD_FAILURE() << "it has ended"; }});
  ASSERT_TRUE(child) << child.error().text;
  loop->run();
  ASSERT_FALSE(pid.empty());
  child->reset();
  EXPECT_FALSE(std::filesystem::exists("/proc/" + pid));
}

}  // namespace
}  // namespace oakgate::hooks
