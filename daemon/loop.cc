#include "daemon/loop.h"

#include <ctime>

namespace oakgate {

namespace {

void run_callback(evutil_socket_t /*fd*/, short /*what*/, void* argument) {
  (*static_cast<std::function<void()>*>(argument))();
}

}  // namespace

Result<std::unique_ptr<Loop>> Loop::create() {
  event_base* base = event_base_new();
  if (base == nullptr) return fail(ErrorCode::internal, "libevent finds no way to wait for events");
  return std::unique_ptr<Loop>(new Loop(base));
}

Watch::Watch(Loop& loop, int fd, short what, Callback callback)
    : callback_(std::move(callback)), event_(event_new(loop.base(), fd, what, run_callback, &callback_)) {
  event_add(event_.get(), nullptr);
}

std::unique_ptr<Watch> Watch::readable(Loop& loop, int fd, Callback callback) {
  return std::unique_ptr<Watch>(new Watch(loop, fd, EV_READ | EV_PERSIST, std::move(callback)));
}

std::unique_ptr<Watch> Watch::signal(Loop& loop, int signal_number, Callback callback) {
  return std::unique_ptr<Watch>(new Watch(loop, signal_number, EV_SIGNAL | EV_PERSIST, std::move(callback)));
}

Timer::Timer(Loop& loop, std::function<void()> callback)
    : callback_(std::move(callback)), event_(event_new(loop.base(), -1, 0, run_callback, &callback_)) {}

void Timer::arm(Milliseconds after) {
  const auto micros = std::chrono::microseconds(after.count() < 0 ? Milliseconds(0) : after).count();
  const timeval wait{static_cast<time_t>(micros / 1000000), static_cast<suseconds_t>(micros % 1000000)};
  event_add(event_.get(), &wait);
}

Now read_clocks() {
  timespec monotonic{};
  ::clock_gettime(CLOCK_BOOTTIME, &monotonic);
  timespec wall{};
  ::clock_gettime(CLOCK_REALTIME, &wall);
  return {Instant(Milliseconds(std::int64_t{monotonic.tv_sec} * 1000 + monotonic.tv_nsec / 1000000)),
          WallTime(Seconds(wall.tv_sec))};
}

}  // namespace oakgate
