// Informational exchanges: notifications and deletes, RFC 2408 sections 3.14, 3.15, 4.8; RFC 2409
// section 5.7.
//
//   HDR*, HASH(1), N/D   acted upon only if the HASH verifies
//   HDR, N               in clear: a hint for the operator, never more
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "ike/exchange.h"

namespace oakgate::ike {

[[nodiscard]] std::span<const Step> informational_steps();
void on_informational(Core& core, IkeSa& sa, Received& message);

// One message under an established SA; it gets no answer and is not repeated. The datagram that was sent;
// empty: none.
Bytes send_informational(Core& core, IkeSa& sa, std::vector<wire::Payload> payloads);
Bytes notify_protected(Core& core, IkeSa& sa, NotifyType type, Bytes spi);
// Before there are keys; a few an SA, then silence.
void notify_in_clear(Core& core, IkeSa& sa, NotifyType type);
// RFC 2408 section 3.15: our inbound SAs, in a payload for each protocol.
void send_delete(Core& core, IkeSa& sa, const std::vector<SaId>& inbound);
void send_delete_isakmp(Core& core, IkeSa& sa);

// The SA's two cookies, as notifies and deletes name an IKE SA (RFC 2407 section 4.6.3).
[[nodiscard]] Bytes cookies_spi(const IkeSa& sa);

// The peer says that it begins anew: SAs older than `sa` are gone on its side.
void on_initial_contact(Core& core, IkeSa& sa);

[[nodiscard]] Event weak_used_event(Core& core, const Peer& peer, std::string tunnel,
                                    const std::vector<Weak>& weak);

}  // namespace oakgate::ike
