#include "ike/ike_sa.h"

#include <utility>

namespace oakgate::ike {

void Exchange::sent(Bytes datagram) {
  last_sent = std::move(datagram);
  for (AnsweredMessage& before : answered) before.by_last_sent = false;
  if (!answered.empty()) answered.back().by_last_sent = true;
}

// Assigning an empty one gives memory back, which clear() does not.
void Exchange::retire() {
  checkpoint.reset();
  hint.reset();
  key_exchange = {};
  nonce_i = Bytes();
  nonce_r = Bytes();
  answered.shrink_to_fit();
}

void Phase1Exchange::retire() {
  Exchange::retire();
  sa_body = Bytes();
  own_id.reset();
  left_out = {};
  own_proof = {};
  reply = {};
  peer_id = {};
  peer_proof = Bytes();
  peer_certificates = {};
  encrypted.reset();
}

void QuickMode::retire() {
  Exchange::retire();
  peer_ids = {};
  if (chosen) chosen->reply = {};
}

}  // namespace oakgate::ike
