// The core's snapshot and the data plane's counters as JSON: `status` (a stable interface, version 1:
// oakgate(8)), the two `show crypto` verbs, and events for `monitor`.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "daemon/control_protocol.h"
#include "ike/events.h"
#include "ike/ports/data_plane.h"
#include "ike/snapshot.h"

namespace oakgate {

// IOS numbers its SAs. A number stays with an SA while it lives, and is not given to another one soon.
class ConnectionNumbers {
 public:
  // `sa` is any text that names the SA.
  [[nodiscard]] int number(const std::string& sa);
  // Of one that has a number; 0: it has none yet.
  [[nodiscard]] int find(const std::string& sa) const;

 private:
  static constexpr std::size_t kRemembered = 8192;
  std::map<std::string, int> numbers_;
  int next_ = 1001;
};

// The text that names an SA there.
[[nodiscard]] std::string connection_name(const SaId& id);
[[nodiscard]] std::string connection_name(const CookiePair& cookies);

// A certificate of ours, as `status` shows it.
struct OwnCertificateStatus {
  std::string trustpoint;
  std::string subject;
  std::string status;  // "Available", "Expired", ...
  WallTime not_after{};
};

// A trustpoint's `allow_weak`.
struct TrustpointWaiver {
  std::string trustpoint;
  ike::WaiverSnapshot waiver;
};

struct StatusInput {
  std::string gateway;
  std::string data_plane;
  std::vector<ike::PeerSnapshot> peers;
  std::map<std::string, std::string, std::less<>> addresses;  // as configured, by peer name
  std::map<SaId, SaCounters> counters;
  const std::map<SaId, SaCounters>* cleared = nullptr;  // when the `show` commands' counters began anew
  std::optional<DropCounts> drops{};                    // none: the plane cannot tell
  std::optional<Seconds> confirm_within{};              // a reload is undone after so long
  std::vector<OwnCertificateStatus> own_certificates{};
  std::vector<TrustpointWaiver> trustpoint_waivers{};  // of those that have one
  Now now;
};

// ESP, or AH where that is alone, first; then the AH over it and the IPComp inside.
[[nodiscard]] std::vector<SaId> inbound_of(const ike::SaPairSnapshot& sa);
[[nodiscard]] std::vector<SaId> outbound_of(const ike::SaPairSnapshot& sa);
[[nodiscard]] Json spi_json(const std::vector<SaId>& ids);

// The SAs whose counters the JSON below wants.
[[nodiscard]] std::vector<SaId> sa_ids(const std::vector<ike::PeerSnapshot>& peers);

// `detail` adds what the screen of `oakgate status` shows beyond the stable interface.
[[nodiscard]] Json status_json(const StatusInput& input, bool detail);
[[nodiscard]] Json isakmp_sa_json(const StatusInput& input, ConnectionNumbers& numbers);
[[nodiscard]] Json ipsec_sa_json(const StatusInput& input, ConnectionNumbers& numbers);
[[nodiscard]] Json dropped_packets_json(const StatusInput& input, const DropCounts& drops);
[[nodiscard]] Json event_json(const ike::Event& event, WallTime at);

}  // namespace oakgate
