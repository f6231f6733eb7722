// Phase 1 proposals: RFC 2409 section 5 and Appendix A. Our ISAKMP policies become transforms of one
// proposal; a peer's transforms are compared with the policies by content, whatever their numbers and order.
#pragma once

#include <span>
#include <string>

#include "ike/base/policy.h"
#include "ike/base/result.h"
#include "ike/proposal_report.h"
#include "ike/wire/payloads.h"

namespace oakgate::ike {

// One transform a policy, in the order given; behind them those of 128-bit keys once more, without Key
// Length.
[[nodiscard]] wire::SaPayload offer_policies(std::span<const IsakmpPolicy> policies);

struct ChosenPolicy {
  IsakmpPolicy policy;     // `lifetime` is the smaller of theirs and ours
  bool shortened = false;  // responder: ours is the smaller one, which the peer has to be told
  wire::SaPayload
      reply;  // the chosen transform as it was offered (RFC 2408 section 4.2); empty for an initiator
};

// Responder: the first of our policies, by priority, that the peer offers. None in common is
// NO-PROPOSAL-CHOSEN, with what was offered and what was wanted in the error.
[[nodiscard]] Result<ChosenPolicy> choose_policy(std::span<const IsakmpPolicy> policies,
                                                 const wire::SaPayload& offer);
// Why choose_policy found nothing.
[[nodiscard]] ProposalReport compare_policies(std::span<const IsakmpPolicy> policies,
                                              const wire::SaPayload& offer);
// Initiator: the reply must hold exactly one transform and it must be one of ours.
[[nodiscard]] Result<ChosenPolicy> check_chosen_policy(std::span<const IsakmpPolicy> policies,
                                                       const wire::SaPayload& reply);

// A phase 1 transform in the words of the configuration, for people: "aes-256 sha256 group14 pre-share".
[[nodiscard]] std::string describe_policy_transform(const wire::Transform& transform);
[[nodiscard]] std::string describe(std::span<const IsakmpPolicy> policies);

}  // namespace oakgate::ike
