// libevent in four classes with one owner each: the loop, a readable descriptor, a signal, a timer. Callbacks
// run on the loop's thread and must not throw.
#pragma once

#include <event2/event.h>

#include <functional>
#include <memory>

#include "ike/base/result.h"
#include "ike/base/types.h"

namespace oakgate {

struct EventBaseFree {
  void operator()(event_base* base) const { event_base_free(base); }
};
struct EventFree {
  void operator()(event* handle) const { event_free(handle); }
};

class Loop {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Loop>> create();
  void run() { event_base_dispatch(base_.get()); }
  void stop() { event_base_loopbreak(base_.get()); }
  [[nodiscard]] event_base* base() const { return base_.get(); }

 private:
  explicit Loop(event_base* base) : base_(base) {}
  std::unique_ptr<event_base, EventBaseFree> base_;
};

// Calls back until it ends. Not movable: libevent holds its address.
class Watch {
 public:
  using Callback = std::function<void()>;
  // Whenever `fd`, which stays the caller's, is readable.
  [[nodiscard]] static std::unique_ptr<Watch> readable(Loop& loop, int fd, Callback callback);
  [[nodiscard]] static std::unique_ptr<Watch> signal(Loop& loop, int signal_number, Callback callback);
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  ~Watch() = default;
  void stop() { event_del(event_.get()); }  // from within the callback, too

 private:
  Watch(Loop& loop, int fd, short what, Callback callback);
  Callback callback_;
  std::unique_ptr<event, EventFree> event_;
};

// Fires once each time it is armed.
class Timer {
 public:
  Timer(Loop& loop, std::function<void()> callback);
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer() = default;
  void arm(Milliseconds after);  // replaces what was armed before; negative: at once
  void disarm() { event_del(event_.get()); }

 private:
  std::function<void()> callback_;
  std::unique_ptr<event, EventFree> event_;
};

// Monotonic time that goes on while the machine is suspended, as SA lifetimes do, and the calendar.
[[nodiscard]] Now read_clocks();

}  // namespace oakgate
