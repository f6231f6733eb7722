// IKE SAs coming and going: the indexes they are found by, the half-open bounds, their life times.
#pragma once

#include <memory>

#include "ike/core.h"

namespace oakgate::ike {

// Registers an SA under its cookies. The caller has checked the bounds.
IkeSa& add_ike_sa(Core& core, std::unique_ptr<IkeSa> sa);
// The responder's cookie has become known, or is not known again (all zero).
void set_responder_cookie(Core& core, IkeSa& sa, const Cookie& cookie);
// Room for one more half-open SA of this peer's: another may have to go for it (half_open.h).
// ErrorCode::in_use: none.
[[nodiscard]] Result<void> make_half_open_room(Core& core, const Peer& peer, const IpAddress& source);
// A message with our cookie: whoever sent it receives at its address. ErrorCode::in_use: too many are as far.
[[nodiscard]] Result<void> cookie_came_back(Core& core, IkeSa& sa);
// The SA leaves half-open counting: it is established.
void leave_half_open(Core& core, IkeSa& sa);

// A responder's SA turns out to be another peer's, configured for the same addresses.
void move_to_peer(Core& core, IkeSa& sa, const std::string& peer);

// Forgets an SA, its exchanges and timers; sends nothing. Selector pairs whose Quick Mode was under way are
// wanted again.
void remove_ike_sa(Core& core, IkeSa& sa);
// The same, telling the peer first.
void delete_ike_sa(Core& core, IkeSa& sa, std::string_view reason);

// Arms renewal and end of an established SA, counted from when that was. `life` is what was agreed on.
void arm_lifetime(Core& core, IkeSa& sa, Seconds life);
void on_phase1_rekey_due(Core& core, IkeSa& sa);
void on_phase1_expired(Core& core, IkeSa& sa);
void on_half_open_expired(Core& core, IkeSa& sa);
void on_keepalive_due(Core& core, IkeSa& sa);

// When an SA with this life is renewed: the side that began renews first (85 to 90 % of the life), the other
// waits a little longer (92 to 95 %), so that they rarely meet.
[[nodiscard]] std::uint32_t renewal_percent(Core& core, Role role);
[[nodiscard]] Milliseconds renewal_after(Core& core, Seconds life, Role role);

// An exchange's timers are cancelled and it is gone at the end of the call.
void forget_quick_mode(Core& core, IkeSa& sa, MessageId id);
void forget_transaction(Core& core, IkeSa& sa, MessageId id);
void forget_phase1(Core& core, IkeSa& sa);

}  // namespace oakgate::ike
