#include "ike/kept_pairs.h"

#include <algorithm>

#include "ike/narrowed_pairs.h"
#include "ike/phase1.h"
#include "ike/phase2_keys.h"
#include "ike/tunnels.h"

namespace oakgate::ike {

namespace {

SaPair sa_pair_of(const KeptPair& kept) {
  SaPair sas;
  sas.reqid = kept.reqid;
  sas.negotiated_as = kept.negotiated_as;
  sas.in = kept.in;
  sas.out = kept.out;
  sas.ah_in = kept.ah_in;
  sas.ah_out = kept.ah_out;
  sas.comp_in = kept.comp_in;
  sas.comp_out = kept.comp_out;
  sas.set = kept.set;
  sas.pfs = kept.pfs;
  sas.encapsulation = kept.encapsulation;
  sas.local_gateway = kept.local_gateway;
  sas.remote_gateway = kept.remote_gateway;
  sas.lifetime = kept.lifetime;
  sas.esn = kept.esn;
  sas.established_at = kept.established_at;
  sas.keyed_at = kept.keyed_at;
  sas.adopted = true;
  sas.receives_only = kept.receives_only;
  return sas;
}

std::vector<SaId> all_ids(const KeptPair& kept) {
  return sa_pair_of(kept).ids();
}

// The mode may have been settled by the selectors and by a NAT; the name is the configuration's alone.
bool same_algorithms(const TransformSet& one, const TransformSet& other) {
  return one.cipher == other.cipher && one.integrity == other.integrity && one.ah == other.ah &&
         one.compression == other.compression;
}

bool tunnel_has_it(const TunnelConfig& tunnel, const KeptPair& kept) {
  return tunnel.name == kept.tunnel && tunnel.esn == kept.esn && tunnel.ties.mark == kept.mark &&
         tunnel.ties.if_id() == kept.if_id &&
         std::any_of(tunnel.transform_sets.begin(), tunnel.transform_sets.end(),
                     [&](const TransformSet& set) { return same_algorithms(set, kept.set); });
}

// Of a host name nothing is known yet: where it leads is told soon.
bool may_call_from(const Peer& peer, const IpAddress& address) {
  return peer.called_from.empty() || std::any_of(peer.called_from.begin(), peer.called_from.end(),
                                                 [&](const Subnet& one) { return one.contains(address); });
}

// Null: the configuration has no such pair any more, or not with these algorithms and addresses.
Pair* place_for(Core& core, Peer& peer, const KeptPair& kept) {
  const bool waived = peer.config.needs_waiver.empty() || !peer.config.waiver.expired(core.now().wall);
  const bool alive = core.now().instant < kept.keyed_at + kept.lifetime.time;
  if (kept.lost || !waived || !alive || !may_call_from(peer, kept.remote_gateway)) return nullptr;
  Reqid reqid = kept.reqid;
  if (kept.narrows && !peer.pairs.contains(reqid)) {
    const auto made = pair_for_offer(core, peer, kept.selectors, reqid);
    if (!made) return nullptr;
    reqid = *made;
  }
  const auto found = peer.pairs.find(reqid);
  if (reqid != kept.reqid || found == peer.pairs.end()) return nullptr;
  Pair& pair = found->second;
  const bool same = pair.config.selectors == kept.selectors && pair.narrows == kept.narrows;
  return same && tunnel_has_it(peer.config.tunnels[pair.tunnel], kept) ? &pair : nullptr;
}

// Not at once: a gateway's peers do not all come in one moment.
Milliseconds renewal_delay(Core& core, const Pair& pair) {
  const bool sends =
      std::any_of(pair.sas.begin(), pair.sas.end(), [](const SaPair& one) { return !one.receives_only; });
  if (!sends) return Milliseconds{0};
  const Limits& limits = core.limits();
  const auto range = static_cast<std::uint32_t>((limits.adopted_last - limits.adopted_first).count());
  const auto before = static_cast<std::int64_t>(core.state().adopted);
  return limits.adopted_first + Milliseconds(core.rng().below(range + 1)) + limits.adopted_each * before;
}

void raise_adopted(Core& core, const Peer& peer, const Pair& pair, const SaPair& sas) {
  Event event = core.event(EventId::phase2_adopted, peer, tunnel_name(peer, pair));
  event.fields = {{"selectors", pair.config.selectors.to_string()},
                  {"algorithms", to_string(sas.set)},
                  {"spi_in", std::to_string(sas.in.spi.value)},
                  {"spi_out", std::to_string(sas.out.spi.value)}};
  core.raise(std::move(event));
}

void adopt(Core& core, Peer& peer, Pair& pair, const KeptPair& kept) {
  // A peer that is never called by its configuration is where it was: else nobody could renew.
  const bool fixed =
      peer.called_from.empty() || (peer.called_from.size() == 1 && peer.called_from.front().is_host());
  if (!fixed && !peer.remote) {
    peer.remote = kept.remote_gateway;
    peer.local = kept.local_gateway;
  }
  for (const SaId& id : kept.inbound()) core.state().inbound_spis.insert(id.spi);
  SaPair fresh = sa_pair_of(kept);
  fresh.id = SaPairId{core.next_id()};
  std::vector<SaPairId> older;
  for (const SaPair& one : pair.sas) older.push_back(one.id);
  const SaPairId id = add_sa_pair(core, peer, pair, std::move(fresh), older).id;
  for (SaPair& one : pair.sas) {
    if (one.id != id) age(core, one, Role::initiator);
  }
  raise_adopted(core, peer, pair, *find_sa_pair(core, id));
  pair_is_up(core, peer, pair);
  TunnelRuntime& tunnel = peer.tunnels[pair.tunnel];
  if (tunnel.up_since && *tunnel.up_since > kept.established_at) tunnel.up_since = kept.established_at;
}

void drop(Core& core, const KeptPair& kept) {
  core.effect(RemoveSas{all_ids(kept)});
  core.effect(ForgetPair{kept.in});
}

KeptPair kept_pair_of(const Peer& peer, const Pair& pair, const SaPair& sas) {
  KeptPair kept;
  kept.peer = peer.config.name;
  kept.tunnel = tunnel_name(peer, pair);
  kept.reqid = pair.config.reqid;
  kept.selectors = pair.config.selectors;
  kept.narrows = pair.narrows;
  kept.negotiated_as = sas.negotiated_as;
  kept.old = sas.role == SaRole::old;
  kept.in = sas.in;
  kept.out = sas.out;
  kept.ah_in = sas.ah_in;
  kept.ah_out = sas.ah_out;
  kept.comp_in = sas.comp_in;
  kept.comp_out = sas.comp_out;
  kept.set = sas.set;
  kept.pfs = sas.pfs;
  kept.encapsulation = sas.encapsulation;
  kept.local_gateway = sas.local_gateway;
  kept.remote_gateway = sas.remote_gateway;
  kept.lifetime = sas.lifetime;
  kept.esn = sas.esn;
  kept.mark = peer.config.tunnels[pair.tunnel].ties.mark;
  kept.if_id = peer.config.tunnels[pair.tunnel].ties.if_id();
  kept.established_at = sas.established_at;
  kept.keyed_at = sas.keyed_at;
  return kept;
}

}  // namespace

std::vector<SaId> KeptPair::inbound() const {
  return sa_pair_of(*this).inbound();
}

std::vector<SaId> KeptPair::outbound() const {
  return sa_pair_of(*this).outbound();
}

std::vector<SaSpec> kept_sas(const KeptPair& pair) {
  std::vector<SaSpec> sas = bare_sas(sa_pair_of(pair), pair.selectors);
  for (SaSpec& sa : sas) {
    sa.ties.mark = pair.mark;
    if (pair.if_id != 0) sa.ties.interface = TunnelInterface{{}, pair.if_id};
  }
  return sas;
}

std::vector<KeptPair> still_there(std::vector<KeptPair> pairs, std::vector<SaId> present) {
  std::sort(present.begin(), present.end());
  const auto are_there = [&](const std::vector<SaId>& ids) {
    return std::all_of(ids.begin(), ids.end(), [&](const SaId& id) {
      return std::binary_search(present.begin(), present.end(), id);
    });
  };
  for (KeptPair& pair : pairs) {
    pair.receives_only = !are_there(pair.outbound());
    pair.lost = !are_there(pair.inbound());
  }
  return pairs;
}

void adopt_pairs(Core& core, Peer& peer, std::vector<KeptPair> kept) {
  // The newest is added last, and carries; one that lost a collision is never it.
  std::sort(kept.begin(), kept.end(), [](const KeptPair& a, const KeptPair& b) {
    return std::pair(!a.old, a.established_at) < std::pair(!b.old, b.established_at);
  });
  std::vector<Reqid> adopted;
  for (const KeptPair& one : kept) {
    if (Pair* pair = place_for(core, peer, one)) {
      adopt(core, peer, *pair, one);
      adopted.push_back(one.reqid);
      continue;
    }
    drop(core, one);
    for (const SaId& id : one.inbound()) peer.owed_deletes.push_back(id);
  }
  for (const Reqid reqid : adopted) {
    Pair& pair = peer.pairs.at(reqid);
    SaPair& carrier = pair.sas.front();
    if (carrier.adopted_timer != TimerId{}) continue;
    carrier.adopted_timer =
        core.arm(renewal_delay(core, pair), {TimerKind::adopted_due, carrier.id.value, 0});
    ++core.state().adopted;
  }
}

void drop_kept(Core& core, const std::vector<KeptPair>& kept) {
  for (const KeptPair& one : kept) drop(core, one);
}

void remember_pair(Core& core, const Peer& peer, const Pair& pair, const SaPair& sas) {
  if (core.state().keep && !sas.peer_told) core.effect(KeepPair{kept_pair_of(peer, pair, sas)});
}

void forget_pair(Core& core, const SaPair& sas) {
  if (core.state().keep) core.effect(ForgetPair{sas.in});
}

void remember_all(Core& core) {
  for (const auto& [name, peer] : core.state().peers) {
    for (const auto& [reqid, pair] : peer->pairs) {
      for (const SaPair& sas : pair.sas) remember_pair(core, *peer, pair, sas);
    }
  }
}

void on_adopted_due(Core& core, SaPairId id) {
  SaPair* sas = find_sa_pair(core, id);
  if (sas == nullptr) return;
  sas->adopted_timer = TimerId{};
  // The peer has renewed it already.
  if (sas->role != SaRole::current) return;
  const Pair& pair = *core.find_pair(sas->reqid);
  Peer& peer = *core.state().by_reqid.at(sas->reqid);
  if (peer.config.tunnels[pair.tunnel].rekey != RekeyMode::never) {
    core.cancel(sas->rekey_timer);
    renew(core, *sas);
    return;
  }
  if (core.current_sa(peer) == nullptr && !peer.negotiating && peer.local && peer.remote &&
      waiver_holds(core, peer)) {
    start_phase1(core, peer);
  }
}

}  // namespace oakgate::ike
