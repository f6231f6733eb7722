#include "ike/engine.h"

#include "ike/commands.h"
#include "ike/commit_bit.h"
#include "ike/core.h"
#include "ike/dead_peers.h"
#include "ike/exchange.h"
#include "ike/kept_pairs.h"
#include "ike/moved_peers.h"
#include "ike/sa_book.h"
#include "ike/snapshots.h"
#include "ike/transport.h"
#include "ike/tunnels.h"

namespace oakgate::ike {

namespace {

void on_ike_sa_timer(Core& core, const Timer& timer) {
  IkeSa* sa = core.find_sa(IkeSaId{timer.subject});
  if (sa == nullptr) return;
  const MessageId id{timer.detail};
  switch (timer.kind) {
    case TimerKind::retransmit:
      if (Exchange* exchange = core.find_exchange(*sa, id)) on_retransmit_timer(core, *sa, *exchange);
      return;
    case TimerKind::half_open_expired:
      on_half_open_expired(core, *sa);
      return;
    case TimerKind::exchange_forgotten:
      if (id == MessageId{}) {
        forget_phase1(core, *sa);
      } else {
        forget_quick_mode(core, *sa, id);
        forget_transaction(core, *sa, id);
      }
      return;
    case TimerKind::connected_due:
      on_connected_due(core, *sa, id);
      return;
    case TimerKind::phase1_rekey_due:
      on_phase1_rekey_due(core, *sa);
      return;
    case TimerKind::phase1_expired:
      on_phase1_expired(core, *sa);
      return;
    case TimerKind::dead_peer_due:
      on_dead_peer_due(core, *sa);
      return;
    case TimerKind::fragments_expired:
      on_fragments_expired(*sa);
      return;
    case TimerKind::keepalive_due:
      on_keepalive_due(core, *sa);
      return;
    default:
      return;
  }
}

void on_timer_due(Core& core, const Timer& timer) {
  switch (timer.kind) {
    case TimerKind::phase2_rekey_due:
      on_phase2_rekey_due(core, SaPairId{timer.subject});
      return;
    case TimerKind::phase2_expired:
      on_phase2_expired(core, SaPairId{timer.subject});
      return;
    case TimerKind::phase2_replaced:
      on_phase2_replaced(core, SaPairId{timer.subject});
      return;
    case TimerKind::phase2_switch_due:
      on_phase2_switch_due(core, SaPairId{timer.subject});
      return;
    case TimerKind::adopted_due:
      on_adopted_due(core, SaPairId{timer.subject});
      return;
    case TimerKind::pair_retry_due: {
      const Reqid reqid{static_cast<std::uint32_t>(timer.subject)};
      if (Pair* pair = core.find_pair(reqid))
        on_pair_retry_due(core, *core.state().by_reqid.at(reqid), *pair);
      return;
    }
    default:
      on_ike_sa_timer(core, timer);
  }
}

void complete(Core& core, JobId id, JobDone* done) {
  EngineState& state = core.state();
  const auto found = state.jobs.find(id);
  if (found == state.jobs.end()) return;  // its exchange is gone
  const JobOwner owner = found->second;
  state.jobs.erase(found);
  if (owner.pair != SaPairId{}) {
    on_outbound_installed(core, owner.pair, done == nullptr ? Result<void>{} : fail(done->result.error()));
    return;
  }
  IkeSa* sa = core.find_sa(owner.sa);
  Exchange* exchange = sa == nullptr ? nullptr : core.find_exchange(*sa, owner.exchange);
  if (exchange == nullptr || exchange->job != id) return;
  run_job(core, *sa, *exchange, done);
}

Result<std::uint64_t> total_packets(const TrafficCounted& counted) {
  if (!counted.counters) return fail(counted.counters.error());
  std::uint64_t packets = 0;
  for (const SaCounters& one : *counted.counters) packets += one.packets;
  return packets;
}

}  // namespace

Engine::Engine() : state_(std::make_unique<EngineState>()) {}
Engine::~Engine() = default;

void Engine::start(const Context& context, EngineConfig config, std::vector<KeptPair> kept) {
  Core core(*state_, context);
  state_->keep = config.keep;
  std::unordered_map<std::string, std::vector<KeptPair>> by_peer;
  for (KeptPair& one : kept) by_peer[one.peer].push_back(std::move(one));
  state_->gateway = std::move(config.gateway);
  state_->limits = config.limits;
  for (PeerConfig& peer : config.peers) {
    std::vector<KeptPair> its = std::move(by_peer[peer.name]);
    by_peer.erase(peer.name);
    add_peer(core, std::move(peer), std::move(its));
  }
  for (const auto& [name, left] : by_peer) drop_kept(core, left);
}

void Engine::on_datagram(const Context& context, const Datagram& datagram) {
  Core core(*state_, context);
  on_message(core, datagram);
}

void Engine::on_timer(const Context& context) {
  Core core(*state_, context);
  while (const auto timer = state_->timers.take_due(context.now.instant)) on_timer_due(core, *timer);
}

void Engine::on_command(const Context& context, Command command) {
  Core core(*state_, context);
  ike::on_command(core, std::move(command));
}

void Engine::on_completion(const Context& context, Completion completion) {
  Core core(*state_, context);
  if (auto* job = std::get_if<JobDone>(&completion)) {
    complete(core, job->id, job);
    return;
  }
  if (const auto* counted = std::get_if<TrafficCounted>(&completion)) {
    if (core.state().countings.contains(counted->id)) {
      on_silence_judged(core, *counted);
    } else {
      on_traffic_counted(core, SaPairId{counted->id.value}, total_packets(*counted));
    }
    return;
  }
  if (auto* moved = std::get_if<SasMoved>(&completion)) {
    on_sas_moved(core, std::move(*moved));
    return;
  }
  SasInstalled& installed = std::get<SasInstalled>(completion);
  if (installed.result) {
    complete(core, installed.id, nullptr);
    return;
  }
  Event event;
  event.id = EventId::data_plane_failed;
  event.error = installed.result.error();
  core.raise(std::move(event));
  JobDone failed{installed.id, fail(std::move(installed.result.error()))};
  complete(core, installed.id, &failed);
}

std::optional<Instant> Engine::next_deadline() const {
  return state_->timers.next();
}

TunnelCounts Engine::tunnel_counts() const {
  return state_->tunnels;
}

EngineLoad Engine::load() const {
  return {state_->ike_sas.size(), state_->half_open.size(), state_->limits.half_open_total,
          state_->limits.half_open_per_source};
}

std::optional<std::pair<std::string, std::string>> Engine::tunnel_of(Reqid reqid) const {
  const auto peer = state_->by_reqid.find(reqid);
  if (peer == state_->by_reqid.end()) return std::nullopt;
  const auto pair = peer->second->pairs.find(reqid);
  if (pair == peer->second->pairs.end()) return std::nullopt;
  const PeerConfig& config = peer->second->config;
  return std::pair(config.name, config.tunnels[pair->second.tunnel].name);
}

std::vector<DecryptionKey> Engine::decryption_keys(std::string_view peer) const {
  std::vector<DecryptionKey> keys;
  for (const auto& [id, sa] : state_->ike_sas) {
    if (sa->peer != peer || !sa->policy || sa->keys.cipher_key.empty()) continue;
    keys.push_back({sa->cookies, sa->policy->encryption, sa->policy->hash, sa->keys.cipher_key.clone(),
                    sa->established() ? sa->last_phase1_block : Bytes{}});
  }
  return keys;
}

std::vector<PeerSnapshot> Engine::snapshot(WallTime now, std::string_view peer) const {
  return take_snapshot(*state_, now, peer);
}

std::optional<SaPairSnapshot> Engine::sa_pair(const std::string& peer, Spi in) const {
  return take_pair_snapshot(*state_, peer, in);
}

std::string Engine::remote_identity(const std::string& peer) const {
  return proved_identity(*state_, peer);
}

}  // namespace oakgate::ike
