#include "ike/quick_mode.h"

#include <algorithm>

#include "ike/commit_bit.h"
#include "ike/informational.h"
#include "ike/phase2_keys.h"
#include "ike/quick_mode_parts.h"
#include "ike/sa_book.h"
#include "ike/transport.h"
#include "ike/tunnels.h"

namespace oakgate::ike {

namespace {

constexpr Milliseconds kFreshPhase1{60000};  // an SA as young as this is not taken for dead after one silence

std::unique_ptr<QuickMode> new_exchange(Core& core, Role role, MessageId id) {
  auto quick = std::make_unique<QuickMode>();
  quick->kind = ExchangeKind::quick_mode;
  quick->role = role;
  quick->state = role == Role::initiator ? State::qm_i_generating : State::qm_r_start;
  quick->id = id;
  quick->begun_at = core.now().instant;
  quick->soft_percent = renewal_percent(core, role);
  return quick;
}

MessageId new_message_id(Core& core, const IkeSa& sa) {
  MessageId id;
  do {
    id = MessageId{core.rng().u32()};
  } while (id == MessageId{} || remembered(sa, id));
  return id;
}

// SAs that were installed for an exchange that came to nothing.
void take_back(Core& core, const IkeSa& sa, QuickMode& quick) {
  if (quick.result || quick.our_spis == ProtocolSpis{}) return;
  core.effect(RemoveSas{phase2_ids(sa, quick)});
  release_spis(core, quick.our_spis);
  quick.our_spis = {};
}

// Message 3 did not come, or not so that it could be read. The peer may have sent it and believe in SAs that
// are taken back here.
std::vector<SaId> inbound_ids(const IkeSa& sa, const QuickMode& quick) {
  std::vector<SaId> ids = phase2_ids(sa, quick);
  std::erase_if(ids, [&](const SaId& id) { return id.destination != sa.local.address; });
  return ids;
}

}  // namespace

std::span<const Step> quick_mode_steps(Role role) {
  return role == Role::initiator ? quick_mode_initiator_steps() : quick_mode_responder_steps();
}

std::optional<OwnQuickMode> own_quick_mode(Core& core, const Pair& pair) {
  if (!pair.negotiating) return std::nullopt;
  const auto [sa_id, message_id] = *pair.negotiating;
  IkeSa* sa = core.find_sa(sa_id);
  if (sa == nullptr) return std::nullopt;
  const auto found = sa->quick_modes.find(message_id);
  if (found == sa->quick_modes.end()) return std::nullopt;
  return OwnQuickMode{sa, found->second.get()};
}

bool expects_message_3(Core& core, const Peer& peer, Reqid reqid) {
  return std::any_of(peer.ike_sas.begin(), peer.ike_sas.end(), [&](IkeSaId id) {
    const IkeSa* sa = core.find_sa(id);
    if (sa == nullptr) return false;
    return std::any_of(sa->quick_modes.begin(), sa->quick_modes.end(), [&](const auto& entry) {
      const QuickMode& quick = *entry.second;
      const bool keyed = quick.keyed_at != Instant{};
      return quick.role == Role::responder && quick.reqid == reqid && keyed && !quick.result && !quick.failed;
    });
  });
}

void start_quick_mode(Core& core, IkeSa& sa, Peer& peer, Pair& pair) {
  auto fresh = new_exchange(core, Role::initiator, new_message_id(core, sa));
  QuickMode& quick = *fresh;
  remember(core, sa, quick.id);
  auto iv = first_iv(sa, quick.id);
  if (!iv) {
    pair_failed(core, peer, pair, iv.error());
    return;
  }
  quick.iv = std::move(*iv);
  quick.reqid = pair.config.reqid;
  quick.our_spis = new_spis(core, peer.config.tunnels[pair.tunnel].transform_sets);
  for (const SaPair& old : pair.sas) quick.replaces.push_back(old.id);
  pair.negotiating = std::pair(sa.id, quick.id);
  sa.quick_modes.emplace(quick.id, std::move(fresh));
  Run run{core, sa, quick};
  core.raise(pair_event(run, EventId::phase2_started));
  if (const auto pfs = peer.config.tunnels[pair.tunnel].pfs) start_job(run, DhGenerate{*pfs});
  run_from_start(core, sa, quick);
}

void answer_quick_mode(Core& core, IkeSa& sa, Received& message) {
  if (sa.quick_modes.size() >= core.limits().exchanges_per_sa) {
    Event event = core.event(EventId::limit_reached, sa);
    event.error = Error{ErrorCode::in_use,
                        "too many phase 2 exchanges under one IKE SA",
                        "at most " + std::to_string(core.limits().exchanges_per_sa),
                        {},
                        {}};
    core.raise(std::move(event));
    return;
  }
  const MessageId id = message.header.message_id;
  auto fresh = new_exchange(core, Role::responder, id);
  QuickMode& quick = *fresh;
  auto iv = first_iv(sa, id);
  if (!iv) return;
  quick.iv = std::move(*iv);
  sa.quick_modes.emplace(id, std::move(fresh));
  run_message(core, sa, quick, message);
  if (quick.state == State::qm_r_start && !quick.failed) {
    forget_quick_mode(core, sa, id);  // HASH(1) did not verify: as if nothing had come
  } else {
    remember(core, sa, id);
  }
}

void quick_mode_failed(Core& core, IkeSa& sa, QuickMode& quick, Error error) {
  quick.failed = true;
  Run run{core, sa, quick};
  if (error.notify) {
    ByteWriter spi;
    if (quick.chosen) spi.u32(quick.chosen->peer_spis.carrier().value);
    notify_protected(core, sa, *error.notify, std::move(spi).take());
  }
  take_back(core, sa, quick);
  Event event = pair_event(run, EventId::phase2_failed);
  event.error = error;
  core.raise(std::move(event));
  remember(core, sa, quick.id);
  const Reqid reqid = quick.reqid;
  const MessageId id = quick.id;
  forget_quick_mode(core, sa, id);
  Peer* peer = core.find_peer(sa.peer);
  Pair* pair = core.find_pair(reqid);
  if (peer == nullptr) return;
  if (pair == nullptr) {
    set_error(core, *peer, error);
  } else if (pair->negotiating == std::pair(sa.id, id)) {
    pair->negotiating.reset();
    pair_failed(core, *peer, *pair, error);
  } else if (pair->sas.empty()) {
    set_error(core, *peer, *pair, error);
  }
}

void quick_mode_timed_out(Core& core, IkeSa& sa, QuickMode& quick) {
  if (quick.withdrawn) {
    abandon_quick_mode(core, sa, quick);
    return;
  }
  if (awaits_connected(quick)) {
    on_connected_due(core, sa, quick.id);
    return;
  }
  Error error{ErrorCode::no_answer,
              sa.peer + " (" + sa.remote.address.to_string() + ") does not answer in Quick Mode",
              quick.role == Role::initiator ? "message 2 of Quick Mode" : "message 3 of Quick Mode",
              "see the peer's log: it may have dropped its IKE SA, or refuse without a word",
              {}};
  if (quick.role == Role::responder) send_delete(core, sa, inbound_ids(sa, quick));
  // The peer knows this IKE SA as long as it says anything else under it.
  const bool forgotten = quick.role == Role::initiator && sa.watch.heard < quick.begun_at;
  const bool fresh = core.now().instant - *sa.established_at < kFreshPhase1;
  if (!forgotten || fresh) {
    quick_mode_failed(core, sa, quick, std::move(error));
    if (forgotten && core.find_sa(sa.id) != nullptr) delete_ike_sa(core, sa, "no answer in Quick Mode");
    return;
  }
  // An SA that worked once and is silent now is most likely forgotten at the peer: begin anew with phase 1.
  delete_ike_sa(core, sa, "no answer in Quick Mode");
}

void quick_mode_repeated(Core& core, const QuickMode& quick) {
  if (quick.role == Role::initiator && quick.result) hold_outbound_longer(core, *quick.result);
}

void abandon_quick_mode(Core& core, IkeSa& sa, QuickMode& quick) {
  take_back(core, sa, quick);
  const MessageId id = quick.id;
  const Reqid reqid = quick.reqid;
  forget_quick_mode(core, sa, id);
  Pair* pair = core.find_pair(reqid);
  Peer* peer = core.find_peer(sa.peer);
  if (peer == nullptr || pair == nullptr || pair->negotiating != std::pair(sa.id, id)) return;
  pair->negotiating.reset();
  if (sa.xauth_refused) {
    // It would be asked for again, and again.
    pair_failed(core, *peer, *pair, *sa.xauth_refused);
    return;
  }
  pair->wanted = true;
  // Soon, but not within this call: its SA is just being taken apart.
  core.cancel(pair->retry_timer);
  pair->retry_timer = core.arm(Milliseconds{0}, {TimerKind::pair_retry_due, reqid.value, 0});
}

}  // namespace oakgate::ike
