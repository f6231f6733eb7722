#include "daemon/metrics/tunnel_traffic.h"

#include <algorithm>
#include <set>

#include "ike/kept_pairs.h"

namespace oakgate::metrics {

std::vector<TunnelName> tunnels_of(const ike::EngineConfig& config) {
  std::vector<TunnelName> tunnels;
  for (const ike::PeerConfig& peer : config.peers) {
    for (const ike::TunnelConfig& tunnel : peer.tunnels) tunnels.push_back({peer.name, tunnel.name});
  }
  return tunnels;
}

void TunnelTraffic::configure(const std::vector<TunnelName>& tunnels) {
  const std::set<TunnelName> wanted(tunnels.begin(), tunnels.end());
  for (auto tunnel = tunnels_.begin(); tunnel != tunnels_.end();) {
    if (wanted.contains(tunnel->first)) {
      ++tunnel;
      continue;
    }
    for (const SaId& id : tunnel->second.sas) accounts_.erase(id);
    tunnel = tunnels_.erase(tunnel);
  }
  for (const TunnelName& name : tunnels) tunnels_.try_emplace(name);
}

void TunnelTraffic::open(const SaId& id, Direction direction, bool carries, const TunnelName& name) {
  const auto tunnel = tunnels_.find(name);
  if (tunnel == tunnels_.end()) return;
  if (accounts_.contains(id)) {
    const SaId again[] = {id};
    gone(again);
  }
  accounts_[id] = {&tunnel->second, direction, carries, {.id = id}};
  tunnel->second.sas.push_back(id);
}

void TunnelTraffic::installed(std::span<const SaSpec> sas, const TunnelName& tunnel) {
  for (const SaSpec& sa : sas) {
    const bool over_another = sa.id.protocol == IpsecProtocol::ah && sa.bundle.has_value();
    const bool carries = sa.id.protocol != IpsecProtocol::comp && !over_another;
    open(sa.id, sa.direction, carries, tunnel);
  }
}

void TunnelTraffic::adopted(const ike::KeptPair& pair) {
  const std::vector<SaSpec> sas = ike::kept_sas(pair);
  installed(sas, {pair.peer, pair.tunnel});
}

std::vector<SaId> TunnelTraffic::sas_of(const TunnelName& tunnel) const {
  const auto found = tunnels_.find(tunnel);
  return found == tunnels_.end() ? std::vector<SaId>{} : found->second.sas;
}

void TunnelTraffic::counted(std::span<const SaCounters> counters) {
  const auto grow = [](std::uint64_t& last, std::uint64_t now, std::uint64_t& total) {
    if (now <= last) return;
    total += now - last;
    last = now;
  };
  for (const SaCounters& now : counters) {
    const auto found = accounts_.find(now.id);
    if (found == accounts_.end()) continue;
    auto& [tunnel, direction, carries, last] = found->second;
    TunnelTotals& totals = tunnel->totals;
    if (carries) {
      const bool in = direction == Direction::in;
      grow(last.bytes, now.bytes, in ? totals.bytes_in : totals.bytes_out);
      grow(last.packets, now.packets, in ? totals.packets_in : totals.packets_out);
    }
    grow(last.replayed, now.replayed, totals.replayed);
    grow(last.not_authentic, now.not_authentic, totals.not_authentic);
    grow(last.selector_mismatch, now.selector_mismatch, totals.selector_mismatch);
  }
}

void TunnelTraffic::moved(std::span<const SaMove> sas) {
  for (const SaMove& move : sas) {
    const auto found = accounts_.find(move.id);
    if (found == accounts_.end() || found->second.direction == Direction::in) continue;
    SaId id = move.id;
    id.destination = move.remote.address;
    if (id == move.id) continue;
    Account account = found->second;
    account.last.id = id;
    std::replace(account.tunnel->sas.begin(), account.tunnel->sas.end(), move.id, id);
    accounts_.erase(found);
    accounts_[id] = std::move(account);
  }
}

void TunnelTraffic::gone(std::span<const SaId> sas) {
  for (const SaId& id : sas) {
    const auto found = accounts_.find(id);
    if (found == accounts_.end()) continue;
    std::erase(found->second.tunnel->sas, id);
    accounts_.erase(found);
  }
}

TunnelTotals TunnelTraffic::totals(const TunnelName& tunnel) const {
  const auto found = tunnels_.find(tunnel);
  return found == tunnels_.end() ? TunnelTotals{} : found->second.totals;
}

}  // namespace oakgate::metrics
