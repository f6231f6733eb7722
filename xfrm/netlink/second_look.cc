#include "xfrm/netlink/second_look.h"

#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "xfrm/netlink/netlink_socket.h"

namespace oakgate {

Result<SecondLook> SecondLook::open() {
  UniqueFd timer(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (timer.get() < 0) return fail(netlink_error({errno, {}}, "make a timer"));
  return SecondLook(std::move(timer));
}

void SecondLook::soon() {
  in(0, 1);
}

void SecondLook::later(long seconds) {
  in(seconds, 0);
}

void SecondLook::in(long seconds, long nanoseconds) {
  const itimerspec when{{0, 0}, {seconds, nanoseconds}};
  static_cast<void>(timerfd_settime(timer_.get(), 0, &when, nullptr));  // fails for bad values alone
}

bool SecondLook::take() {
  std::uint64_t times = 0;
  return read(timer_.get(), &times, sizeof(times)) == sizeof(times);
}

}  // namespace oakgate
