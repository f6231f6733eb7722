#include "ike/commit_bit.h"

#include <algorithm>

#include "ike/crypto/keys.h"
#include "ike/quick_mode.h"
#include "ike/transport.h"
#include "ike/tunnels.h"

namespace oakgate::ike {

namespace {

Event event_of(Core& core, const IkeSa& sa, const QuickMode& quick, EventId id) {
  Event event = core.event(id, sa);
  const Peer* peer = core.find_peer(sa.peer);
  const Pair* pair = core.find_pair(quick.reqid);
  if (peer != nullptr && pair != nullptr) {
    event.tunnel = tunnel_name(*peer, *pair);
    event.fields.emplace_back("selectors", pair->config.selectors.to_string());
  }
  return event;
}

bool names(const wire::NotifyPayload& notify, const QuickMode& quick) {
  ByteReader reader(notify.spi);
  std::uint32_t spi = 0;
  if (notify.spi.size() != 4 || !reader.u32(spi)) return false;
  return quick.our_spis.has(Spi{spi}) || quick.chosen->peer_spis.has(Spi{spi});
}

// By the message id; else the one whose SPI is named, else the only one that waits.
QuickMode* waiting_for(IkeSa& sa, MessageId id, const wire::NotifyPayload& notify) {
  QuickMode* only = nullptr;
  int waiting = 0;
  for (const auto& [key, quick] : sa.quick_modes) {
    if (!awaits_connected(*quick)) continue;
    if (key == id || names(notify, *quick)) return quick.get();
    only = quick.get();
    ++waiting;
  }
  return waiting == 1 && notify.spi.empty() ? only : nullptr;
}

}  // namespace

void note_commit_bit(Run& run) {
  if ((run.message->header.flags & wire::kFlagCommit) == 0) return;
  static_cast<QuickMode&>(run.exchange).commit = true;
}

void await_connected(Run& run, State state) {
  run.next = state;
  run.core.raise(event_of(run.core, run.sa, static_cast<QuickMode&>(run.exchange), EventId::commit_awaited));
  const TimerId due = run.core.arm(run.core.limits().connected_wait,
                                   {TimerKind::connected_due, run.sa.id.value, run.exchange.id.value});
  static_cast<void>(due);
}

bool awaits_connected(const Exchange& exchange) {
  return exchange.state == State::qm_i_awaiting_connected || exchange.state == State::qm_r_awaiting_connected;
}

void on_connected_due(Core& core, IkeSa& sa, MessageId id) {
  const auto found = sa.quick_modes.find(id);
  if (found == sa.quick_modes.end() || !awaits_connected(*found->second)) return;
  QuickMode& quick = *found->second;
  Event event = event_of(core, sa, quick, EventId::commit_unanswered);
  event.fields.emplace_back("seconds", std::to_string(core.limits().connected_wait.count() / 1000));
  core.raise(std::move(event));
  run_wake(core, sa, quick);
}

void take_connected(Core& core, IkeSa& sa, MessageId id, const wire::NotifyPayload& notify) {
  if (QuickMode* quick = waiting_for(sa, id, notify)) run_wake(core, sa, *quick);
}

void take_delete_of_waiting(Core& core, IkeSa& sa, Spi outbound) {
  for (const auto& [id, quick] : sa.quick_modes) {
    if (!awaits_connected(*quick) || !quick->chosen->peer_spis.has(outbound)) continue;
    quick_mode_failed(core, sa, *quick,
                      {ErrorCode::peer_refused,
                       "the peer deleted the new SA before it said CONNECTED",
                       "that it goes on with the negotiation",
                       "see the peer's log for its reason",
                       {}});
    return;
  }
}

Result<void> take_connected_message(Run& run) {
  const Received& message = *run.message;
  auto expected = crypto::hash_1(run.sa.policy->hash, run.sa.keys, run.exchange.id, message.behind_hash());
  if (!expected) return fail(std::move(expected.error()));
  const auto notifies = payloads_of<wire::NotifyPayload>(message.body);
  const bool connected = std::any_of(notifies.begin(), notifies.end(), [](const auto* notify) {
    return notify->type == NotifyType::connected;
  });
  if (!connected || !equal_constant_time(*expected, payload_of<wire::HashPayload>(message.body)->data)) {
    return fail(ErrorCode::not_authenticated,
                "a Quick Mode message that is no CONNECTED, or whose HASH does not verify");
  }
  run.authenticated = true;
  run.sa.proved_at = message.datagram.remote;
  return {};
}

Bytes connected_iv(const IkeSa& sa, const Received& message) {
  const auto found = sa.quick_modes.find(message.header.message_id);
  if (found == sa.quick_modes.end() || !awaits_connected(*found->second)) return {};
  auto first = first_iv(sa, message.header.message_id);
  if (!first) return {};
  Received trial = message;
  return decrypt_message(sa, *first, trial) ? std::move(*first) : found->second->iv;
}

}  // namespace oakgate::ike
