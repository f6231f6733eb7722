#include "ike/commands.h"

#include <algorithm>
#include <set>
#include <utility>

#include "ike/dead_peers.h"
#include "ike/informational.h"
#include "ike/kept_pairs.h"
#include "ike/moved_peers.h"
#include "ike/narrowed_pairs.h"
#include "ike/quick_mode.h"
#include "ike/sa_book.h"
#include "ike/tunnels.h"

namespace oakgate::ike {

namespace {

void done(Core& core, CommandId id, Result<void> result) {
  if (id != CommandId{}) core.effect(CommandDone{id, std::move(result)});
}

Error unknown(const std::string& peer, const std::string& tunnel) {
  const std::string what = tunnel.empty() ? "peer " + peer : "tunnel " + peer + "/" + tunnel;
  return {ErrorCode::not_found,
          "no such thing: " + what,
          "a name from the configuration",
          "`oakgate status` lists them",
          {}};
}

// The pairs a command means; none if a name is not known.
std::vector<Reqid> pairs_meant(const Peer& peer, const std::string& tunnel) {
  std::vector<Reqid> reqids;
  for (const auto& [reqid, pair] : peer.pairs) {
    if (tunnel.empty() || tunnel_name(peer, pair) == tunnel) reqids.push_back(reqid);
  }
  return reqids;
}

void hold(Core& core, Peer& peer, const std::string& tunnel, bool held) {
  for (auto& [reqid, pair] : peer.pairs) {
    if (!tunnel.empty() && tunnel_name(peer, pair) != tunnel) continue;
    peer.tunnels[pair.tunnel].held_down = held;
    guard(core, peer, pair);
  }
}

void on(Core& core, const Up& up) {
  Peer* peer = core.find_peer(up.peer);
  const auto meant = peer == nullptr ? std::vector<Reqid>{} : pairs_meant(*peer, up.tunnel);
  if (meant.empty()) {
    done(core, up.id, fail(unknown(up.peer, up.tunnel)));
    return;
  }
  hold(core, *peer, up.tunnel, false);
  std::vector<Reqid> missing;
  for (const Reqid reqid : meant) {
    const Pair& pair = peer->pairs.at(reqid);
    if (pair.sas.empty() && !pair.narrows) missing.push_back(reqid);
  }
  if (missing.empty()) {
    done(core, up.id, {});
    return;
  }
  if (up.id != CommandId{}) core.state().waiters.push_back({up.id, up.peer, missing});
  for (const Reqid reqid : missing) want_pair(core, *peer, peer->pairs.at(reqid), Why::command);
}

// Our own Quick Mode for a pair is given up.
void stop_negotiating(Core& core, Pair& pair) {
  pair.wanted = false;
  core.cancel(pair.retry_timer);
  const auto own = own_quick_mode(core, pair);
  pair.negotiating.reset();
  if (own) abandon_quick_mode(core, *own->sa, *own->quick);
}

void cancel_waiters(Core& core, const std::string& peer, const std::vector<Reqid>& reqids, const char* why) {
  auto& waiters = core.state().waiters;
  for (auto waiter = waiters.begin(); waiter != waiters.end();) {
    const bool meant =
        waiter->peer == peer && std::any_of(waiter->missing.begin(), waiter->missing.end(), [&](Reqid reqid) {
          return std::find(reqids.begin(), reqids.end(), reqid) != reqids.end();
        });
    if (!meant) {
      ++waiter;
      continue;
    }
    done(core, waiter->command, fail(ErrorCode::cancelled, why));
    waiter = waiters.erase(waiter);
  }
}

void take_down(Core& core, Peer& peer, const std::vector<Reqid>& reqids, const char* why) {
  cancel_waiters(core, peer.config.name, reqids, why);
  for (const Reqid reqid : reqids) {
    Pair& pair = peer.pairs.at(reqid);
    stop_negotiating(core, pair);
    std::vector<SaPairId> ids;
    for (const SaPair& sas : pair.sas) ids.push_back(sas.id);
    // The newest last: without it, the peer would go back to an older one, and may renew that at once.
    for (auto id = ids.rbegin(); id != ids.rend(); ++id) delete_sa_pair(core, peer, pair, *id, why);
    core.cancel(pair.retry_timer);
  }
}

bool has(const SaPair& sas, const SaId& sa) {
  const std::vector<SaId> ids = sas.ids();
  return std::find(ids.begin(), ids.end(), sa) != ids.end();
}

void take_down_phase1(Core& core, Peer& peer, const char* why) {
  peer.negotiating.reset();
  const std::vector<IkeSaId> ids = peer.ike_sas;
  for (const IkeSaId id : ids) {
    if (IkeSa* sa = core.find_sa(id)) delete_ike_sa(core, *sa, why);
  }
}

void on(Core& core, const Down& down) {
  Peer* peer = core.find_peer(down.peer);
  const auto meant = peer == nullptr ? std::vector<Reqid>{} : pairs_meant(*peer, down.tunnel);
  if (meant.empty()) {
    done(core, down.id, fail(unknown(down.peer, down.tunnel)));
    return;
  }
  hold(core, *peer, down.tunnel, true);
  take_down(core, *peer, meant, "taken down by command");
  if (down.tunnel.empty()) take_down_phase1(core, *peer, "taken down by command");
  done(core, down.id, {});
}

constexpr const char* kCleared = "cleared by command";

void on(Core& core, const ClearSas& clear) {
  Peer* peer = core.find_peer(clear.peer);
  if (peer == nullptr) return;
  for (const Reqid reqid : pairs_meant(*peer, clear.tunnel)) {
    Pair* pair = core.find_pair(reqid);  // a narrowed one may have gone with those before it
    if (pair == nullptr) continue;
    std::vector<SaPairId> ids;
    for (const SaPair& sas : pair->sas) {
      if (!clear.sa || has(sas, *clear.sa)) ids.push_back(sas.id);
    }
    // The newest last, as in take_down.
    for (auto id = ids.rbegin(); id != ids.rend(); ++id) {
      const SaPair* sas = find_sa_pair(core, *id);
      if (sas == nullptr) continue;
      if (sas->peer_told) {
        remove_sa_pair(core, *pair, *id, "us", kCleared);
      } else {
        delete_sa_pair(core, *peer, *pair, *id, kCleared);
      }
    }
  }
}

void on(Core& core, const ClearIkeSas& clear) {
  Peer* peer = core.find_peer(clear.peer);
  if (peer == nullptr) return;
  bool lost = false;  // the negotiation that pairs wait for
  for (const IkeSaId id : std::vector(peer->ike_sas)) {
    IkeSa* sa = core.find_sa(id);
    if (sa == nullptr || (clear.cookies && sa->cookies != *clear.cookies)) continue;
    lost = lost || peer->negotiating == id;
    delete_ike_sa(core, *sa, kCleared);
  }
  if (!lost) return;
  phase1_lost(core, *peer,
              {ErrorCode::cancelled,
               "the negotiation was cleared by command",
               "that nobody clears it",
               "`oakgate up` begins anew",
               {}});
}

void on(Core& core, SetPeerAddresses set) {
  Peer* peer = core.find_peer(set.peer);
  if (peer == nullptr) return;
  if (set.called_from && *set.called_from != peer->called_from) {
    peer->called_from = *set.called_from;
    core.state().sources.reset();
  }
  const bool changed = peer->local != set.local || peer->remote != set.remote;
  if (!changed) {
    say_what_is_missing(core, *peer);
    return;
  }
  const bool moved =
      (peer->local && peer->local != set.local) || (peer->remote && peer->remote != set.remote);
  Event event = core.event(EventId::address_changed, *peer);
  event.fields = {{"local", set.local ? set.local->to_string() : "none"},
                  {"remote", set.remote ? set.remote->to_string() : "none"}};
  core.raise(std::move(event));
  if (moved) {
    // SAs between addresses that are not the peer's any more carry nothing.
    take_down_phase1(core, *peer, "address changed");
    remove_sa_pairs(core, *peer, "us", "address changed");
  }
  peer->local = set.local;
  peer->remote = set.remote;
  for (auto& [reqid, pair] : peer->pairs) guard(core, *peer, pair);
  start_configured(core, *peer);
  say_what_is_missing(core, *peer);
}

void on(Core& core, SetTrustpoint set) {
  EngineState& state = core.state();
  const std::string name = set.state.name;
  TrustpointState& kept = state.trustpoints[name];
  const bool renewed = set.state.own && kept.own != set.state.own;
  kept = std::move(set.state);
  if (!renewed) return;
  // What failed for want of a certificate need not wait for its next try.
  for (const std::string& peer : std::vector(state.peer_order)) {
    Peer* user = core.find_peer(peer);
    if (user != nullptr && user->config.trustpoint == name) start_configured(core, *user);
  }
}

void on(Core& core, const PeerRevoked& revoked) {
  Peer* peer = core.find_peer(revoked.peer);
  if (peer == nullptr) return;
  Event event = core.event(EventId::peer_revoked, *peer);
  event.error = revoked.error;
  core.raise(std::move(event));
  take_down(core, *peer, pairs_meant(*peer, {}), "certificate revoked");
  take_down_phase1(core, *peer, "certificate revoked");
  set_error(core, *peer, revoked.error);
  for (auto& [reqid, pair] : peer->pairs) set_error(core, *peer, pair, revoked.error);
}

// What becomes of the guards of peers that a reload makes anew: no traffic is unguarded in between.
struct Guards {
  explicit Guards(const EngineConfig& fresh) {
    for (const PeerConfig& peer : fresh.peers) {
      for (const TunnelConfig& tunnel : peer.tunnels) {
        for (const PairConfig& pair : tunnel.pairs) {
          reqids.insert(pair.reqid);
          selectors.insert(pair.selectors.canonical());
        }
      }
    }
  }
  void take(Core& core, const Pair& pair) {
    const Reqid reqid = pair.config.reqid;
    if (!pair.guarded) return;
    if (reqids.contains(reqid)) {
      stay.emplace(reqid, *pair.guarded);
    } else if (selectors.contains(pair.config.selectors.canonical())) {
      core.effect(Unprotect{reqid});  // two guards of the same traffic cannot be
    } else {
      go.push_back(reqid);
    }
  }

