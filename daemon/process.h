// What the daemon needs of its process: privileges, being the only one with
// its state directory and control socket, and what the service manager is told.
#pragma once

#include <optional>
#include <string>

#include "ike/base/result.h"
#include "ike/base/types.h"
#include "xfrm/netlink/unique_fd.h"

namespace oakgate {

// ErrorCode::not_permitted names every capability that is missing, in one error.
[[nodiscard]] Result<void> check_privileges();

// Held as long as it lives. The file stays: removing it would race with the next one's lock.
class ProcessLock {
 public:
  // Makes the folder if need be. ErrorCode::in_use names the pid of the daemon that has it; `what` says in
  // the error what is being locked ("state directory /var/lib/oakgate").
  [[nodiscard]] static Result<ProcessLock> take(const std::string& file, const std::string& what);

 private:
  explicit ProcessLock(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

// sd_notify(3); without a service manager they do nothing.
void notify_ready(const std::string& status);
void notify_reloading();
void notify_stopping();
void notify_status(const std::string& status);

// The service manager ends and restarts a daemon that does not call notify_watchdog for so long; none: it
// does not.
[[nodiscard]] std::optional<Milliseconds> watchdog_bound();
void notify_watchdog();

}  // namespace oakgate
