// The states of the exchanges, with what IOS calls them. Main and Aggressive Mode: RFC 2409 section 5; Quick
// Mode: 5.5.
#pragma once

#include <cstdint>
#include <string_view>

namespace oakgate::ike {

enum class State : std::uint8_t {
  // Main Mode, initiator
  mm_i_sent_sa,     // message 1 is out
  mm_i_generating,  // message 2 was good; our key pair is being made
  mm_i_encrypting,  // RSA-encrypted nonces: our nonce and identity are being encrypted
  mm_i_sent_ke,     // message 3 is out
  mm_i_decrypting,  // RSA-encrypted nonces: the KeyStore opens message 4's
  mm_i_sharing,     // message 4 was good; g^xy is being computed
  mm_i_keying,      // the KeyStore computes SKEYID
  mm_i_signing,     // signatures: the KeyStore makes SIG_I
  mm_i_sent_auth,   // message 5 is out
  mm_i_verifying,   // signatures: message 6 was well-formed; the peer's certificate is being looked at
  // Main Mode, responder
  mm_r_start,       // nothing yet
  mm_r_sent_sa,     // message 2 is out
  mm_r_decrypting,  // RSA-encrypted nonces: the KeyStore opens message 3's
  mm_r_generating,
  mm_r_encrypting,  // RSA-encrypted nonces: our nonce and identity are being encrypted
  mm_r_sharing,     // message 4 is out; g^xy is being computed
  mm_r_keying,
  mm_r_sent_ke,    // keys are there; message 5 is awaited
  mm_r_verifying,  // signatures: message 5 was well-formed; the peer's certificate is being looked at
  mm_r_signing,    // the KeyStore makes SIG_R
  // Aggressive Mode, initiator
  ag_i_generating,  // our key pair is being made
  ag_i_sent_offer,  // message 1 is out
  ag_i_sharing,     // message 2 was well-formed; g^xy is being computed
  ag_i_keying,
  ag_i_verifying,
  ag_i_signing,
  // Aggressive Mode, responder
  ag_r_start,
  ag_r_generating,
  ag_r_sharing,
  ag_r_keying,
  ag_r_signing,
  ag_r_sent_answer,  // message 2 is out
  ag_r_verifying,
  established,  // phase 1 is done
  // Quick Mode, initiator
  qm_i_generating,          // with PFS: our key pair is being made
  qm_i_sent_sa,             // message 1 is out
  qm_i_sharing,             // message 2 was good; with PFS: g(qm)^xy is being computed
  qm_i_installing,          // the data plane takes the SAs in
  qm_i_awaiting_connected,  // message 3 is out; the peer set the commit bit
  qm_i_installing_out,
  // Quick Mode, responder
  qm_r_start,
  qm_r_generating,
  qm_r_sharing,
  qm_r_installing_in,       // inbound first: the peer may send as soon as it has message 2
  qm_r_sent_sa,             // message 2 is out
  qm_r_awaiting_connected,  // message 3 was good; the peer set the commit bit
  qm_r_installing_out,
  done,  // only duplicates are still answered
  // Informational: one message, no answer
  informational,
  // A peer's Transaction or New Group Mode: each message is answered
  transaction,
  new_group,
};

// "MM_KEY_EXCH", "QM_IDLE", ...: `show crypto isakmp sa`.
[[nodiscard]] std::string_view ios_state(State state);

}  // namespace oakgate::ike
