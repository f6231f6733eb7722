#include "ike/core.h"

#include "ike/identities.h"
#include "ike/narrowed_pairs.h"

namespace oakgate::ike {

Core::~Core() {
  forget_unused_narrowed(*this);
  state_.removed_exchanges.clear();
  state_.removed_sas.clear();
  state_.removed_peers.clear();
}

Bytes Core::random(std::size_t size) {
  Bytes bytes(size);
  context_.rng.fill(bytes);
  return bytes;
}

Peer* Core::find_peer(std::string_view name) {
  const auto found = state_.peers.find(std::string(name));
  return found == state_.peers.end() ? nullptr : found->second.get();
}

Pair* Core::find_pair(Reqid reqid) {
  const auto found = state_.by_reqid.find(reqid);
  if (found == state_.by_reqid.end()) return nullptr;
  const auto pair = found->second->pairs.find(reqid);
  return pair == found->second->pairs.end() ? nullptr : &pair->second;
}

IkeSa* Core::find_sa(IkeSaId id) {
  const auto found = state_.ike_sas.find(id);
  return found == state_.ike_sas.end() ? nullptr : found->second.get();
}

IkeSa* Core::find_sa(const CookiePair& cookies) {
  const auto found = state_.by_cookies.find(cookies);
  return found == state_.by_cookies.end() ? nullptr : find_sa(found->second);
}

Exchange* Core::find_exchange(IkeSa& sa, MessageId id) {
  if (id == MessageId{}) return sa.phase1.get();
  if (const auto quick = sa.quick_modes.find(id); quick != sa.quick_modes.end()) return quick->second.get();
  const auto other = sa.transactions.find(id);
  return other == sa.transactions.end() ? nullptr : other->second.get();
}

IkeSa* Core::current_sa(const Peer& peer) {
  for (const IkeSaId id : peer.ike_sas) {
    IkeSa* sa = find_sa(id);
    if (sa != nullptr && sa->established()) return sa;
  }
  return nullptr;
}

const SourceIndex& Core::sources() {
  if (state_.sources) return *state_.sources;
  SourceIndex& index = state_.sources.emplace();
  for (const std::string& name : state_.peer_order) {
    Peer* peer = find_peer(name);
    if (peer == nullptr) continue;
    for (const Subnet& subnet : peer->called_from) index.add(subnet, *peer);
  }
  return index;
}

Peer* Core::peer_for_source(const IpAddress& source) {
  return sources().find(source, [](const Peer&) { return true; });
}

Peer* Core::peer_for_identity(const IpAddress& source, const Identity& claimed) {
  return sources().find(source, [&](const Peer& peer) {
    return peer.config.aggressive && identity_fits(peer.config.remote_identity, claimed, source, false);
  });
}

TimerId Core::arm(Milliseconds after, Timer timer) {
  return state_.timers.arm(context_.now.instant + after, timer);
}

Event Core::event(EventId id, const IkeSa& sa) const {
  Event event;
  event.id = id;
  event.peer = sa.peer;
  event.local = sa.local;
  event.remote = sa.remote;
  event.cookies = sa.cookies;
  return event;
}

Event Core::event(EventId id, const Peer& peer, std::string tunnel) const {
  Event event;
  event.id = id;
  event.peer = peer.config.name;
  event.tunnel = std::move(tunnel);
  return event;
}

}  // namespace oakgate::ike
