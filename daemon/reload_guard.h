// The way back from a reload that locks its operator out: what ran before is kept for a time, and comes back
// unless somebody confirms. And the text of what runs, beside the daemon's state, for `oakgate diff` and
// `oakgate show running-config`.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "daemon/key_files.h"
#include "daemon/loop.h"

namespace oakgate {

class ReloadGuard {
 public:
  // `undo` gets what ran before, keys included (secret).
  ReloadGuard(Loop& loop, std::function<void(LoadedConfiguration)> undo);

  // From now on `before` comes back after `patience`. Not while one is pending already.
  void begin(LoadedConfiguration before, Seconds patience, Instant now);
  [[nodiscard]] bool pending() const { return before_.has_value(); }
  // How long there is to confirm; none: nothing is pending.
  [[nodiscard]] std::optional<Seconds> left(Instant now) const;
  // ErrorCode::not_found: nothing is pending.
  [[nodiscard]] Result<void> confirm();

 private:
  void expire();

  std::function<void(LoadedConfiguration)> undo_;
  std::optional<LoadedConfiguration> before_;
  Instant until_{};
  Timer timer_;
};

// `composed` as in conf::LoadOutcome, under `state_dir`, mode 0600.
[[nodiscard]] Result<void> write_running_config(const std::string& state_dir, const std::string& composed);
// ErrorCode::not_found if there is none.
[[nodiscard]] Result<std::string> read_running_config(const std::string& state_dir);

}  // namespace oakgate
