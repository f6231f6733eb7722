// What a failure is about, put together once for all that tells of it: its fields, the proposal that came
// nearest, the tunnel, who the peer says it is, and what stands for the placeholders of the table of reasons.
// What came from the peer is not escaped, unless a function says so.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "conf/config.h"
#include "ike/failure_book.h"

namespace oakgate::explain {

[[nodiscard]] std::string_view field(const ike::Failure& failure, std::string_view name);
// The comparison that is nearest to fitting; nullptr if there is none.
[[nodiscard]] const ike::ProposalComparison* nearest(const ike::Failure& failure);
// Of the policies of ours, the one that a comparison names: "policy 10 (...)".
[[nodiscard]] const IsakmpPolicy* policy_of(const conf::PeerConfig& peer,
                                            const ike::ProposalComparison& comparison);
// Its attributes in the words of the configuration.
[[nodiscard]] std::vector<std::pair<std::string_view, std::string>> words_of(const IsakmpPolicy& policy);
[[nodiscard]] const ike::AttributeDifference* difference_in(const ike::ProposalComparison& comparison,
                                                            std::string_view attribute);
// What the failure is about: the tunnel it names, or the only one there is; else empty.
[[nodiscard]] std::string tunnel_of(const ike::Failure& failure, const conf::PeerConfig* peer);

// Who the peer is: as it said it, cut where the book cuts.
struct ToldIdentity {
  std::string text;  // in the configuration's syntax
  bool cut = false;  // there was more
};
// Of a peer that is somebody else than configured, who. Nothing if its certificate does not hold what it
// said.
[[nodiscard]] std::optional<ToldIdentity> proved_identity(const ike::Failure& failure);
// Of a caller in Aggressive Mode, who it says it is: nobody has proved it.
[[nodiscard]] std::optional<ToldIdentity> claimed_identity(const ike::Failure& failure);
// True if `peer`'s configuration expects the identity that the caller claims.
[[nodiscard]] bool claims_what_is_expected(const ike::Failure& failure, const conf::PeerConfig& peer);

// The placeholders of reasons.h. Everything in it is printable.
using Values = std::map<std::string_view, std::string>;
[[nodiscard]] Values values_of(const ike::Failure& failure, const conf::PeerConfig* peer);
// `text` with the values in their places; braces around anything else stay.
[[nodiscard]] std::string expand(std::string_view text, const Values& values);
[[nodiscard]] std::vector<std::string> split(std::string_view text, char at);

}  // namespace oakgate::explain
