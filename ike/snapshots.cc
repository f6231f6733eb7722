#include "ike/snapshots.h"

#include <algorithm>

#include "ike/narrowed_pairs.h"

namespace oakgate::ike {

namespace {

IkeSaSnapshot snapshot_of(const EngineState& state, const IkeSa& sa) {
  IkeSaSnapshot shot;
  shot.cookies = sa.cookies;
  shot.role = sa.role;
  shot.local = sa.local;
  shot.remote = sa.remote;
  shot.state = ios_state(sa.state);
  shot.established = sa.established();
  shot.policy = sa.policy;
  shot.nat = sa.nat.to_string();
  if (sa.remote_identity) shot.remote_identity = sa.remote_identity->to_string();
  if (sa.certificate) shot.certificate = *sa.certificate;
  shot.established_at = sa.established_at;
  shot.rekey_at = state.timers.when(sa.rekey_timer);
  shot.expires_at = state.timers.when(sa.expiry_timer);
  return shot;
}

SaPairSnapshot snapshot_of(const EngineState& state, const Pair& pair, const SaPair& sas,
                           const TunnelConfig& tunnel) {
  SaPairSnapshot shot;
  shot.selectors = pair.config.selectors;
  shot.reqid = sas.reqid;
  shot.narrowed = pair.narrows.has_value();
  shot.role = sas.role;
  shot.in = sas.in;
  shot.out = sas.out;
  shot.ah_in = sas.ah_in;
  shot.ah_out = sas.ah_out;
  shot.comp_in = sas.comp_in;
  shot.comp_out = sas.comp_out;
  shot.set = sas.set;
  shot.algorithms = to_string(sas.set);
  shot.pfs = sas.pfs;
  shot.encapsulation = sas.encapsulation;
  shot.local_gateway = sas.local_gateway;
  shot.remote_gateway = sas.remote_gateway;
  shot.replay_window = tunnel.replay_window;
  shot.esn = sas.esn;
  shot.established_at = sas.established_at;
  shot.rekey_at = state.timers.when(sas.rekey_timer);
  shot.expires_at = state.timers.when(sas.expiry_timer).value_or(sas.established_at);
  shot.kilobytes = sas.lifetime.kilobytes;
  shot.packets = tunnel.lifetime.packets;
  shot.adopted = sas.adopted;
  return shot;
}

TunnelSnapshot snapshot_of(const EngineState& state, const Peer& peer, std::size_t index) {
  const TunnelConfig& config = peer.config.tunnels[index];
  TunnelSnapshot shot;
  shot.name = config.name;
  shot.start = config.start;
  shot.pairs = config.pairs;
  shot.last_error = peer.tunnels[index].last_error;
  shot.up_since = peer.tunnels[index].up_since;
  bool up = true;
  bool connecting = false;
  for (const auto& [reqid, pair] : peer.pairs) {
    if (pair.tunnel != index) continue;
    if (pair.narrows) {
      if (!pair.sas.empty()) shot.narrowed.push_back(pair.config);
    } else {
      up = up && is_served(peer, pair);
    }
    connecting = connecting || pair.wanted || pair.negotiating.has_value();
    const auto retry = state.timers.when(pair.retry_timer);
    if (retry && (!shot.retry_at || *retry < *shot.retry_at)) shot.retry_at = retry;
    for (const SaPair& sas : pair.sas) shot.sas.push_back(snapshot_of(state, pair, sas, config));
  }
  shot.state = up ? TunnelState::up : connecting ? TunnelState::connecting : TunnelState::down;
  return shot;
}

PeerSnapshot snapshot_of(const EngineState& state, const Peer& peer, WallTime now) {
  PeerSnapshot shot;
  shot.name = peer.config.name;
  shot.local = peer.local;
  shot.remote = peer.remote;
  shot.last_error = peer.last_error;
  shot.waiver_expired = !peer.config.needs_waiver.empty() && peer.config.waiver.expired(now);
  if (!peer.config.needs_waiver.empty())
    shot.waiver = {peer.config.needs_waiver, peer.config.waiver.until, peer.config.waiver.reason};
  bool negotiating = false;
  bool have_current = false;
  for (const IkeSaId id : peer.ike_sas) {
    const auto found = state.ike_sas.find(id);
    if (found == state.ike_sas.end()) continue;
    IkeSaSnapshot sa = snapshot_of(state, *found->second);
    sa.current = sa.established && !have_current;
    have_current = have_current || sa.current;
    negotiating = negotiating || !sa.established;
    shot.isakmp_sas.push_back(std::move(sa));
  }
  std::stable_sort(shot.isakmp_sas.begin(), shot.isakmp_sas.end(),
                   [](const IkeSaSnapshot& a, const IkeSaSnapshot& b) { return a.current > b.current; });
  shot.state = have_current ? PeerState::established : negotiating ? PeerState::connecting : PeerState::down;
  for (std::size_t i = 0; i < peer.config.tunnels.size(); ++i)
    shot.tunnels.push_back(snapshot_of(state, peer, i));
  return shot;
}

}  // namespace

std::vector<PeerSnapshot> take_snapshot(const EngineState& state, WallTime now, std::string_view only) {
  std::vector<PeerSnapshot> shots;
  if (!only.empty()) {
    const auto peer = state.peers.find(std::string(only));
    if (peer != state.peers.end()) shots.push_back(snapshot_of(state, *peer->second, now));
    return shots;
  }
  for (const std::string& name : state.peer_order) {
    shots.push_back(snapshot_of(state, *state.peers.at(name), now));
  }
  return shots;
}

std::optional<SaPairSnapshot> take_pair_snapshot(const EngineState& state, const std::string& peer, Spi in) {
  const auto found = state.peers.find(peer);
  if (found == state.peers.end()) return std::nullopt;
  for (const auto& [reqid, pair] : found->second->pairs) {
    for (const SaPair& sas : pair.sas) {
      if (sas.in.spi == in) return snapshot_of(state, pair, sas, found->second->config.tunnels[pair.tunnel]);
    }
  }
  return std::nullopt;
}

std::string proved_identity(const EngineState& state, const std::string& peer) {
  const auto found = state.peers.find(peer);
  if (found == state.peers.end()) return {};
  for (const IkeSaId id : found->second->ike_sas) {
    const auto sa = state.ike_sas.find(id);
    if (sa != state.ike_sas.end() && sa->second->established() && sa->second->remote_identity)
      return sa->second->remote_identity->to_string();
  }
  return {};
}

}  // namespace oakgate::ike
