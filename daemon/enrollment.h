// oakgated's part in enrolments: looks at each trustpoint with an `enrollment` when it starts, when it is
// told, and when something is due (daemon/enrollment_round.h), in worker threads: the loop never waits.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/enrollment_round.h"
#include "daemon/loop.h"
#include "daemon/workers.h"

namespace oakgate {

class Enrollment {
 public:
  struct Parts {
    Loop& loop;
    const Log& log;
    // Shared, because a thread that waits for a server is left behind when the daemon ends.
    std::shared_ptr<const Fetcher> fetcher;
    std::function<void(const std::string& trustpoint)> certificates_changed;
  };
  [[nodiscard]] static Result<std::unique_ptr<Enrollment>> create(Parts parts);
  Enrollment(const Enrollment&) = delete;
  Enrollment& operator=(const Enrollment&) = delete;

  // The trustpoints as they are configured now; looks at each of them at once. Also after `oakgate pki` has
  // changed files.
  void configure(const std::vector<TrustpointConfig>& trustpoints, const std::string& state_dir,
                 const conf::Environment& environment);

 private:
  struct Entry {
    EnrollmentPlace place;
    RenewalAttempts attempts;
    std::optional<WallTime> next;
    bool at_work = false;
    bool again = false;  // told while at work
  };
  class Look;
  Enrollment(Parts parts, std::unique_ptr<WorkerPool> pool);
  void look(const std::string& trustpoint);
  void on_round(const std::string& trustpoint, EnrollmentRound round);
  void on_timer();
  void arm();

  Parts parts_;
  std::map<std::string, Entry> entries_;
  Timer timer_;
  std::unique_ptr<WorkerPool> pool_;
  std::unique_ptr<Watch> watch_;
};

}  // namespace oakgate
