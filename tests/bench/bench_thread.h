// A thread of a benchmark: its network namespace (`ip netns`), its processor, its time.
#pragma once

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>

namespace oakgate::bench {

// Ends the program: a measurement without its set-up is none.
[[noreturn]] inline void give_up(const std::string& what) {
  std::perror(what.c_str());
  std::exit(1);
}

// The calling thread enters; empty: it stays where it is.
inline void enter_namespace(const std::string& name) {
  if (name.empty()) return;
  const int fd = open(("/run/netns/" + name).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 || setns(fd, CLONE_NEWNET) != 0) give_up("network namespace " + name);
  close(fd);
}

// The calling thread runs on that processor alone; negative: on any.
inline void pin_to(int processor) {
  if (processor < 0) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<unsigned>(processor), &set);
  if (sched_setaffinity(0, sizeof(set), &set) != 0) give_up("processor " + std::to_string(processor));
}

// The processor time of this thread, the kernel's for it included: what others do on the machine does not
// count.
inline double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

}  // namespace oakgate::bench
