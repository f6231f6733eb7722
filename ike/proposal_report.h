// Why no offer fitted, as data: each offer against each thing we wanted, and the attributes that differ. It
// goes with the event of the refusal; the peer is told nothing of it. In the configuration's words, nothing
// secret.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace oakgate::ike {

struct AttributeDifference {
  std::string_view attribute;  // "encryption", "hash", "group", "authentication"; phase 2: "protocols",
                               // "cipher", "integrity", "ah", "compression", "mode", "pfs"
  std::string theirs;
  std::string ours;
  friend bool operator==(const AttributeDifference&, const AttributeDifference&) = default;
};

struct ProposalComparison {
  std::string offered;  // "esp-3des esp-sha-hmac group2"
  std::string wanted;   // "policy 10 (aes-256 ...)", "strong (esp-aes-256 esp-sha256-hmac)"
  std::vector<AttributeDifference> differences;  // never empty
  friend bool operator==(const ProposalComparison&, const ProposalComparison&) = default;
};

// In the order of the offer, then of our preference.
using ProposalReport = std::vector<ProposalComparison>;
inline constexpr std::size_t kReportedComparisons = 64;  // whatever a peer offers

// Adds a difference if the two are not equal.
inline void compare(ProposalComparison& comparison, std::string_view attribute, std::string theirs,
                    std::string ours) {
  if (theirs != ours) comparison.differences.push_back({attribute, std::move(theirs), std::move(ours)});
}

}  // namespace oakgate::ike
