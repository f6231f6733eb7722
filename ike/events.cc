#include "ike/events.h"

#include <array>

namespace oakgate::ike {

namespace {

// In the order of EventId.
constexpr auto kNames = std::to_array<std::string_view>({
    "phase1-started",        "phase1-policy-chosen",
    "phase1-no-policy",      "phase1-authenticated",
    "phase1-established",    "phase1-failed",
    "phase1-deleted",        "phase1-rekeying",
    "phase1-expired",        "phase2-started",
    "phase2-established",    "phase2-failed",
    "phase2-no-proposal",    "phase2-proxy-ids",
    "phase2-narrowed",       "phase2-adopted",
    "phase2-moved",          "phase2-rekeying",
    "phase2-deleted",        "phase2-expired",
    "own-identity-changed",  "own-identity-unproved",
    "certificate-requested", "certificate-verified",
    "peer-revoked",          "guessable",
    "odd-identity",          "retransmitting",
    "vendor-id-received",    "notify-received",
    "notify-sent",           "delete-received",
    "configuration-asked",   "xauth-refused",
    "xauth-decided",         "group-refused",
    "commit-awaited",        "commit-unanswered",
    "nat-detected",          "endpoint-changed",
    "peer-silent",           "peer-dead",
    "initial-contact",       "message-rejected",
    "message-held",          "unknown-peer",
    "limit-reached",         "weak-used",
    "weak-waiver-expired",   "address-changed",
    "data-plane-failed",     "hook-ran",
    "hook-failed",
});
static_assert(kNames.size() == static_cast<std::size_t>(kLastEventId) + 1);

}  // namespace

std::string_view to_string(EventId id) {
  return kNames[static_cast<std::size_t>(id)];
}

}  // namespace oakgate::ike
