// The commit bit in Quick Mode, RFC 2408 section 3.1: "the entity which did not set the Commit Bit MUST wait
// for an Informational Exchange containing a Notify payload (with the CONNECTED Notify Message) from the
// entity which set the Commit Bit." We never set it. When a peer did, our new SA receives at once, as ever,
// and sends after CONNECTED; meanwhile the older SA pair of a renewal carries on. The bit stands in the
// header, which nothing protects, and CONNECTED may be lost: after Limits::connected_wait we go on without.
//
//   HDR*, HASH(1), N(CONNECTED)   Informational under Quick Mode's message id, or one of its own that names
//                                 the SA; or a fourth message of Quick Mode
//
// In phase 1 the bit is ignored: whoever has the last message's keys may begin Quick Mode.
#pragma once

#include "ike/exchange.h"

namespace oakgate::ike {

// After the hash of a message verified: whether its sender commits.
void note_commit_bit(Run& run);
// A handler's last act: the exchange goes to `state` and waits there.
void await_connected(Run& run, State state);
[[nodiscard]] bool awaits_connected(const Exchange& exchange);

void on_connected_due(Core& core, IkeSa& sa, MessageId id);
// CONNECTED, authenticated, under the message id `id`.
void take_connected(Core& core, IkeSa& sa, MessageId id, const wire::NotifyPayload& notify);
// The peer deletes the SA that it receives with before it said CONNECTED.
void take_delete_of_waiting(Core& core, IkeSa& sa, Spi outbound);
// Quick Mode's fourth message.
[[nodiscard]] Result<void> take_connected_message(Run& run);
// The IV of an Informational message under the id of a Quick Mode that waits for it: peers differ in whether
// it is the first of that id or goes on from Quick Mode's last message. Empty: no such Quick Mode.
[[nodiscard]] Bytes connected_iv(const IkeSa& sa, const Received& message);

}  // namespace oakgate::ike
