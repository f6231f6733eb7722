#include "ike/tunnels.h"

#include <algorithm>
#include <utility>

#include "ike/informational.h"
#include "ike/kept_pairs.h"
#include "ike/moved_peers.h"
#include "ike/narrowed_pairs.h"
#include "ike/phase1.h"
#include "ike/quick_mode.h"
#include "ike/sa_book.h"

namespace oakgate::ike {

namespace {

constexpr int kIdleChecks = 50;  // so many would fit into the life of an SA
// A peer that takes a tunnel down deletes its SA pairs one after the other: none is renewed meanwhile.
constexpr Milliseconds kDeletesFollow{2000};
constexpr int kSoftPart = 20;  // a careful part of the time to the soft limit of kilobytes

const TunnelConfig& config_of(const Peer& peer, const Pair& pair) {
  return peer.config.tunnels[pair.tunnel];
}

bool every_pair_up(const Peer& peer, std::size_t tunnel) {
  return std::all_of(peer.pairs.begin(), peer.pairs.end(), [&](const auto& entry) {
    const Pair& pair = entry.second;
    return pair.tunnel != tunnel || pair.narrows || is_served(peer, pair);
  });
}

bool starts_by_itself(const Peer& peer, const Pair& pair) {
  return !pair.narrows && config_of(peer, pair).start == StartMode::on_start &&
         !peer.tunnels[pair.tunnel].held_down;
}

Milliseconds back_off(Core& core, int failures) {
  const Limits& limits = core.limits();
  const int doublings = std::min(failures > 0 ? failures - 1 : 0, 16);
  const Milliseconds wait =
      std::min(limits.retry_first * (std::int64_t{1} << doublings), limits.retry_ceiling);
  // A tenth of jitter, so that a gateway's tunnels do not all start in one moment.
  return wait + Milliseconds(core.rng().below(static_cast<std::uint32_t>(wait.count() / 10 + 1)));
}

void retry_later(Core& core, Pair& pair, Milliseconds wait) {
  core.cancel(pair.retry_timer);
  pair.retry_timer = core.arm(wait, {TimerKind::pair_retry_due, pair.config.reqid.value, 0});
}

void finish_waiters(Core& core, Reqid reqid, const Error* error) {
  auto& waiters = core.state().waiters;
  for (auto waiter = waiters.begin(); waiter != waiters.end();) {
    const auto missing = std::find(waiter->missing.begin(), waiter->missing.end(), reqid);
    if (missing == waiter->missing.end()) {
      ++waiter;
      continue;
    }
    waiter->missing.erase(missing);
    if (error == nullptr && !waiter->missing.empty()) {
      ++waiter;
      continue;
    }
    core.effect(CommandDone{waiter->command, error == nullptr ? Result<void>{} : Result<void>(fail(*error))});
    waiter = waiters.erase(waiter);
  }
}

// What is wanted cannot even begin: who is missing what?
std::optional<Error> obstacle(Core& core, Peer& peer) {
  if (!waiver_holds(core, peer)) return peer.last_error->error;
  if (!peer.remote) {
    return Error{ErrorCode::address_unknown,
                 "the address of peer " + peer.config.name + " is not known",
                 "a fixed address, or a host name that resolves",
                 "a peer configured by a range can only be waited for; else look at name resolution",
                 {}};
  }
  if (!peer.local) {
    return Error{ErrorCode::address_unknown,
                 "no local address reaches " + peer.remote->to_string(),
                 "an address of this gateway with a route to the peer",
                 "see `ip route get " + peer.remote->to_string() + "`",
                 {}};
  }
  return std::nullopt;
}

void install_held(Core& core, SaPair& sas) {
  if (sas.held_out.empty()) return;
  core.cancel(sas.switch_timer);
  std::vector<SaSpec> outbound = std::exchange(sas.held_out, {});
  const JobId id{core.next_id()};
  core.state().jobs.emplace(id, JobOwner{{}, {}, sas.id});
  core.effect(InstallSas{id, std::move(outbound)});
}

bool can_send(const Pair& pair) {
  return std::any_of(pair.sas.begin(), pair.sas.end(), [](const SaPair& sas) {
    return sas.held_out.empty() && !sas.peer_told && !sas.receives_only;
  });
}

// It was negotiated at the same time as the one that replaces `replaces`.
bool rivals(const SaPair& one, const std::vector<SaPairId>& replaces) {
  return one.grace_timer == TimerId{} &&
         std::find(replaces.begin(), replaces.end(), one.id) == replaces.end();
}

// How long an SA pair can send yet. Its last kilobytes may go faster than those before them.
Milliseconds life_left(Core& core, const SaPair& sas) {
  const Instant now = core.now().instant;
  const auto expiry = core.state().timers.when(sas.expiry_timer);
  if (!expiry) return Milliseconds{0};
  Milliseconds left = *expiry - now;
  if (sas.soft_limit_at) {
    const Milliseconds used = *sas.soft_limit_at - sas.established_at;
    left = std::min(left, *sas.soft_limit_at + used / kSoftPart - now);
  }
  return std::max(left, Milliseconds{0});
}

// Limits::switch_delay, but well before the older pairs that send meanwhile expire.
void arm_switch(Core& core, const Pair& pair, SaPair& sas) {
  Milliseconds left{0};
  for (const SaPair& older : pair.sas) {
    if (older.held_out.empty()) left = std::max(left, life_left(core, older));
  }
  core.cancel(sas.switch_timer);
  sas.switch_timer = core.arm(std::min(core.limits().switch_delay, left / 2),
                              {TimerKind::phase2_switch_due, sas.id.value, 0});
}

// Soon, or at once if nothing else can.
void let_send(Core& core, const Pair& pair, SaPair& sas) {
  if (!can_send(pair)) {
    install_held(core, sas);
  } else if (!sas.held_out.empty() && sas.switch_timer == TimerId{}) {
    arm_switch(core, pair, sas);
  }
}

// From its establishment on: renewal, and the end.
void arm_life(Core& core, const Peer& peer, const Pair& pair, SaPair& sas,
              Milliseconds soonest = Milliseconds{0}) {
  core.cancel(sas.expiry_timer);
  core.cancel(sas.rekey_timer);
  const Seconds life = sas.lifetime.time;
  const Milliseconds age = core.now().instant - sas.keyed_at;
  const auto after = [&](Milliseconds since_then) { return std::max(since_then - age, Milliseconds{0}); };
  sas.expiry_timer = core.arm(after(life), {TimerKind::phase2_expired, sas.id.value, 0});
  if (config_of(peer, pair).rekey == RekeyMode::never || sas.role != SaRole::current) return;
  const Milliseconds renewal =
      std::max(after(renewal_after(core, life, sas.negotiated_as)), std::min(soonest, after(life) / 2));
  sas.rekey_timer = core.arm(renewal, {TimerKind::phase2_rekey_due, sas.id.value, 0});
}

// The tunnel may have gone down with this SA pair.
void after_removal(Core& core, Peer& peer, Pair& pair) {
  if (!pair.sas.empty()) {
    SaPair& front = pair.sas.front();
    if (front.peer_told) {
      const SaPairId id = front.id;
      remove_sa_pair(core, pair, id, "us", "renewed");
      return;
    }
    front.role = SaRole::current;
    // Its successor went first: it carries on.
    core.cancel(front.grace_timer);
    if (front.rekey_timer == TimerId{} && !pair.negotiating)
      arm_life(core, peer, pair, front, kDeletesFollow);
    let_send(core, pair, front);
    return;
  }
  TunnelRuntime& tunnel = peer.tunnels[pair.tunnel];
  if (tunnel.up_since && !every_pair_up(peer, pair.tunnel)) {
    tunnel.up_since.reset();
    --core.state().tunnels.up;
  }
  if (pair.narrows) {
    narrowed_may_go(core, pair.config.reqid);
    return;
  }
  guard(core, peer, pair);
  if (starts_by_itself(peer, pair) && !core.state().shutting_down && !pair.negotiating) {
    retry_later(core, pair, Milliseconds{1000 + core.rng().below(1000)});
  }
}

void raise_deleted(Core& core, const Peer& peer, const Pair& pair, const SaPair& sas, std::string_view by,
                   std::string_view reason) {
  Event event = core.event(EventId::phase2_deleted, peer, tunnel_name(peer, pair));
  event.fields = {{"selectors", pair.config.selectors.to_string()},
                  {"spi_in", std::to_string(sas.in.spi.value)},
                  {"by", std::string(by)},
                  {"reason", std::string(reason)}};
  core.raise(std::move(event));
}

}  // namespace

void renew(Core& core, const SaPair& sas) {
  Pair& pair = *core.find_pair(sas.reqid);
  Peer& peer = *core.state().by_reqid.at(sas.reqid);
  Event event = core.event(EventId::phase2_rekeying, peer, tunnel_name(peer, pair));
  event.fields = {{"selectors", pair.config.selectors.to_string()},
                  {"spi_in", std::to_string(sas.in.spi.value)}};
  core.raise(std::move(event));
  want_pair(core, peer, pair, Why::rekey);
}

void send_with_held(Core& core, Pair& pair) {
  for (SaPair& sas : pair.sas) install_held(core, sas);
}

namespace {

// Without a protocol: any that it has.
bool remove_by_outbound(Core& core, Peer& peer, std::optional<IpsecProtocol> protocol, Spi outbound,
                        std::string_view reason) {
  const auto names = [&](const std::optional<SaId>& id) {
    return id && id->spi == outbound && (!protocol || id->protocol == *protocol);
  };
  for (auto& [reqid, pair] : peer.pairs) {
    for (const SaPair& sas : pair.sas) {
      if (!names(sas.out) && !names(sas.ah_out) && !names(sas.comp_out)) continue;
      remove_sa_pair(core, pair, sas.id, "peer", reason);
      return true;
    }
  }
  return false;
}

}  // namespace

std::string tunnel_name(const Peer& peer, const Pair& pair) {
  return config_of(peer, pair).name;
}

SaPair* find_sa_pair(Core& core, SaPairId id) {
  const auto found = core.state().sa_pairs.find(id);
  Pair* pair = found == core.state().sa_pairs.end() ? nullptr : core.find_pair(found->second);
  if (pair == nullptr) return nullptr;
  const auto sas =
      std::find_if(pair->sas.begin(), pair->sas.end(), [id](const SaPair& one) { return one.id == id; });
  return sas == pair->sas.end() ? nullptr : &*sas;
}

Error about(const Peer& peer, Error error) {
  if (error.text.find(peer.config.name) == std::string::npos)
    error.text = peer.config.name + ": " + error.text;
  return error;
}

void set_error(Core& core, Peer& peer, const Error& error) {
  peer.last_error = LastError{about(peer, error), core.now().wall};
}

void set_error(Core& core, Peer& peer, Pair& pair, const Error& error) {
  peer.tunnels[pair.tunnel].last_error = LastError{about(peer, error), core.now().wall};
}

bool waiver_holds(Core& core, Peer& peer) {
  if (peer.config.needs_waiver.empty() || !peer.config.waiver.expired(core.now().wall)) {
    peer.waiver_expired = false;
    return true;
  }
  std::string words;
  for (const Weak word : peer.config.needs_waiver)
    words += (words.empty() ? "" : ", ") + std::string(weak_word(word));
  const Error error{ErrorCode::weak_waiver_expired,
                    "allow_weak of peer " + peer.config.name + " has ended; it needs " + words,
                    "an `until` date that is not past",
                    "replace the weak algorithms, or set a later `until` and say why",
                    {}};
  if (!peer.waiver_expired) {
    Event event = core.event(EventId::weak_waiver_expired, peer);
    event.error = error;
    core.raise(std::move(event));
  }
  peer.waiver_expired = true;
  set_error(core, peer, error);
  return false;
}

void guard(Core& core, Peer& peer, Pair& pair, const SaPair* coming) {
  const SaPair* carrier = pair.sas.empty() ? coming : &pair.sas.front();
  if (pair.narrows && carrier == nullptr) return;
  ProtectPolicy policy;
  policy.reqid = pair.config.reqid;
  policy.selectors = pair.config.selectors;
  policy.local_gateway = peer.local.value_or(
      IpAddress::any(peer.remote ? peer.remote->family() : pair.config.selectors.local.subnet.family()));
  policy.remote_gateway = peer.remote;
  if (carrier != nullptr) {
    // The peer may reach us, and be reached, at other addresses than those we would begin with.
    policy.local_gateway = carrier->local_gateway;
    policy.remote_gateway = carrier->remote_gateway;
  }
  const TransformSet& set = carrier == nullptr ? config_of(peer, pair).transform_sets.front() : carrier->set;
  policy.protection = set.protection();
  policy.compression = set.compression.has_value();
  policy.ties = config_of(peer, pair).ties;
  policy.mode = set.mode;
  if (carrier == nullptr &&
      !own_traffic(pair.config.selectors, policy.local_gateway,
                   policy.remote_gateway.value_or(IpAddress::any(policy.local_gateway.family())))) {
    policy.mode = EncapsulationMode::tunnel;
  }
  const bool held_down = peer.tunnels[pair.tunnel].held_down;
  policy.acquire =
      !pair.narrows && config_of(peer, pair).start == StartMode::on_traffic && peer.remote && !held_down;
  if (pair.guarded == policy) return;
  pair.guarded = policy;
  core.effect(Protect{policy});
}

void want_pair(Core& core, Peer& peer, Pair& pair, Why why) {
  if (core.state().shutting_down || pair.negotiating) return;
  if (pair.narrows && pair.sas.empty()) return;  // the peer's to begin
  if (why == Why::traffic && pair.holdoff_until && core.now().instant < *pair.holdoff_until) return;
  if (auto missing = obstacle(core, peer)) {
    pair_failed(core, peer, pair, *missing);
    return;
  }
  core.cancel(pair.retry_timer);
  if (IkeSa* sa = core.current_sa(peer)) {
    pair.wanted = false;
    start_quick_mode(core, *sa, peer, pair);
    return;
  }
  pair.wanted = true;
  if (!peer.negotiating) start_phase1(core, peer);
}

void start_configured(Core& core, Peer& peer) {
  for (auto& [reqid, pair] : peer.pairs) {
    if (starts_by_itself(peer, pair) && pair.sas.empty() && peer.local && peer.remote) {
      want_pair(core, peer, pair, Why::configuration);
    }
  }
}

void say_what_is_missing(Core& core, Peer& peer) {
  const bool idle = std::any_of(peer.pairs.begin(), peer.pairs.end(), [&](const auto& entry) {
    return starts_by_itself(peer, entry.second) && entry.second.sas.empty();
  });
  if (!idle) return;
  if (const auto missing = obstacle(core, peer)) set_error(core, peer, *missing);
}

void phase1_ready(Core& core, Peer& peer) {
  peer.last_error.reset();
  follow_phase1(core, peer);
  if (!peer.owed_deletes.empty()) {
    if (IkeSa* sa = core.current_sa(peer)) send_delete(core, *sa, std::exchange(peer.owed_deletes, {}));
  }
  std::vector<Reqid> wanted;
  for (auto& [reqid, pair] : peer.pairs) {
    // The peer may have moved, or be known only now.
    guard(core, peer, pair);
    if (pair.wanted) wanted.push_back(reqid);
  }
  for (const Reqid reqid : wanted) want_pair(core, peer, peer.pairs.at(reqid), Why::retry);
}

void phase1_lost(Core& core, Peer& peer, const Error& error) {
  std::vector<Reqid> waiting;
  for (const auto& [reqid, pair] : peer.pairs) {
    if (pair.wanted) waiting.push_back(reqid);
  }
  for (const Reqid reqid : waiting) {
    if (Pair* pair = core.find_pair(reqid)) pair_failed(core, peer, *pair, error);
  }
  // A renewal that failed is tried again while the old SA lives.
  IkeSa* sa = core.current_sa(peer);
  if (sa != nullptr && sa->rekey_timer == TimerId{}) {
    sa->rekey_timer = core.arm(back_off(core, 1), {TimerKind::phase1_rekey_due, sa->id.value, 0});
  }
}

bool loses_collision(const Pair& pair, Spi in, Spi out, const std::vector<SaPairId>& replaces) {
  if (pair.sas.empty() || !rivals(pair.sas.front(), replaces)) return false;
  const SaPair& rival = pair.sas.front();
  return std::min(rival.in.spi.value, rival.out.spi.value) < std::min(in.value, out.value);
}

SaPair& add_sa_pair(Core& core, Peer& peer, Pair& pair, SaPair fresh, const std::vector<SaPairId>& replaces) {
  core.state().sa_pairs.emplace(fresh.id, pair.config.reqid);
  if (loses_collision(pair, fresh.in.spi, fresh.out.spi, replaces)) {
    fresh.role = SaRole::old;
    arm_life(core, peer, pair, fresh);
    age(core, fresh, fresh.negotiated_as);
    remember_pair(core, peer, pair, fresh);
    return *pair.sas.insert(pair.sas.begin() + 1, std::move(fresh));
  }
  for (SaPair& other : pair.sas) {
    other.role = SaRole::old;
    core.cancel(other.rekey_timer);
    if (rivals(other, replaces)) age(core, other, other.negotiated_as);
  }
  arm_life(core, peer, pair, fresh);
  remember_pair(core, peer, pair, fresh);
  pair.sas.insert(pair.sas.begin(), std::move(fresh));
  guard(core, peer, pair);
  return pair.sas.front();
}

void age(Core& core, SaPair& sas, Role deleter) {
  if (sas.grace_timer != TimerId{}) return;
  const Milliseconds grace = core.limits().old_sa_grace * (deleter == Role::initiator ? 1 : 2);
  sas.grace_timer = core.arm(grace, {TimerKind::phase2_replaced, sas.id.value, 0});
}

void hold_outbound(Core& core, Pair& pair, SaPair& sas, std::vector<SaSpec> outbound) {
  sas.held_out = std::move(outbound);
  let_send(core, pair, sas);
}

void hold_outbound_longer(Core& core, SaPairId id) {
  SaPair* sas = find_sa_pair(core, id);
  if (sas != nullptr && !sas->held_out.empty()) arm_switch(core, *core.find_pair(sas->reqid), *sas);
}

void on_phase2_switch_due(Core& core, SaPairId id) {
  SaPair* sas = find_sa_pair(core, id);
  if (sas == nullptr) return;
  sas->switch_timer = TimerId{};
  // A pair that was negotiated meanwhile sends already, and may mean the end of this one.
  if (sas->role == SaRole::current) install_held(core, *sas);
}

void on_outbound_installed(Core& core, SaPairId id, const Result<void>& result) {
  SaPair* sas = result ? nullptr : find_sa_pair(core, id);
  if (sas == nullptr) return;
  Pair& pair = *core.find_pair(sas->reqid);
  delete_sa_pair(core, *core.state().by_reqid.at(sas->reqid), pair, id, "the data plane refused it");
}

void pair_is_up(Core& core, Peer& peer, Pair& pair) {
  pair.wanted = false;
  pair.failures = 0;
  pair.holdoff_until.reset();
  core.cancel(pair.retry_timer);
  TunnelRuntime& tunnel = peer.tunnels[pair.tunnel];
  if (every_pair_up(peer, pair.tunnel)) {
    tunnel.last_error.reset();
    if (!tunnel.up_since) {
      tunnel.up_since = core.now().instant;
      ++core.state().tunnels.up;
    }
  }
  finish_waiters(core, pair.config.reqid, nullptr);
}

void pair_failed(Core& core, Peer& peer, Pair& pair, const Error& error) {
  pair.wanted = false;
  ++pair.failures;
  const Milliseconds wait = back_off(core, pair.failures);
  pair.holdoff_until = core.now().instant + wait;
  set_error(core, peer, pair, error);
  const Error answer = about(peer, error);
  finish_waiters(core, pair.config.reqid, &answer);
  // A tunnel that starts by itself tries for ever; a renewal too, while the old SA pair still carries. One
  // that another negotiation has brought up meanwhile needs nothing.
  const bool renewal = !pair.sas.empty() && pair.sas.front().rekey_timer == TimerId{} &&
                       config_of(peer, pair).rekey != RekeyMode::never;
  if (!core.state().shutting_down && (renewal || (pair.sas.empty() && starts_by_itself(peer, pair))))
    retry_later(core, pair, wait);
}

void remove_sa_pair(Core& core, Pair& pair, SaPairId id, std::string_view by, std::string_view reason) {
  Peer* peer = core.state().by_reqid.at(pair.config.reqid);
  const auto found =
      std::find_if(pair.sas.begin(), pair.sas.end(), [id](const SaPair& one) { return one.id == id; });
  if (found == pair.sas.end()) return;
  raise_deleted(core, *peer, pair, *found, by, reason);
  for (TimerId* timer : {&found->rekey_timer, &found->expiry_timer, &found->grace_timer, &found->switch_timer,
                         &found->adopted_timer})
    core.cancel(*timer);
  core.effect(RemoveSas{found->ids()});
  forget_pair(core, *found);
  for (const SaId& one : found->inbound()) core.state().inbound_spis.erase(one.spi);
  core.state().sa_pairs.erase(id);
  pair.sas.erase(found);
  after_removal(core, *peer, pair);
}

void delete_sa_pair(Core& core, Peer& peer, Pair& pair, SaPairId id, std::string_view reason) {
  const SaPair* sas = find_sa_pair(core, id);
  if (sas == nullptr) return;
  if (IkeSa* sa = core.current_sa(peer)) send_delete(core, *sa, sas->inbound());
  remove_sa_pair(core, pair, id, "us", reason);
}

void remove_sa_pairs(Core& core, Peer& peer, std::string_view by, std::string_view reason) {
  remove_sa_pairs_older_than(core, peer, Instant::max(), by, reason);
}

void remove_sa_pairs_older_than(Core& core, Peer& peer, Instant before, std::string_view by,
                                std::string_view reason) {
  for (auto& [reqid, pair] : peer.pairs) {
    std::vector<SaPairId> ids;
    for (const SaPair& sas : pair.sas) {
      if (sas.established_at < before) ids.push_back(sas.id);
    }
    for (const SaPairId id : ids) remove_sa_pair(core, pair, id, by, reason);
  }
}

void on_peer_deleted(Core& core, Peer& peer, IpsecProtocol protocol, Spi outbound) {
  static_cast<void>(remove_by_outbound(core, peer, protocol, outbound, "DELETE received"));
}

bool on_peer_lost(Core& core, Peer& peer, Spi outbound) {
  return remove_by_outbound(core, peer, std::nullopt, outbound, "INVALID-SPI received");
}

void on_pair_retry_due(Core& core, Peer& peer, Pair& pair) {
  pair.retry_timer = TimerId{};
  const bool renewal = !pair.sas.empty();
  if (pair.wanted || renewal || starts_by_itself(peer, pair)) want_pair(core, peer, pair, Why::retry);
}

void on_phase2_rekey_due(Core& core, SaPairId id) {
  SaPair* sas = find_sa_pair(core, id);
  if (sas == nullptr || sas->role != SaRole::current) return;
  core.cancel(sas->rekey_timer);
  const Pair& pair = *core.find_pair(sas->reqid);
  const Peer& peer = *core.state().by_reqid.at(sas->reqid);
  if (config_of(peer, pair).rekey == RekeyMode::on_traffic && !starts_by_itself(peer, pair)) {
    core.effect(CountTraffic{JobId{id.value}, {sas->in, sas->out}});
    return;
  }
  renew(core, *sas);
}

void on_traffic_counted(Core& core, SaPairId id, const Result<std::uint64_t>& packets) {
  SaPair* sas = find_sa_pair(core, id);
  if (sas == nullptr || sas->role != SaRole::current) return;
  // What cannot be counted may be in use.
  if (!packets || *packets > sas->packets) {
    if (packets) sas->packets = *packets;
    renew(core, *sas);
    return;
  }
  // Idle: it may lapse. Traffic that begins before its end still has it renewed.
  const Milliseconds step = std::max(Milliseconds(sas->lifetime.time) / kIdleChecks, Milliseconds{1000});
  sas->rekey_timer = core.arm(step, {TimerKind::phase2_rekey_due, id.value, 0});
}

void on_phase2_soft_limit(Core& core, SaPairId id) {
  SaPair* sas = find_sa_pair(core, id);
  if (sas == nullptr || sas->role != SaRole::current) return;
  core.cancel(sas->rekey_timer);
  sas->soft_limit_at = core.now().instant;
  const Pair& pair = *core.find_pair(sas->reqid);
  const Peer& peer = *core.state().by_reqid.at(sas->reqid);
  if (config_of(peer, pair).rekey != RekeyMode::never) renew(core, *sas);
}

void shorten_life(Core& core, SaPair& sas, Seconds life) {
  if (life >= sas.lifetime.time) return;
  sas.lifetime.time = life;
  const Peer& peer = *core.state().by_reqid.at(sas.reqid);
  const Pair& pair = *core.find_pair(sas.reqid);
  arm_life(core, peer, pair, sas);
  remember_pair(core, peer, pair, sas);
}

bool needs_phase1(const Peer& peer) {
  return std::any_of(peer.pairs.begin(), peer.pairs.end(), [&](const auto& entry) {
    const Pair& pair = entry.second;
    return pair.wanted || pair.negotiating || !pair.sas.empty() || starts_by_itself(peer, pair);
  });
}

void on_phase2_expired(Core& core, SaPairId id) {
  SaPair* sas = find_sa_pair(core, id);
  if (sas == nullptr) return;
  Pair& pair = *core.find_pair(sas->reqid);
  Peer& peer = *core.state().by_reqid.at(sas->reqid);
  Event event = core.event(EventId::phase2_expired, peer, tunnel_name(peer, pair));
  event.fields = {{"selectors", pair.config.selectors.to_string()},
                  {"spi_in", std::to_string(sas->in.spi.value)}};
  core.raise(std::move(event));
  delete_sa_pair(core, peer, pair, id, "lifetime expired");
}

void on_phase2_replaced(Core& core, SaPairId id) {
  SaPair* sas = find_sa_pair(core, id);
  if (sas == nullptr) return;
  Pair& pair = *core.find_pair(sas->reqid);
  Peer& peer = *core.state().by_reqid.at(sas->reqid);
  IkeSa* sa = sas->peer_told ? nullptr : core.current_sa(peer);
  if (sa == nullptr) {
    remove_sa_pair(core, pair, id, "us", "renewed");
    return;
  }
  send_delete(core, *sa, sas->inbound());
  sas->peer_told = true;
  forget_pair(core, *sas);
  core.effect(RemoveSas{sas->outbound()});
  let_send(core, pair, pair.sas.front());
  sas->grace_timer = core.arm(core.limits().last_packets, {TimerKind::phase2_replaced, id.value, 0});
}

}  // namespace oakgate::ike
