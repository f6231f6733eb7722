#include "ike/sa_book.h"

#include <algorithm>

#include "ike/dead_peers.h"
#include "ike/exchange.h"
#include "ike/informational.h"
#include "ike/narrowed_pairs.h"
#include "ike/phase1.h"
#include "ike/quick_mode.h"
#include "ike/tunnels.h"

namespace oakgate::ike {

namespace {

// Whether a peer is configured to call from this very address, not just from a range around it.
bool names_host(const Peer& peer, const IpAddress& source) {
  return std::any_of(peer.called_from.begin(), peer.called_from.end(),
                     [&](const Subnet& subnet) { return subnet.is_host() && subnet.contains(source); });
}

}  // namespace

IkeSa& add_ike_sa(Core& core, std::unique_ptr<IkeSa> fresh) {
  EngineState& state = core.state();
  IkeSa& sa = *fresh;
  state.by_cookies[sa.cookies] = sa.id;
  sa.begun_at = core.now().instant;
  if (sa.role == Role::responder) {
    state.by_initiator_cookie[CookiePair{sa.cookies.initiator, {}}] = sa.id;
    state.half_open.enter(sa.id, sa.remote.address, names_host(*core.find_peer(sa.peer), sa.remote.address));
    sa.half_open_timer =
        core.arm(core.limits().half_open_life, {TimerKind::half_open_expired, sa.id.value, 0});
  }
  Peer* peer = core.find_peer(sa.peer);
  peer->ike_sas.insert(peer->ike_sas.begin(), sa.id);
  state.ike_sas.emplace(sa.id, std::move(fresh));
  return sa;
}

void set_responder_cookie(Core& core, IkeSa& sa, const Cookie& cookie) {
  EngineState& state = core.state();
  state.by_cookies.erase(sa.cookies);
  sa.cookies.responder = cookie;
  sa.begun_at = core.now().instant;
  state.by_cookies[sa.cookies] = sa.id;
}

void move_to_peer(Core& core, IkeSa& sa, const std::string& name) {
  Peer* next = core.find_peer(name);
  if (next == nullptr) return;
  if (Peer* old = core.find_peer(sa.peer)) std::erase(old->ike_sas, sa.id);
  sa.peer = name;
  auto& sas = next->ike_sas;  // the newest first
  sas.insert(std::find_if(sas.begin(), sas.end(), [&](IkeSaId id) { return id < sa.id; }), sa.id);
}

Result<void> make_half_open_room(Core& core, const Peer& peer, const IpAddress& source) {
  auto room = core.state().half_open.make_room(source, names_host(peer, source), core.limits(), core.rng());
  if (!room) return fail(std::move(room.error()));
  if (!*room) return {};
  IkeSa& evicted = *core.find_sa(**room);
  Event event = core.event(EventId::limit_reached, evicted);
  event.authenticated = false;
  event.error = Error{ErrorCode::in_use,
                      "a half-open negotiation makes room for a new one",
                      "that the peer goes on after our first answer",
                      "find out what floods UDP port 500, or raise `half_open`",
                      {}};
  core.raise(std::move(event));
  remove_ike_sa(core, evicted);
  return {};
}

Result<void> cookie_came_back(Core& core, IkeSa& sa) {
  return core.state().half_open.prove(sa.id, core.limits());
}

void leave_half_open(Core& core, IkeSa& sa) {
  core.cancel(sa.half_open_timer);
  core.state().half_open.leave(sa.id);
}

void forget_quick_mode(Core& core, IkeSa& sa, MessageId id) {
  const auto found = sa.quick_modes.find(id);
  if (found == sa.quick_modes.end()) return;
  core.cancel(found->second->retransmit_timer);
  if (found->second->job) core.state().jobs.erase(*found->second->job);
  narrowed_may_go(core, found->second->reqid);
  core.state().removed_exchanges.push_back(std::move(found->second));
  sa.quick_modes.erase(found);
}

void forget_transaction(Core& core, IkeSa& sa, MessageId id) {
  const auto found = sa.transactions.find(id);
  if (found == sa.transactions.end()) return;
  core.state().removed_exchanges.push_back(std::move(found->second));
  sa.transactions.erase(found);
}

void forget_phase1(Core& core, IkeSa& sa) {
  if (sa.phase1 == nullptr) return;
  core.cancel(sa.phase1->retransmit_timer);
  if (sa.phase1->job) core.state().jobs.erase(*sa.phase1->job);
  core.state().removed_exchanges.push_back(std::move(sa.phase1));
}

void remove_ike_sa(Core& core, IkeSa& sa) {
  EngineState& state = core.state();
  leave_half_open(core, sa);
  std::vector<MessageId> ids;
  for (const auto& [id, quick] : sa.quick_modes) ids.push_back(id);
  for (const MessageId id : ids) abandon_quick_mode(core, sa, *sa.quick_modes.at(id));
  forget_phase1(core, sa);
  stop_watching(core, sa);
  for (TimerId* timer : {&sa.rekey_timer, &sa.expiry_timer, &sa.keepalive_timer, &sa.fragments_timer})
    core.cancel(*timer);
  if (const auto found = state.by_cookies.find(sa.cookies);
      found != state.by_cookies.end() && found->second == sa.id) {
    state.by_cookies.erase(found);
  }
  const auto half = state.by_initiator_cookie.find(CookiePair{sa.cookies.initiator, {}});
  if (half != state.by_initiator_cookie.end() && half->second == sa.id) state.by_initiator_cookie.erase(half);
  if (Peer* peer = core.find_peer(sa.peer)) {
    std::erase(peer->ike_sas, sa.id);
    if (peer->negotiating == sa.id) peer->negotiating.reset();
  }
  const auto found = state.ike_sas.find(sa.id);
  state.removed_sas.push_back(std::move(found->second));
  state.ike_sas.erase(found);
}

void delete_ike_sa(Core& core, IkeSa& sa, std::string_view reason) {
  Event event = core.event(EventId::phase1_deleted, sa);
  event.fields = {{"by", "us"}, {"reason", std::string(reason)}};
  core.raise(std::move(event));
  if (sa.established()) send_delete_isakmp(core, sa);
  remove_ike_sa(core, sa);
}

std::uint32_t renewal_percent(Core& core, Role role) {
  return role == Role::initiator ? 85 + core.rng().below(6) : 92 + core.rng().below(4);
}

Milliseconds renewal_after(Core& core, Seconds life, Role role) {
  return Milliseconds(life) * renewal_percent(core, role) / 100;
}

void arm_lifetime(Core& core, IkeSa& sa, Seconds life) {
  core.cancel(sa.rekey_timer);
  core.cancel(sa.expiry_timer);
  const Milliseconds age = core.now().instant - *sa.established_at;
  const auto after = [&](Milliseconds since_then) { return std::max(since_then - age, Milliseconds{0}); };
  sa.rekey_timer =
      core.arm(after(renewal_after(core, life, sa.role)), {TimerKind::phase1_rekey_due, sa.id.value, 0});
  sa.expiry_timer = core.arm(after(life), {TimerKind::phase1_expired, sa.id.value, 0});
}

void on_phase1_rekey_due(Core& core, IkeSa& sa) {
  sa.rekey_timer = TimerId{};
  Peer* peer = core.find_peer(sa.peer);
  // Only the newest is renewed; an older one has its successor already.
  if (peer == nullptr || core.current_sa(*peer) != &sa || peer->negotiating) return;
  if (!peer->local || !peer->remote || !needs_phase1(*peer) || !waiver_holds(core, *peer)) return;
  core.raise(core.event(EventId::phase1_rekeying, sa));
  start_phase1(core, *peer);
}

void on_phase1_expired(Core& core, IkeSa& sa) {
  sa.expiry_timer = TimerId{};
  core.raise(core.event(EventId::phase1_expired, sa));
  delete_ike_sa(core, sa, "lifetime expired");
}

void on_half_open_expired(Core& core, IkeSa& sa) {
  sa.half_open_timer = TimerId{};
  // What lasts is ours: a certificate's CRL may have to be fetched. The peer is not to blame.
  if (sa.phase1->job && sa.patience < core.limits().half_open_extensions) {
    ++sa.patience;
    sa.half_open_timer =
        core.arm(core.limits().half_open_life, {TimerKind::half_open_expired, sa.id.value, 0});
    return;
  }
  Error error =
      sa.phase1->hint
          ? *sa.phase1->hint
          : Error{ErrorCode::no_answer,
                  "the peer began a negotiation and vanished in state " + std::string(ios_state(sa.state)),
                  "the next message of " + std::string(exchange_title(sa.phase1->kind)),
                  "see the peer's log for its reason",
                  {}};
  error.notify.reset();
  phase1_failed(core, sa, std::move(error));
}

void on_keepalive_due(Core& core, IkeSa& sa) {
  // RFC 3948 section 2.3: one byte, 0xff, outside every protection.
  core.effect(SendDatagram{sa.local, sa.remote, Bytes{0xff}, true});
  sa.keepalive_timer = core.arm(core.limits().keepalive, {TimerKind::keepalive_due, sa.id.value, 0});
}

}  // namespace oakgate::ike
