// One program, run: without a shell, with an environment of its own, no descriptor but 0 (/dev/null), 1 and 2
// (a pipe that ends in the log), in a process group of its own, for so long and no longer. When it ends, or
// its time does, the whole group is killed. All by its pid, on the loop's thread; nothing here waits.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/loop.h"
#include "ike/base/result.h"
#include "xfrm/netlink/unique_fd.h"

namespace oakgate::hooks {

inline constexpr std::size_t kMaxOutputLines = 64;  // of one run; more are counted
inline constexpr std::size_t kMaxOutputLine = 240;  // bytes; longer ones are cut

class Child {
 public:
  struct Callbacks {
    std::function<void(std::string_view line)> said;  // not escaped, without its end, never empty
    // How it ended, once. The child may not be destroyed from within.
    std::function<void(const Result<void>&)> ended;
  };
  // `path` is absolute, its only argument its own name. ErrorCode::internal: it cannot be run.
  [[nodiscard]] static Result<std::unique_ptr<Child>> start(Loop& loop, const std::string& path,
                                                            const std::vector<std::string>& environment,
                                                            Milliseconds patience, Callbacks callbacks);
  // What still runs is killed.
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

 private:
  Child(Loop& loop, Milliseconds patience, Callbacks callbacks);
  [[nodiscard]] Result<void> spawn(const std::string& path, const std::vector<std::string>& environment);
  void read_output();
  void take(std::string_view bytes);
  void say(std::string_view line);
  void on_end();
  void kill_group();

  Loop& loop_;
  Milliseconds patience_;
  Callbacks callbacks_;
  pid_t pid_ = -1;  // -1: reaped, or never run
  bool too_slow_ = false;
  UniqueFd output_;
  UniqueFd process_;  // a pidfd: readable when the process has ended
  std::string line_;  // the beginning of one
  std::size_t lines_ = 0;
  std::unique_ptr<Watch> output_watch_;
  std::unique_ptr<Watch> process_watch_;
  Timer timer_;
};

}  // namespace oakgate::hooks
