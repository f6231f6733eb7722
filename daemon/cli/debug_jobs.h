// `debug` in the shell: it goes on in the background, as on a router's console, until `undebug all`,
// `no debug ...`, Ctrl-C at the prompt or the shell's end. Each is a process of its own.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "daemon/cli/arguments.h"

namespace oakgate::cli {

class DebugJobs {
 public:
  static constexpr std::size_t kMost = 8;
  DebugJobs() = default;
  DebugJobs(const DebugJobs&) = delete;
  DebugJobs& operator=(const DebugJobs&) = delete;
  ~DebugJobs();  // ends them

  // Exit::failed: there are kMost, or no process can be started.
  [[nodiscard]] Outcome<void> start(const Arguments& arguments);
  // Says what is off.
  void end_all();
  // Ctrl-C at the prompt: the same, if there is any.
  void given_up();
  // Those of one kind; of `peer`, if it is not empty.
  void end(Verb verb, const std::string& peer);

 private:
  struct Job {
    pid_t process;
    Verb verb;
    std::string peer;
  };
  void forget_ended();

  std::vector<Job> jobs_;
};

// Whether a line of the shell turns debugging off: "undebug all", "no debug crypto isakmp", cut as IOS takes
// it. Then the words that follow `debug` in full.
[[nodiscard]] std::optional<std::vector<std::string>> undebug_words(const std::vector<std::string>& line);

}  // namespace oakgate::cli
