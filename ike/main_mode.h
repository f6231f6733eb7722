// Main Mode: RFC 2409 section 5. The first two messages choose a policy, the same way for every
// authentication method; what follows is the method's. Here: the first two, and pre-shared keys, section 5.4.
// Signatures: signatures.h.
//
//   Initiator                       Responder
//   HDR, SA                   -->
//                             <--   HDR, SA
//   HDR, KE, Ni, NAT-D, NAT-D -->
//                             <--   HDR, KE, Nr, NAT-D, NAT-D
//   HDR*, IDii, HASH_I        -->
//                             <--   HDR*, IDir, HASH_R
#pragma once

#include <array>
#include <span>

#include "ike/exchange.h"

namespace oakgate::ike {

// An initiator's leads to State::mm_i_generating, where a Diffie-Hellman key pair is under way; a responder's
// to State::mm_r_sent_sa.
[[nodiscard]] std::span<const Step> main_mode_first_steps(Role role);
[[nodiscard]] std::span<const Step> pre_shared_key_steps(Role role);

// Messages 3 and 4, which signatures have too; CERT_REQ is sent where the method needs it.
[[nodiscard]] Result<void> offer_key(Run& run);        // initiator: our key pair is there; message 3
[[nodiscard]] Result<void> take_key(Run& run);         // responder, message 3
[[nodiscard]] Result<void> answer_key(Run& run);       // our key pair is there; message 4, and g^xy is begun
[[nodiscard]] Result<void> take_key_answer(Run& run);  // initiator, message 4
// g^xy is there; Aggressive Mode has this step too.
[[nodiscard]] Result<void> ask_for_skeyid(Run& run);
inline constexpr std::array kKeyPayloads{PayloadRule{wire::PayloadType::key_exchange, 1, 1},
                                         PayloadRule{wire::PayloadType::nonce, 1, 1},
                                         PayloadRule{wire::PayloadType::nat_d, 0, 64},
                                         PayloadRule{wire::PayloadType::nat_d_draft, 0, 64},
                                         PayloadRule{wire::PayloadType::vendor_id, 0, 64},
                                         PayloadRule{wire::PayloadType::certificate_request, 0, 64}};

// Initiator: message 1, with the peer's policies.
[[nodiscard]] Result<void> send_first_offer(Core& core, IkeSa& sa, const Peer& peer);

}  // namespace oakgate::ike
