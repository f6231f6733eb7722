// From a failure that the core has kept to what an operator needs: the reason, attribute by attribute, and
// the lines that mend it here or at the device.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "conf/config.h"
#include "daemon/explain/reasons.h"
#include "ike/failure_book.h"

namespace oakgate::explain {

struct AttributeVerdict {
  std::string attribute;
  std::string theirs;  // empty: they did not tell
  std::string ours;
  std::string verdict;  // "differs", "equal", "unknown"
};

struct Diagnosis {
  Reason reason{};
  std::string sentence;
  std::vector<AttributeVerdict> attributes;
  std::vector<std::string> here;  // lines for our configuration, or commands here
  std::vector<std::string> ios;   // lines for the device
  std::vector<std::string> pix;
  std::vector<std::string> asa;
};

// `peer`: its configuration, nothing for a stranger. `us`: where we are, if that is known. Everything in the
// result is printable.
[[nodiscard]] Diagnosis diagnose(const ike::Failure& failure, const conf::Config& config,
                                 const conf::PeerConfig* peer);

}  // namespace oakgate::explain
