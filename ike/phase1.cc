#include "ike/phase1.h"

#include <algorithm>

#include "ike/aggressive_mode.h"
#include "ike/dead_peers.h"
#include "ike/identities.h"
#include "ike/informational.h"
#include "ike/main_mode.h"
#include "ike/peer_keys.h"
#include "ike/responder_lifetime.h"
#include "ike/rsa_encryption.h"
#include "ike/sa_book.h"
#include "ike/transport.h"
#include "ike/tunnels.h"

namespace oakgate::ike {

namespace {

// ---- beginning

Cookie random_cookie(Core& core) {
  Cookie cookie{};
  const Bytes raw = core.random(cookie.size());
  std::copy(raw.begin(), raw.end(), cookie.begin());
  if (cookie == Cookie{}) cookie.back() = 1;  // zero means "none yet"
  return cookie;
}

std::unique_ptr<IkeSa> new_sa(Core& core, const Peer& peer, Role role, ExchangeKind kind) {
  const bool initiator = role == Role::initiator;
  auto sa = std::make_unique<IkeSa>();
  sa->id = IkeSaId{core.next_id()};
  sa->role = role;
  sa->peer = peer.config.name;
  sa->phase1 = std::make_unique<Phase1Exchange>();
  sa->phase1->kind = kind;
  sa->phase1->role = role;
  sa->phase1->state = kind == ExchangeKind::main_mode
                          ? (initiator ? State::mm_i_sent_sa : State::mm_r_start)
                          : (initiator ? State::ag_i_generating : State::ag_r_start);
  sa->state = sa->phase1->state;
  return sa;
}

void raise_started(Core& core, const IkeSa& sa) {
  Event event = core.event(EventId::phase1_started, sa);
  event.fields = {{"exchange", std::string(exchange_title(sa.phase1->kind))},
                  {"role", sa.role == Role::initiator ? "initiator" : "responder"}};
  event.authenticated = sa.role == Role::initiator;
  core.raise(std::move(event));
}

// What an initiator in this state waits for.
std::string awaited(State state) {
  switch (state) {
    case State::mm_i_sent_sa:
      return "message 2 of Main Mode";
    case State::mm_i_sent_ke:
      return "message 4 of Main Mode";
    case State::mm_i_sent_auth:
      return "message 6 of Main Mode";
    case State::ag_i_sent_offer:
      return "message 2 of Aggressive Mode";
    default:
      return {};
  }
}

// Why an initiator heard nothing more, in the words of an operator.
Error timeout_error(const IkeSa& sa, const Peer& peer, int tries) {
  const std::string who = peer.config.name + " (" + sa.remote.address.to_string() + ")";
  const std::string asked = " after " + std::to_string(tries + 1) + " attempts";
  if ((sa.state == State::mm_i_sent_ke || sa.state == State::mm_i_sent_auth) &&
      info(sa.policy->authentication).encrypts) {
    return rsa_encryption_silence(sa, who, asked);
  }
  if (sa.state == State::mm_i_sent_auth && info(sa.policy->authentication).signs) {
    return {
        ErrorCode::no_answer,
        who + " did not answer our certificate and signature" + asked +
            ": it refuses them without a word, or still looks for its CRL",
        "the peer's SIG_R",
        "see the peer's log: whether it has our CA's certificate, reaches its CRL, and expects our identity",
        {}};
  }
  if (sa.state == State::mm_i_sent_auth) {
    return {ErrorCode::wrong_key,
            who + " did not answer our authentication" + asked +
                ", which is how a different pre-shared key shows",
            "the peer's HASH_R",
            "compare the pre-shared key configured here and at the peer",
            {}};
  }
  if (sa.state == State::mm_i_sent_ke) {
    return {ErrorCode::no_answer,
            who + " stopped answering in the key exchange" + asked,
            "message 4 of Main Mode",
            "see whether large or fragmented UDP datagrams are dropped on the way, or the peer crashed",
            {}};
  }
  if (sa.state == State::ag_i_sent_offer) {
    return {ErrorCode::no_answer,
            who + " does not answer Aggressive Mode" + asked,
            "message 2 of Aggressive Mode",
            "see whether the peer runs IKE, allows Aggressive Mode and knows our identity, and UDP ports 500 "
            "and 4500 pass the firewalls",
            {}};
  }
  return {ErrorCode::no_answer,
          who + " does not answer" + asked,
          "an answer from UDP port 500",
          "see whether the peer runs IKE, knows this gateway, and UDP ports 500 and 4500 pass the firewalls",
          {}};
}

// ---- being there

void announce_weak(Run& run, const Peer& peer) {
  if (run.exchange.kind == ExchangeKind::aggressive_mode &&
      run.sa.policy->authentication == AuthMethod::pre_share) {
    run.core.raise(run.core.event(EventId::guessable, run.sa));
  }
  auto weak = weak_things(*run.sa.policy);
  if (info(run.sa.policy->authentication).encrypts && peer.config.rsa_encryption) {
    const auto keys = weak_things(*peer.config.rsa_encryption);
    weak.insert(weak.end(), keys.begin(), keys.end());
  }
  if (weak.empty()) return;
  run.core.raise(weak_used_event(run.core, peer, {}, weak));
}

void enter_established(Run& run, const Peer& peer, Identity proved) {
  Core& core = run.core;
  IkeSa& sa = run.sa;
  leave_half_open(core, sa);
  sa.state = State::established;
  sa.remote_identity = std::move(proved);
  sa.established_at = core.now().instant;
  // The chain of IVs of every later exchange begins with the last block of phase 1 (RFC 2409 Appendix B).
  sa.last_phase1_block = run.exchange.iv;
  // The exchange stays a while, to answer repetitions of the last message.
  const TimerId forget =
      core.arm(core.limits().half_open_life, {TimerKind::exchange_forgotten, sa.id.value, 0});
  static_cast<void>(forget);
  Event proof = core.event(EventId::phase1_authenticated, sa);
  proof.fields = {{"identity", sa.remote_identity->to_string()}};
  core.raise(std::move(proof));
  Event event = core.event(EventId::phase1_established, sa);
  event.fields = {{"policy", to_string(*sa.policy)},
                  {"lifetime", std::to_string(sa.policy->lifetime.count())},
                  {"nat", sa.nat.to_string()},
                  {"role", sa.role == Role::initiator ? "initiator" : "responder"}};
  core.raise(std::move(event));
  announce_weak(run, peer);
  arm_lifetime(core, sa, sa.policy->lifetime);
  watch_for_silence(core, sa);
  // Only the side behind the NAT has a mapping to keep open (RFC 3948 section 4).
  if (sa.nat.local)
    sa.keepalive_timer = core.arm(core.limits().keepalive, {TimerKind::keepalive_due, sa.id.value, 0});
}

void heed_initial_contact(Run& run) {
  if (static_cast<const Phase1Exchange&>(run.exchange).initial_contact) on_initial_contact(run.core, run.sa);
}

// Who renews takes the old SA away, and only what was there when the renewal began.
void supersede(Run& run, const Peer& peer) {
  std::vector<IkeSaId> older;
  for (const IkeSaId id : peer.ike_sas) {
    if (id != run.sa.id && id < run.sa.id) older.push_back(id);
  }
  for (const IkeSaId id : older) {
    IkeSa* sa = run.core.find_sa(id);
    if (sa == nullptr || !sa->established()) continue;
    const bool busy = std::any_of(sa->quick_modes.begin(), sa->quick_modes.end(),
                                  [](const auto& entry) { return entry.second->state != State::done; });
    if (!busy) delete_ike_sa(run.core, *sa, "renewed");  // else it ends by its own life
  }
}

// A negotiation of our own that nobody has answered yet is not needed any more.
void give_up_own(Run& run, Peer& peer) {
  if (!peer.negotiating || *peer.negotiating == run.sa.id) return;
  IkeSa* own = run.core.find_sa(*peer.negotiating);
  if (own == nullptr) return;
  const bool unanswered = own->state == State::mm_i_sent_sa || own->state == State::ag_i_generating ||
                          own->state == State::ag_i_sent_offer;
  if (!unanswered) return;
  peer.negotiating.reset();
  remove_ike_sa(run.core, *own);
}

// A peer configured by a range, or by a name that does not resolve, is where it called from last.
void follow(const IkeSa& sa, Peer& peer) {
  const bool fixed = peer.config.called_from.size() == 1 && peer.config.called_from.front().is_host();
  if (fixed && peer.remote) return;
  peer.local = sa.local.address;
  peer.remote = sa.remote.address;
}

// Message 1 is refused before there is an SA.
void refuse_call(Core& core, const Datagram& datagram, const Peer* peer, EventId id, Error error,
                 std::vector<Field> fields = {}) {
  Event event;
  event.id = id;
  if (peer != nullptr) event.peer = peer->config.name;
  event.local = datagram.local;
  event.remote = datagram.remote;
  event.authenticated = false;
  event.fields = std::move(fields);
  event.error = std::move(error);
  core.raise(std::move(event));
}

// Main Mode: whoever calls is known by the source address only.
Peer* main_mode_caller(Core& core, const Datagram& datagram) {
  Peer* peer = core.peer_for_source(datagram.remote.address);
  if (peer != nullptr) return peer;
  refuse_call(core, datagram, nullptr, EventId::unknown_peer,
              {ErrorCode::unknown_peer,
               "No pre-shared key with " + datagram.remote.address.to_string(),
               "a configured peer",
               "add a peer with this address to peers, or find out who calls",
               {}});
  return nullptr;
}

// Aggressive Mode: by the address and the identity. Nothing is computed for one that is not known.
Peer* aggressive_caller(Core& core, Received& message) {
  const Datagram& datagram = message.datagram;
  auto claimed = claimed_identity(message);
  if (!claimed) {
    claimed.error().notify.reset();
    refuse_call(core, datagram, nullptr, EventId::message_rejected, std::move(claimed.error()));
    return nullptr;
  }
  Peer* peer = core.peer_for_identity(datagram.remote.address, *claimed);
  if (peer != nullptr) return peer;
  const Peer* by_address = core.peer_for_source(datagram.remote.address);
  Error error{ErrorCode::unknown_peer,
              (claimed->kind == IdentityKind::address ? "No pre-shared key with "
                                                      : "No pre-shared key based on hostname ") +
                  (claimed->kind == IdentityKind::address ? claimed->address.to_string() : claimed->text),
              "a configured peer of that identity, called from " + datagram.remote.address.to_string() +
                  ", with `aggressive: true`",
              "set the peer's `identity` and `aggressive: true`, or have it use Main Mode",
              {}};
  refuse_call(core, datagram, by_address, EventId::unknown_peer, std::move(error),
              {{"identity", claimed->to_string()}});
  return nullptr;
}

// Message 1 of Aggressive Mode makes us compute before the caller has shown that it receives at its address:
// so many a minute for each peer, and the others must wait.
Result<void> take_call(Core& core, Peer& peer) {
  constexpr std::int64_t kMinute = 60000;
  const Limits& limits = core.limits();
  const std::int64_t most = kMinute * limits.aggressive_burst;
  const Instant now = core.now().instant;
  CallRate& rate = peer.aggressive_calls;
  const std::int64_t earned = rate.since ? (now - *rate.since).count() * limits.aggressive_per_minute : most;
  rate.credit = std::min(most, rate.credit + earned);
  rate.since = now;
  if (rate.credit < kMinute) {
    return fail(ErrorCode::in_use, "too many calls in Aggressive Mode",
                "at most " + std::to_string(limits.aggressive_per_minute) + " a minute, and " +
                    std::to_string(limits.aggressive_burst) + " at once",
                "find out what floods UDP port 500, or raise `half_open: {aggressive_per_minute}`");
  }
  rate.credit -= kMinute;
  return {};
}

}  // namespace

void start_phase1(Core& core, Peer& peer) {
  const bool aggressive = peer.config.aggressive;
  auto fresh = new_sa(core, peer, Role::initiator,
                      aggressive ? ExchangeKind::aggressive_mode : ExchangeKind::main_mode);
  fresh->cookies.initiator = random_cookie(core);
  fresh->local = {*peer.local, kIkePort};
  fresh->remote = {*peer.remote, kIkePort};
  IkeSa& sa = add_ike_sa(core, std::move(fresh));
  peer.negotiating = sa.id;
  raise_started(core, sa);
  auto begun = aggressive ? begin_aggressive(core, sa, peer) : send_first_offer(core, sa, peer);
  if (!begun) phase1_failed(core, sa, std::move(begun.error()));
}

void answer_phase1(Core& core, Received& message) {
  const Datagram& datagram = message.datagram;
  const bool aggressive = message.header.exchange == wire::ExchangeType::aggressive;
  Peer* peer = aggressive ? aggressive_caller(core, message) : main_mode_caller(core, datagram);
  if (peer == nullptr || !waiver_holds(core, *peer)) return;
  auto room = aggressive ? take_call(core, *peer) : Result<void>{};
  if (room) room = make_half_open_room(core, *peer, datagram.remote.address);
  if (!room) {
    refuse_call(core, datagram, peer, EventId::limit_reached, std::move(room.error()));
    return;
  }
  auto fresh = new_sa(core, *peer, Role::responder,
                      aggressive ? ExchangeKind::aggressive_mode : ExchangeKind::main_mode);
  fresh->cookies = {message.header.cookies.initiator, random_cookie(core)};
  fresh->local = datagram.local;
  fresh->remote = datagram.remote;
  fresh->request_bytes = datagram.data.size();
  IkeSa& sa = add_ike_sa(core, std::move(fresh));
  raise_started(core, sa);
  run_message(core, sa, *sa.phase1, message);
  // The offer was refused: nothing stays.
  if (sa.state == State::mm_r_start || sa.state == State::ag_r_start) remove_ike_sa(core, sa);
}

void phase1_established(Run& run, Identity proved) {
  Peer& peer = *run.core.find_peer(run.sa.peer);
  heed_initial_contact(run);
  enter_established(run, peer, std::move(proved));
  if (run.sa.role == Role::initiator) {
    peer.negotiating.reset();
    supersede(run, peer);
  } else {
    follow(run.sa, peer);
    give_up_own(run, peer);
    tell_phase1_life(run.core, run.sa);
  }
  phase1_ready(run.core, peer);
}

void phase1_failed(Core& core, IkeSa& sa, Error error) {
  if (sa.last_phase1_block.empty()) {
    if (error.notify) notify_in_clear(core, sa, *error.notify);
  } else {
    if (error.notify) notify_protected(core, sa, *error.notify, {});
    // Who sent the exchange's last message has an established SA, and has to hear that we have none.
    const bool main_mode = sa.phase1->kind == ExchangeKind::main_mode;
    if (main_mode == (sa.role == Role::initiator)) send_delete_isakmp(core, sa);
  }
  Event event = core.event(EventId::phase1_failed, sa);
  event.fields = {{"mode", sa.phase1->kind == ExchangeKind::main_mode ? "Main mode" : "Aggressive mode"}};
  if (std::string message = awaited(sa.state); !message.empty())
    event.fields.emplace_back("awaited", std::move(message));
  event.error = error;
  core.raise(std::move(event));
  Peer* peer = core.find_peer(sa.peer);
  const bool ours = peer != nullptr && peer->negotiating == sa.id;
  if (ours) peer->negotiating.reset();
  const bool again = ours && try_other_skeyid(sa, *peer);
  remove_ike_sa(core, sa);
  if (peer == nullptr) return;
  if (core.current_sa(*peer) == nullptr) set_error(core, *peer, error);
  if (again && !core.state().shutting_down) {
    start_phase1(core, *peer);
    return;
  }
  if (ours) phase1_lost(core, *peer, error);
}

void phase1_timed_out(Core& core, IkeSa& sa) {
  const Peer* peer = core.find_peer(sa.peer);
  if (sa.role == Role::responder) return;  // its patience is half_open_timer
  Error error = sa.phase1->hint ? *sa.phase1->hint : timeout_error(sa, *peer, sa.phase1->tries);
  error.notify.reset();
  phase1_failed(core, sa, std::move(error));
}

void phase1_hint(Core& core, IkeSa& sa, const Error& error) {
  // What an unauthenticated message says is shown while nothing better is known; it changes nothing else.
  Peer* peer = core.find_peer(sa.peer);
  if (peer != nullptr && core.current_sa(*peer) == nullptr) set_error(core, *peer, error);
}

}  // namespace oakgate::ike
