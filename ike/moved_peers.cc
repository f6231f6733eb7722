#include "ike/moved_peers.h"

#include <algorithm>

#include "ike/quick_mode.h"
#include "ike/tunnels.h"

namespace oakgate::ike {

namespace {

// A peer without a NAT stays where it proved to be; behind one it may come from where it is configured to
// call from.
bool may_be_at(const IkeSa& sa, const Peer& peer, const Endpoint& place) {
  const bool called_from = std::any_of(peer.called_from.begin(), peer.called_from.end(),
                                       [&](const Subnet& subnet) { return subnet.contains(place.address); });
  const NatForm* form = sa.capabilities.nat_traversal;
  const bool in_udp = form != nullptr && (!form->floats || sa.local.port == kNatTraversalPort);
  return sa.nat.remote && in_udp && called_from;
}

// Quick Modes under way have SAs to the old address: they begin anew.
void give_up_quick_modes(Core& core, IkeSa& sa) {
  std::vector<MessageId> ids;
  for (const auto& [id, quick] : sa.quick_modes) {
    if (quick->state != State::done) ids.push_back(id);
  }
  for (const MessageId id : ids) abandon_quick_mode(core, sa, *sa.quick_modes.at(id));
}

void renew_pairs(Core& core, Peer& peer, const Endpoint& place) {
  for (auto& [reqid, pair] : peer.pairs) {
    if (pair.sas.empty() || !pair.sas.front().encapsulation) continue;
    const SaPair& sas = pair.sas.front();
    if (sas.remote_gateway == place.address && sas.encapsulation->remote_port == place.port) continue;
    want_pair(core, peer, pair, Why::rekey);
  }
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
  const bool fixed = peer.config.called_from.size() == 1 && peer.config.called_from.front().is_host();
  if (!fixed) peer.remote = place.address;
  renew_pairs(core, peer, place);
}

}  // namespace

void follow_message(Core& core, IkeSa& sa, const Endpoint& from) {
  Peer* peer = core.find_peer(sa.peer);
  if (from == sa.remote || peer == nullptr || !sa.established() || !may_be_at(sa, *peer, from)) return;
  if (sa.moved_at && core.now().instant - *sa.moved_at < core.limits().move_pause) return;
  move(core, *peer, sa, from);
}

void on_peer_moved(Core& core, const PeerMoved& moved) {
  const Pair* pair = core.find_pair(moved.reqid);
  if (pair == nullptr) return;
  Peer& peer = *core.state().by_reqid.at(moved.reqid);
  const auto found =
      std::find_if(pair->sas.begin(), pair->sas.end(), [&](const SaPair& one) { return one.in == moved.sa; });
  IkeSa* sa = core.current_sa(peer);
  if (found == pair->sas.end() || !found->encapsulation || sa == nullptr) return;
  if (sa->remote == moved.remote) {
    // The IKE SA knows already; this pair does not yet.
    if (sa->moved_at) renew_pairs(core, peer, moved.remote);
    return;
  }
  follow_message(core, *sa, moved.remote);
}

}  // namespace oakgate::ike
