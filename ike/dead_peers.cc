#include "ike/dead_peers.h"

#include <algorithm>
#include <map>

#include "ike/informational.h"
#include "ike/sa_book.h"
#include "ike/tunnels.h"

namespace oakgate::ike {

namespace {

constexpr int kProbes = 10;  // that a peer may leave unanswered, interval and timeout permitting
constexpr Milliseconds kShortestPause{1000};
constexpr std::uint32_t kHighBit = 0x8000'0000;

const DeadPeerDetection* wishes(Core& core, const IkeSa& sa) {
  const Peer* peer = core.find_peer(sa.peer);
  const bool on = peer != nullptr && peer->config.dpd.mode != DpdMode::off;
  return on && sa.capabilities.dead_peer_detection ? &peer->config.dpd : nullptr;
}

void arm(Core& core, IkeSa& sa, Milliseconds after) {
  core.cancel(sa.watch.timer);
  sa.watch.timer = core.arm(after, {TimerKind::dead_peer_due, sa.id.value, 0});
}

// How long a round of questions lasts, and how far apart they are.
Milliseconds round_of(const DeadPeerDetection& dpd) {
  return dpd.timeout - dpd.interval;
}
Milliseconds pause_of(const DeadPeerDetection& dpd) {
  return std::clamp(round_of(dpd) / kProbes, kShortestPause,
                    std::max<Milliseconds>(dpd.interval, kShortestPause));
}

Bytes sequence_bytes(std::uint32_t sequence) {
  ByteWriter writer;
  writer.u32(sequence);
  return std::move(writer).take();
}

void send_notify(Core& core, IkeSa& sa, NotifyType type, Bytes data) {
  std::vector<wire::Payload> payloads;
  payloads.emplace_back(
      wire::NotifyPayload{wire::kDoiIpsec, wire::kProtocolIsakmp, type, cookies_spi(sa), std::move(data)});
  send_informational(core, sa, std::move(payloads));
}

Seconds silence(Core& core, const IkeSa& sa) {
  return std::chrono::duration_cast<Seconds>(core.now().instant - sa.watch.heard);
}

void probe(Core& core, IkeSa& sa) {
  DeadPeerWatch& watch = sa.watch;
  if (!watch.probing_since) {
    watch.probing_since = core.now().instant;
    watch.probes = 0;
  }
  ++watch.probes;
  // RFC 3706 section 6.2: the first is random, "with the high bit set to zero"; "subsequent R-U-THERE
  // messages [increment] the sequence number by one".
  watch.sequence = watch.sequence == 0 ? (core.rng().u32() & ~kHighBit) | 1U : watch.sequence + 1;
  Event event = core.event(EventId::peer_silent, sa);
  event.fields = {{"seconds", std::to_string(silence(core, sa).count())},
                  {"try", std::to_string(watch.probes)}};
  core.raise(std::move(event));
  send_notify(core, sa, NotifyType::r_u_there, sequence_bytes(watch.sequence));
}

// The peer is told all the same: it may hear us though we do not hear it.
void tell(Core& core, IkeSa& sa, const Peer& peer) {
  std::vector<SaId> inbound;
  for (const auto& [reqid, pair] : peer.pairs) {
    for (const SaPair& sas : pair.sas) {
      const std::vector<SaId> ids = sas.inbound();
      inbound.insert(inbound.end(), ids.begin(), ids.end());
    }
  }
  if (!inbound.empty()) send_delete(core, sa, inbound);
}

void declare_dead(Core& core, IkeSa& sa) {
  Peer& peer = *core.find_peer(sa.peer);
  Error error{ErrorCode::no_answer,
              sa.remote.address.to_string() + " is not responding: no sign of life for " +
                  std::to_string(silence(core, sa).count()) + " s, nor an answer to " +
                  std::to_string(sa.watch.probes) + " R-U-THERE",
              "packets of the tunnel, or R-U-THERE-ACK",
              "see whether the peer runs, and UDP ports 500 and 4500 pass the firewalls",
              {}};
  Event event = core.event(EventId::peer_dead, sa);
  event.error = error;
  core.raise(std::move(event));
  set_error(core, peer, error);
  tell(core, sa, peer);
  for (auto& [reqid, pair] : peer.pairs) {
    if (!pair.sas.empty()) set_error(core, peer, pair, error);
  }
  // Tunnels that start by themselves are armed by this, the others wait for traffic.
  remove_sa_pairs(core, peer, "us", "peer is dead");
  const std::vector<IkeSaId> ids = peer.ike_sas;
  for (const IkeSaId id : ids) {
    IkeSa* one = core.find_sa(id);
    if (one != nullptr && one->established()) delete_ike_sa(core, *one, "peer is dead");
  }
}

// What is known of the peer decides what follows.
void judge(Core& core, IkeSa& sa, bool heard, bool sent) {
  const DeadPeerDetection* dpd = wishes(core, sa);
  if (dpd == nullptr) return;
  DeadPeerWatch& watch = sa.watch;
  if (heard) heard_from_peer(core, sa);
  watch.asked_for = !heard && (watch.asked_for || sent);
  const Instant now = core.now().instant;
  if (watch.probing_since) {
    if (now - *watch.probing_since >= round_of(*dpd)) {
      declare_dead(core, sa);
      return;
    }
    probe(core, sa);
    arm(core, sa, pause_of(*dpd));
    return;
  }
  const bool wanted = dpd->mode == DpdMode::periodic || watch.asked_for;
  const Milliseconds silent = now - watch.heard;
  if (wanted && silent >= dpd->interval) {
    probe(core, sa);
    arm(core, sa, pause_of(*dpd));
  } else {
    arm(core, sa, wanted ? Milliseconds(dpd->interval) - silent : Milliseconds(dpd->interval));
  }
}

using Counts = std::map<SaId, std::uint64_t>;  // packets
// Takes what the data plane counted of one SA into the books; whether it has grown.
bool take_count(const SaId& id, std::uint64_t& known, const Counts& counts) {
  const auto found = counts.find(id);
  if (found == counts.end() || found->second <= known) return false;
  known = found->second;
  return true;
}

std::optional<Spi> named_spi(const wire::NotifyPayload& notify) {
  for (const Bytes* raw : {&notify.spi, &notify.data}) {
    ByteReader reader(*raw);
    std::uint32_t spi = 0;
    if (raw->size() == 4 && reader.u32(spi)) return Spi{spi};
  }
  return std::nullopt;
}

}  // namespace

void watch_for_silence(Core& core, IkeSa& sa) {
  sa.watch.heard = core.now().instant;
  if (const DeadPeerDetection* dpd = wishes(core, sa)) arm(core, sa, dpd->interval);
}

void stop_watching(Core& core, IkeSa& sa) {
  core.cancel(sa.watch.timer);
  if (sa.watch.counting) core.state().countings.erase(*sa.watch.counting);
  sa.watch.counting.reset();
}

void heard_from_peer(Core& core, IkeSa& sa) {
  sa.watch.heard = core.now().instant;
  sa.watch.asked_for = false;
  sa.watch.probing_since.reset();
}

void on_dead_peer_due(Core& core, IkeSa& sa) {
  sa.watch.timer = TimerId{};
  const DeadPeerDetection* dpd = wishes(core, sa);
  if (dpd == nullptr || sa.watch.counting) return;
  const Peer& peer = *core.find_peer(sa.peer);
  // An older SA is not asked by: its successor is.
  if (core.current_sa(peer) != &sa) {
    arm(core, sa, dpd->interval);
    return;
  }
  std::vector<SaId> sas;
  for (const auto& [reqid, pair] : peer.pairs) {
    for (const SaPair& one : pair.sas) sas.insert(sas.end(), {one.in, one.out});
  }
  if (sas.empty()) {
    judge(core, sa, false, false);
    return;
  }
  sa.watch.counting = JobId{core.next_id()};
  core.state().countings.emplace(*sa.watch.counting, sa.id);
  core.effect(CountTraffic{*sa.watch.counting, std::move(sas)});
}

void on_silence_judged(Core& core, const TrafficCounted& counted) {
  auto& countings = core.state().countings;
  const auto found = countings.find(counted.id);
  if (found == countings.end()) return;
  IkeSa* sa = core.find_sa(found->second);
  countings.erase(found);
  if (sa == nullptr) return;
  sa->watch.counting.reset();
  bool heard = false;
  // A data plane that cannot tell is no reason to forget the peer: it is asked as if there were traffic.
  bool sent = !counted.counters;
  Counts counts;
  if (counted.counters) {
    for (const SaCounters& one : *counted.counters) counts.emplace(one.id, one.packets);
  }
  if (Peer* peer = core.find_peer(sa->peer)) {
    for (auto& [reqid, pair] : peer->pairs) {
      for (SaPair& one : pair.sas) {
        heard = take_count(one.in, one.packets_in, counts) || heard;
        sent = take_count(one.out, one.packets_out, counts) || sent;
      }
    }
  }
  judge(core, *sa, heard, sent);
}

void answer_probe(Core& core, IkeSa& sa, const wire::NotifyPayload& notify) {
  // RFC 3706 section 6: the receiver "SHOULD check the validity of the Initiator and Responder cookies
  // presented in the SPI field", and "MUST send an R-U-THERE-ACK with the same sequence number".
  if (notify.data.size() != 4 || notify.spi != cookies_spi(sa)) return;
  send_notify(core, sa, NotifyType::r_u_there_ack, notify.data);
}

void take_probe_answer(Core& core, IkeSa& sa, const wire::NotifyPayload& notify) {
  const DeadPeerWatch& watch = sa.watch;
  ByteReader reader(notify.data);
  std::uint32_t sequence = 0;
  if (notify.data.size() != 4 || !reader.u32(sequence) || notify.spi != cookies_spi(sa)) return;
  // RFC 3706 section 6: "SHOULD reject the R-U-THERE-ACK if the sequence number fails to match". An answer to
  // an earlier question of this round is one, too: it is as young as the round.
  const std::uint32_t age = watch.sequence - sequence;
  if (!watch.probing_since || age >= static_cast<std::uint32_t>(watch.probes)) return;
  heard_from_peer(core, sa);
  if (const DeadPeerDetection* dpd = wishes(core, sa); dpd != nullptr && !watch.counting)
    arm(core, sa, dpd->interval);
}

bool take_invalid_spi(Core& core, IkeSa& sa, const wire::NotifyPayload& notify) {
  Peer* peer = core.find_peer(sa.peer);
  const auto spi = named_spi(notify);
  if (peer == nullptr || !spi || notify.protocol == wire::kProtocolIsakmp) return false;
  return on_peer_lost(core, *peer, *spi);
}

void probe_on_hint(Core& core, IkeSa& sa) {
  const DeadPeerDetection* dpd = wishes(core, sa);
  DeadPeerWatch& watch = sa.watch;
  const Instant now = core.now().instant;
  if (dpd == nullptr || watch.probing_since) return;
  if (watch.hinted && now - *watch.hinted < core.limits().probe_pause) return;
  watch.hinted = now;
  probe(core, sa);
  if (!watch.counting) arm(core, sa, pause_of(*dpd));
}

void on_unknown_spi(Core& core, const UnknownSpi& unknown) {
  const Peer* peer = core.peer_for_source(unknown.remote);
  IkeSa* sa = peer == nullptr ? nullptr : core.current_sa(*peer);
  if (sa == nullptr || sa->remote.address != unknown.remote) return;
  const Instant now = core.now().instant;
  if (sa->told_unknown_spi && now - *sa->told_unknown_spi < core.limits().unknown_spi_pause) return;
  sa->told_unknown_spi = now;
  ByteWriter spi;
  spi.u32(unknown.spi.value);
  notify_protected(core, *sa, NotifyType::invalid_spi, std::move(spi).take());
}

}  // namespace oakgate::ike
