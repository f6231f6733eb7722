// When what the kernel holds is to be compared with what we believe: at once, or some seconds after that
// failed. A timer, so that no failure is asked about faster than it can pass.
#pragma once

#include "ike/base/result.h"
#include "xfrm/netlink/unique_fd.h"

namespace oakgate {

class SecondLook {
 public:
  [[nodiscard]] static Result<SecondLook> open();
  // Readable when it is due.
  [[nodiscard]] int fd() const { return timer_.get(); }
  void soon();
  void later(long seconds = 1);
  // Whether it is due; then it is over until it is asked for again.
  [[nodiscard]] bool take();

 private:
  explicit SecondLook(UniqueFd timer) : timer_(std::move(timer)) {}
  void in(long seconds, long nanoseconds);
  UniqueFd timer_;
};

}  // namespace oakgate
