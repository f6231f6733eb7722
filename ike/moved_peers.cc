#include "ike/moved_peers.h"

#include <algorithm>
#include <utility>

#include "ike/kept_pairs.h"
#include "ike/quick_mode.h"
#include "ike/tunnels.h"

namespace oakgate::ike {

namespace {

bool calls_from(const Peer& peer, const IpAddress& address) {
  return std::any_of(peer.called_from.begin(), peer.called_from.end(),
                     [&](const Subnet& subnet) { return subnet.contains(address); });
}

// A peer without a NAT stays where it proved to be; behind one it may come from where it is configured to
// call from.
bool may_be_at(const IkeSa& sa, const Peer& peer, const Endpoint& place) {
  const NatForm* form = sa.capabilities.nat_traversal;
  const bool in_udp = form != nullptr && (!form->floats || sa.local.port == kNatTraversalPort);
  return sa.nat.remote && in_udp && calls_from(peer, place.address);
}

// Quick Modes under way have SAs to the old address: they begin anew.
void give_up_quick_modes(Core& core, IkeSa& sa) {
  std::vector<MessageId> ids;
  for (const auto& [id, quick] : sa.quick_modes) {
    if (quick->state != State::done) ids.push_back(id);
  }
  for (const MessageId id : ids) abandon_quick_mode(core, sa, *sa.quick_modes.at(id));
}

Endpoint place_of(const SaPair& sas) {
  return {sas.remote_gateway, sas.encapsulation->remote_port};
}

// In the books; those that wait to be installed are as if they had been negotiated there.
void relocate(SaPair& sas, const Endpoint& place) {
  const auto rename = [&](SaId& id) { id.destination = place.address; };
  rename(sas.out);
  if (sas.comp_out) rename(*sas.comp_out);
  sas.remote_gateway = place.address;
  sas.encapsulation->remote_port = place.port;
  for (SaSpec& waiting : sas.held_out) {
    rename(waiting.id);
    if (waiting.encapsulation) waiting.encapsulation->remote_port = place.port;
  }
}

void raise_moved(Core& core, const Peer& peer, const Pair& pair, const SaPair& sas, const Endpoint& from) {
  Event event = core.event(EventId::phase2_moved, peer, tunnel_name(peer, pair));
  event.fields = {{"selectors", pair.config.selectors.to_string()},
                  {"spi_in", std::to_string(sas.in.spi.value)},
                  {"from", from.to_string()},
                  {"to", place_of(sas).to_string()}};
  core.raise(std::move(event));
}

bool movable(const Peer& peer, const Pair& pair, const SaPair& sas) {
  return sas.set.mode == EncapsulationMode::tunnel &&
         peer.config.tunnels[pair.tunnel].ties.offload == Offload::none;
}

// What of it is in the data plane.
std::vector<SaMove> moves_of(const SaPair& sas, const Endpoint& place) {
  std::vector<SaMove> moves;
  for (const SaId& id : sas.inbound()) moves.push_back({id, place});
  if (!sas.held_out.empty() || sas.peer_told || sas.receives_only) return moves;
  for (const SaId& id : sas.outbound()) moves.push_back({id, place});
  return moves;
}

// The policy goes before its SAs (DataPlane::move).
void move_pair(Core& core, Peer& peer, Pair& pair, const Endpoint& place) {
  std::vector<std::pair<MoveUnderWay, std::vector<SaMove>>> moving;
  bool left_behind = false;
  for (SaPair& sas : pair.sas) {
    if (!sas.encapsulation || place_of(sas) == place) continue;
    if (!movable(peer, pair, sas)) {
      left_behind = true;
      continue;
    }
    moving.emplace_back(MoveUnderWay{sas.id, place_of(sas), sas.outbound()}, moves_of(sas, place));
    relocate(sas, place);
    remember_pair(core, peer, pair, sas);
    raise_moved(core, peer, pair, sas, moving.back().first.from);
  }
  guard(core, peer, pair);
  for (auto& [under_way, moves] : moving) {
    const JobId id{core.next_id()};
    core.state().moves.emplace(id, std::move(under_way));
    core.effect(MoveSas{id, std::move(moves)});
  }
  if (left_behind) want_pair(core, peer, pair, Why::rekey);
}

void move_pairs(Core& core, Peer& peer, const Endpoint& place) {
  for (auto& [reqid, pair] : peer.pairs) {
    const bool elsewhere = std::any_of(pair.sas.begin(), pair.sas.end(), [&](const SaPair& sas) {
      return sas.encapsulation && place_of(sas) != place;
    });
    if (elsewhere) move_pair(core, peer, pair, place);
  }
}

void know_place(Peer& peer, const Endpoint& place) {
  const bool fixed = peer.config.called_from.size() == 1 && peer.config.called_from.front().is_host();
  if (!fixed) peer.remote = place.address;
}

void move(Core& core, Peer& peer, IkeSa& sa, const Endpoint& place) {
  const Endpoint before = sa.remote;
  Event event = core.event(EventId::endpoint_changed, sa);
  event.fields = {{"from", before.to_string()}, {"to", place.to_string()}};
  core.raise(std::move(event));
  for (const IkeSaId id : std::vector(peer.ike_sas)) {
    IkeSa* one = core.find_sa(id);
    if (one == nullptr || !one->established() || one->remote != before) continue;
    if (before.address != place.address) give_up_quick_modes(core, *one);
    one->remote = place;
    one->moved_at = core.now().instant;
  }
  know_place(peer, place);
  move_pairs(core, peer, place);
}

// Nobody can say now whether there is a NAT; that the peer's port had been changed says so.
void follow_without_ike(Core& core, Peer& peer, const SaPair& sas, const Endpoint& place) {
  const bool translated = sas.encapsulation->remote_port != sas.encapsulation->local_port;
  const bool paused = peer.moved_at && core.now().instant - *peer.moved_at < core.limits().move_pause;
  if (!translated || paused || !calls_from(peer, place.address)) return;
  peer.moved_at = core.now().instant;
  know_place(peer, place);
  move_pairs(core, peer, place);
}

}  // namespace

void follow_message(Core& core, IkeSa& sa, const Endpoint& from) {
  Peer* peer = core.find_peer(sa.peer);
  if (from == sa.remote || peer == nullptr || !sa.established() || !may_be_at(sa, *peer, from)) return;
  if (sa.moved_at && core.now().instant - *sa.moved_at < core.limits().move_pause) return;
  move(core, *peer, sa, from);
}

void follow_phase1(Core& core, Peer& peer) {
  const IkeSa* sa = core.current_sa(peer);
  if (sa != nullptr && may_be_at(*sa, peer, sa->remote)) move_pairs(core, peer, sa->remote);
}

void on_peer_moved(Core& core, const PeerMoved& moved) {
  const Pair* pair = core.find_pair(moved.reqid);
  if (pair == nullptr) return;
  Peer& peer = *core.state().by_reqid.at(moved.reqid);
  const auto found =
      std::find_if(pair->sas.begin(), pair->sas.end(), [&](const SaPair& one) { return one.in == moved.sa; });
  if (found == pair->sas.end() || !found->encapsulation || place_of(*found) == moved.remote) return;
  IkeSa* sa = core.current_sa(peer);
  if (sa == nullptr) {
    follow_without_ike(core, peer, *found, moved.remote);
  } else if (sa->remote != moved.remote) {
    follow_message(core, *sa, moved.remote);
  } else if (may_be_at(*sa, peer, moved.remote)) {
    // The IKE SA knows already; this pair does not yet.
    move_pairs(core, peer, moved.remote);
  }
}

void on_sas_moved(Core& core, SasMoved moved) {
  auto under_way = core.state().moves.extract(moved.id);
  if (under_way.empty() || moved.result) return;
  const MoveUnderWay& it = under_way.mapped();
  const bool stayed = moved.result.error().code == ErrorCode::unsupported;
  SaPair* sas = find_sa_pair(core, it.pair);
  Event event;
  event.id = EventId::data_plane_failed;
  if (sas != nullptr) {
    const Peer& peer = *core.state().by_reqid.at(sas->reqid);
    event = core.event(EventId::data_plane_failed, peer, tunnel_name(peer, *core.find_pair(sas->reqid)));
  }
  event.error = std::move(moved.result.error());
  core.raise(std::move(event));
  if (!stayed || sas == nullptr) core.effect(RemoveSas{it.outbound});
  if (sas == nullptr) return;
  Pair& pair = *core.find_pair(sas->reqid);
  Peer& peer = *core.state().by_reqid.at(sas->reqid);
  if (stayed) {
    relocate(*sas, it.from);
    remember_pair(core, peer, pair, *sas);
    guard(core, peer, pair);
  }
  want_pair(core, peer, pair, Why::rekey);
  if (!stayed) delete_sa_pair(core, peer, pair, it.pair, "the data plane could not move it");
}

}  // namespace oakgate::ike
