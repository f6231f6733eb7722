// Messages in and out: finding the SA and exchange a datagram belongs to, duplicates, decryption and
// encryption, retransmission. RFC 2408 sections 3.1, 5.1, 5.2; RFC 2409 Appendix B.
#pragma once

#include <vector>

#include "ike/core.h"
#include "ike/exchange.h"

namespace oakgate::ike {

// A datagram from the network, or one that was held while a job was under way.
void on_message(Core& core, const Datagram& datagram);
// The rest of a message that came in fragments is not awaited any more.
void on_fragments_expired(IkeSa& sa);
// An exchange's last message got no answer in time.
void on_retransmit_timer(Core& core, IkeSa& sa, Exchange& exchange);

// Whether a message waits for an answer, and so is sent again until one comes.
enum class Expect : bool { nothing, answer };

// Sends the exchange's next message, in clear or encrypted; the message that was taken last is answered with
// it when it is repeated.
[[nodiscard]] Result<void> send_clear(Core& core, IkeSa& sa, Exchange& exchange, wire::ExchangeType type,
                                      const std::vector<wire::Payload>& payloads, Expect expect);
[[nodiscard]] Result<void> send_encrypted(Core& core, IkeSa& sa, Exchange& exchange, wire::ExchangeType type,
                                          const std::vector<wire::Payload>& payloads, Expect expect);
// Puts a datagram on its way; repeats and messages outside exchanges come through here too.
void send_datagram(Core& core, const IkeSa& sa, Bytes datagram);

// Fill in `message.body`, `plaintext` and `next_iv`. Nothing but the message is changed.
[[nodiscard]] Result<void> parse_clear(Received& message);
[[nodiscard]] Result<void> decrypt_message(const IkeSa& sa, ByteView iv, Received& message);
// IV of the first message of an exchange under an established SA.
[[nodiscard]] Result<Bytes> first_iv(const IkeSa& sa, MessageId id);

// A message id that was used under an SA never begins another exchange.
[[nodiscard]] bool remembered(const IkeSa& sa, MessageId id);
void remember(Core& core, IkeSa& sa, MessageId id);

}  // namespace oakgate::ike
