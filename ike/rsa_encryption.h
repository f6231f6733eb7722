// Main Mode with RSA-encrypted nonces: RFC 2409 section 5.2 (`rsa-encr`) and its revised mode, section 5.3
// (`rsa-encr-rev`). The policy has been chosen (main_mode.h). Who can tell the nonces has the private keys.
//
//   Initiator                                        Responder
//   HDR, KE, [HASH(1),] <IDii>P_r, <Ni>P_r     -->
//                                              <--   HDR, KE, <IDir>P_i, <Nr>P_i
//   HDR*, HASH_I                               -->
//                                              <--   HDR*, HASH_R
//   revised:
//   HDR, [HASH(1),] <Ni>P_r, <KE>Ke_i, <IDii>Ke_i -->
//                                              <--   HDR, <Nr>P_i, <KE>Ke_r, <IDir>Ke_r
//
// This is where the oracles were (CVE-2018-0131). Whatever an encrypted body holds, the next message goes out
// and looks the same: the KeyStore answers with bytes in any case, a public value that is none is replaced,
// and what is wrong shows at HASH_I or HASH_R only, which nobody but the peer can make anyway.
#pragma once

#include <span>

#include "ike/exchange.h"

namespace oakgate::ike {

[[nodiscard]] std::span<const Step> rsa_encryption_steps(Role role);

// Our negotiation failed behind message 5. With `skeyid: auto` the other form of SKEYID is next; true if it
// is worth trying at once.
[[nodiscard]] bool try_other_skeyid(const IkeSa& sa, Peer& peer);
// Why an initiator heard nothing more.
[[nodiscard]] Error rsa_encryption_silence(const IkeSa& sa, const std::string& who, const std::string& asked);

}  // namespace oakgate::ike
