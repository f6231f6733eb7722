// Events: what the core has to tell, as data with stable ids. Only daemon/ makes text of them (one table: log
// line, IOS phrase, monitor name). Nothing in an event is secret; strings that came from a peer are not yet
// escaped.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ike/base/net.h"
#include "ike/base/result.h"
#include "ike/base/types.h"
#include "ike/proposal_report.h"

namespace oakgate::ike {

enum class EventId : std::uint8_t {
  // phase 1
  phase1_started,        // fields: exchange, role
  phase1_policy_chosen,  // "atts are acceptable"; fields: policy, lifetime
  phase1_no_policy,      // "no offers accepted"; error
  phase1_authenticated,  // "SA has been authenticated"; fields: identity
  phase1_established,    // fields: policy, lifetime, nat ("none", "local", "remote", "both"), role
  phase1_failed,   // fields: mode (IOS's "Main mode", "Aggressive mode"), awaited (by initiators); error
  phase1_deleted,  // fields: by ("us", "peer"), reason
  phase1_rekeying,
  phase1_expired,
  // phase 2; each names the tunnel and has the field selectors
  phase2_started,      // fields: role
  phase2_established,  // fields: algorithms, spi_in, spi_out, lifetime, role
  phase2_failed,       // error
  phase2_no_proposal,  // error
  phase2_proxy_ids,    // "proxy identities not supported"; fields: offered; error
  phase2_narrowed,     // the peer's proxy identities are a part of ours; fields: of
  phase2_adopted,      // an earlier run's SAs are carried on with; fields: algorithms, spi_in, spi_out
  phase2_moved,        // its SAs go on at the peer's new place; fields: spi_in, from, to
  phase2_rekeying,
  phase2_deleted,  // fields: spi_in, by, reason
  phase2_expired,  // fields: spi_in
  // proofs
  own_identity_changed,   // our address is not in our certificate: another identity is sent; fields: from, to
  own_identity_unproved,  // our identity is not in our certificate, and sent all the same; fields: identity
  certificate_requested,  // CERT_REQ; fields: authority
  certificate_verified,   // fields: subject, issuer, serial, until
  peer_revoked,           // error
  guessable,              // Aggressive Mode with a pre-shared key: it can be guessed offline
  odd_identity,  // its ID names another protocol and port than RFC 2407 asks; fields: identity, protocol,
                 // port
  // messages
  retransmitting,       // fields: exchange, try, of
  vendor_id_received,   // fields: name or hex
  notify_received,      // fields: type, authenticated ("yes", "no")
  notify_sent,          // fields: type
  delete_received,      // fields: protocol, count
  configuration_asked,  // a mode-config request or set was answered with nothing; fields: kind, attributes
  xauth_refused,        // the peer asked for XAUTH, which we do not do; fields: attributes; error
  xauth_decided,        // its verdict; fields: status ("OK", "FAIL", or the number)
  group_refused,        // New Group Mode: ATTRIBUTES-NOT-SUPPORTED
  commit_awaited,       // the peer set the commit bit: its new SAs are used once it says CONNECTED
  commit_unanswered,    // and it did not; fields: seconds
  nat_detected,         // fields: where, form ("rfc", "draft-02": how it will be passed)
  endpoint_changed,     // the authenticated peer moved; fields: from, to
  peer_silent,          // R-U-THERE sent, after so many seconds without a sign of life; fields: seconds, try
  peer_dead,            // and none came: its SAs are gone; error
  initial_contact,      // the peer started anew: its older SAs are gone
  message_rejected,     // error; `authenticated` tells whether its sender was known
  message_held,         // a message came while a computation was under way
  unknown_peer,         // fields: identity (what it claims, in Aggressive Mode); error
  limit_reached,        // error: one of Limits
  // policy
  weak_used,            // fields: algorithms, reason, until
  weak_waiver_expired,  // error
  address_changed,      // fields: local, remote
  data_plane_failed,    // error
  // of the daemon's own: programs run for a tunnel (daemon/hooks/)
  hook_ran,     // fields: event, selectors, milliseconds
  hook_failed,  // fields: event, selectors; error
};
inline constexpr EventId kLastEventId = EventId::hook_failed;

// The name in `oakgate monitor --json` and in structured logs: "phase1-established".
[[nodiscard]] std::string_view to_string(EventId id);

using Field = std::pair<std::string_view, std::string>;

struct Event {
  EventId id{};
  std::string peer;    // configured name; empty if not known
  std::string tunnel;  // configured name; empty for phase 1
  std::optional<Endpoint> local{};
  std::optional<Endpoint> remote{};
  std::optional<CookiePair> cookies{};
  std::vector<Field> fields{};
  std::optional<Error> error{};
  ProposalReport proposals{};  // phase1_no_policy, phase2_no_proposal: where each offer differs
  bool authenticated = true;   // false: an unauthenticated sender caused it: rate-limit the log
};

}  // namespace oakgate::ike
