#include "ike/ike_sa.h"

#include <utility>

namespace oakgate::ike {

namespace {

// With its memory, which neither clear() nor `= {}` frees.
template <typename Value>
void give_back(Value& value) {
  value = Value();
}

}  // namespace

void Exchange::sent(Bytes datagram) {
  last_sent = std::move(datagram);
  for (AnsweredMessage& before : answered) before.by_last_sent = false;
  if (!answered.empty()) answered.back().by_last_sent = true;
}

void Exchange::retire() {
  checkpoint.reset();
  hint.reset();
  give_back(key_exchange);
  give_back(nonce_i);
  give_back(nonce_r);
  answered.shrink_to_fit();
}

void Phase1Exchange::retire() {
  Exchange::retire();
  give_back(sa_body);
  give_back(own_id);
  give_back(left_out);
  give_back(own_proof);
  give_back(reply);
  give_back(peer_id);
  give_back(peer_proof);
  give_back(peer_certificates);
  encrypted.reset();
}

void QuickMode::retire() {
  Exchange::retire();
  give_back(peer_ids);
  if (chosen) give_back(chosen->reply);
}

}  // namespace oakgate::ike
