// One look at one trustpoint's enrolments: polls what is pending and due, renews what is near its end, writes
// what is granted. Blocks on files and the network: for the daemon's worker threads. RFC 8894 section 4.4.
//
// A renewal uses the same key: a new one would have to be made and kept beside the old one until the
// authority has decided. Whoever wants a new key makes one (`oakgate pki generate-key`) and enrols anew.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "conf/secrets.h"
#include "daemon/log.h"
#include "ike/base/rng.h"
#include "ike/base/trust.h"
#include "ike/ports/fetcher.h"

namespace oakgate {

struct EnrollmentPlace {
  TrustpointConfig trustpoint;  // with `enrollment`
  std::string state_dir;
  conf::Environment environment;
};

// By key (encryption or not): when a renewal that failed may be tried again. Memory of one daemon: after a
// restart it is tried at once.
using RenewalAttempts = std::map<bool, WallTime>;

struct EnrollmentRound {
  struct Line {
    LogLevel level;
    std::string text;  // printable
  };
  std::vector<Line> lines;
  bool certificates_changed = false;
  std::optional<WallTime> next;  // when there will be something to do; none: not by itself
  RenewalAttempts attempts;
};

[[nodiscard]] EnrollmentRound enrollment_round(const EnrollmentPlace& place, const Fetcher& fetcher, Rng& rng,
                                               RenewalAttempts attempts, WallTime now);

}  // namespace oakgate
