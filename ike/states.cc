#include "ike/states.h"

namespace oakgate::ike {

std::string_view ios_state(State state) {
  switch (state) {
    case State::mm_r_start:
    case State::mm_i_sent_sa:
      return "MM_NO_STATE";
    case State::mm_i_generating:
    case State::mm_i_encrypting:
    case State::mm_i_sent_ke:
    case State::mm_r_sent_sa:
    case State::mm_r_decrypting:
    case State::mm_r_generating:
    case State::mm_r_encrypting:
      return "MM_SA_SETUP";
    case State::mm_i_decrypting:
    case State::mm_i_sharing:
    case State::mm_i_keying:
    case State::mm_i_signing:
    case State::mm_i_sent_auth:
    case State::mm_i_verifying:
    case State::mm_r_sharing:
    case State::mm_r_keying:
    case State::mm_r_sent_ke:
    case State::mm_r_verifying:
    case State::mm_r_signing:
      return "MM_KEY_EXCH";
    case State::ag_i_generating:
    case State::ag_r_start:
      return "AG_NO_STATE";
    case State::ag_i_sent_offer:
    case State::ag_r_generating:
    case State::ag_r_sharing:
    case State::ag_r_keying:
    case State::ag_r_signing:
    case State::ag_r_sent_answer:
      return "AG_INIT_EXCH";
    case State::ag_i_sharing:
    case State::ag_i_keying:
    case State::ag_i_verifying:
    case State::ag_i_signing:
    case State::ag_r_verifying:
      return "AG_AUTH";
    default:
      return "QM_IDLE";
  }
}

}  // namespace oakgate::ike