  std::set<Reqid> reqids;  // of the fresh configuration
  std::set<SelectorPair> selectors;
  std::map<Reqid, ProtectPolicy> stay;
  std::vector<Reqid> go;  // once the fresh ones are there
};

// Deletes its SAs at the peer, and forgets it.
void remove_peer(Core& core, Peer& peer, Guards& guards) {
  EngineState& state = core.state();
  for (TunnelRuntime& tunnel : peer.tunnels) tunnel.held_down = true;  // nothing starts again meanwhile
  take_down(core, peer, pairs_meant(peer, {}), "configuration changed");
  take_down_phase1(core, peer, "configuration changed");
  for (auto& [reqid, pair] : peer.pairs) {
    core.cancel(pair.retry_timer);
    guards.take(core, pair);
    state.by_reqid.erase(reqid);
  }
  state.tunnels.configured -= peer.tunnels.size();
  for (const TunnelRuntime& tunnel : peer.tunnels) state.tunnels.up -= tunnel.up_since ? 1 : 0;
  const auto found = state.peers.find(peer.config.name);
  state.removed_peers.push_back(std::move(found->second));
  state.peers.erase(found);
}

void on(Core& core, Reconfigure reconfigure) {
  EngineState& state = core.state();
  Guards guards(reconfigure.config);
  std::set<std::string> kept;
  for (const PeerConfig& fresh : reconfigure.config.peers) {
    Peer* old = core.find_peer(fresh.name);
    if (old != nullptr && old->config == fresh) {
      kept.insert(fresh.name);
    }
  }
  for (const std::string& name : std::exchange(state.peer_order, {})) {
    if (!kept.contains(name)) remove_peer(core, *core.find_peer(name), guards);
  }
  state.gateway = reconfigure.config.gateway;
  state.limits = reconfigure.config.limits;
  const bool keeps_now = reconfigure.config.keep && !state.keep;
  state.keep = reconfigure.config.keep;
  for (PeerConfig& fresh : reconfigure.config.peers) {
    const std::string name = fresh.name;
    if (kept.contains(name)) {
      state.peer_order.push_back(name);
    } else {
      add_peer(core, std::move(fresh), {}, guards.stay);
    }
  }
  for (const Reqid reqid : guards.go) core.effect(Unprotect{reqid});
  state.sources.reset();
  for (const std::string& name : kept) {
    Peer& peer = *core.find_peer(name);
    take_down(core, peer, narrowed_out_of_place(core, peer), "configuration changed");
  }
  if (keeps_now) remember_all(core);
}

void begin_end(Core& core) {
  EngineState& state = core.state();
  state.shutting_down = true;
  for (Waiter& waiter : state.waiters) {
    done(core, waiter.command, fail(ErrorCode::cancelled, "the daemon is ending"));
  }
  state.waiters.clear();
}

void on(Core& core, Suspend suspend) {
  begin_end(core);
  for (const std::string& name : core.state().peer_order) {
    Peer& peer = *core.find_peer(name);
    for (const IkeSaId id : std::vector(peer.ike_sas)) {
      if (IkeSa* sa = core.find_sa(id)) remove_ike_sa(core, *sa);
    }
    for (auto& [reqid, pair] : peer.pairs) send_with_held(core, pair);
  }
  done(core, suspend.id, {});
}

void on(Core& core, Shutdown shutdown) {
  EngineState& state = core.state();
  begin_end(core);
  for (const std::string& name : state.peer_order) {
    Peer& peer = *core.find_peer(name);
    take_down(core, peer, pairs_meant(peer, {}), "the daemon is ending");
    take_down_phase1(core, peer, "the daemon is ending");
  }
  done(core, shutdown.id, {});
}

void on(Core& core, Acquire acquire) {
  Pair* pair = core.find_pair(acquire.reqid);
  if (pair == nullptr || !pair->sas.empty()) return;
  Peer& peer = *core.state().by_reqid.at(acquire.reqid);
  if (peer.tunnels[pair->tunnel].held_down || peer.config.tunnels[pair->tunnel].start == StartMode::responder)
    return;
  if (expects_message_3(core, peer, acquire.reqid)) return;
  want_pair(core, peer, *pair, Why::traffic);
}

SaPairId pair_with(Core& core, Reqid reqid, const SaId& sa) {
  const Pair* pair = core.find_pair(reqid);
  if (pair == nullptr) return {};
  for (const SaPair& sas : pair->sas) {
    if (has(sas, sa)) return sas.id;
  }
  return {};
}

void on(Core& core, SoftLimitReached soft) {
  on_phase2_soft_limit(core, pair_with(core, soft.reqid, soft.sa));
}

void on(Core& core, SaExpired expired) {
  on_phase2_expired(core, pair_with(core, expired.reqid, expired.sa));
}

void on(Core& core, const UnknownSpi& unknown) {
  on_unknown_spi(core, unknown);
}

void on(Core& core, const PeerMoved& moved) {
  on_peer_moved(core, moved);
}

}  // namespace

void on_command(Core& core, Command command) {
  if (core.state().shutting_down) return;
  std::visit([&](auto&& one) { on(core, std::forward<decltype(one)>(one)); }, std::move(command));
}

void add_peer(Core& core, PeerConfig config, std::vector<KeptPair> kept,
              const std::map<Reqid, ProtectPolicy>& guarded) {
  EngineState& state = core.state();
  auto peer = std::make_unique<Peer>();
  peer->called_from = config.called_from;
  peer->tunnels.resize(config.tunnels.size());
  state.tunnels.configured += config.tunnels.size();
  for (std::size_t tunnel = 0; tunnel < config.tunnels.size(); ++tunnel) {
    for (const PairConfig& pair : config.tunnels[tunnel].pairs) {
      state.by_reqid[pair.reqid] = peer.get();
      Pair& runtime = peer->pairs[pair.reqid];
      runtime.config = pair;
      runtime.tunnel = tunnel;
    }
  }
  state.peer_order.push_back(config.name);
  state.sources.reset();
  peer->config = std::move(config);
  Peer& added = *peer;
  state.peers[added.config.name] = std::move(peer);
  adopt_pairs(core, added, std::move(kept));
  for (auto& [reqid, pair] : added.pairs) {
    if (const auto before = guarded.find(reqid); before != guarded.end()) pair.guarded = before->second;
    guard(core, added, pair);
  }
  static_cast<void>(waiver_holds(core, added));  // an expired waiver shows at once, not at the first call
}

}  // namespace oakgate::ike
