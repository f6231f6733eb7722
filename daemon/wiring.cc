#include "daemon/wiring.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <set>

namespace oakgate {

namespace {

// Kind `address` with the any-address: whatever address the exchange uses (ike/config.h).
Identity identity_or_own_address(const std::optional<Identity>& identity) {
  return identity.value_or(Identity{});
}

// "dn" without a name is our certificate's subject: where we never sign there is none.
Identity local_identity(const std::optional<Identity>& gateway, const conf::PeerConfig& peer) {
  const bool signs = std::any_of(peer.policies.begin(), peer.policies.end(), [](const IsakmpPolicy& policy) {
    return info(policy.authentication).signs;
  });
  if (gateway && gateway->kind == IdentityKind::dn && gateway->text.empty() && !signs) return {};
  return identity_or_own_address(gateway);
}

// Keys that are not there yet are left out.
ike::RsaEncryption make_rsa_encryption(const conf::RsaEncryptionConfig& from, const LoadedKeys& keys) {
  ike::RsaEncryption rsa;
  for (const std::string& name : from.peer_keys) {
    const auto key = keys.public_keys.find(name);
    if (key != keys.public_keys.end()) rsa.peer_keys.push_back({name, key->second});
  }
  rsa.own_key = from.own_key;
  const auto own = keys.private_keys.find(from.own_key);
  if (own != keys.private_keys.end()) rsa.own_spki = own->second.key.public_key();
  rsa.skeyid = from.skeyid;
  return rsa;
}

std::vector<Subnet> called_from(const conf::PeerAddress& address) {
  using Kind = conf::PeerAddress::Kind;
  switch (address.kind) {
    case Kind::address:
      return {Subnet::host(address.first)};
    case Kind::range:
      return AddressRange{address.first, address.last}.subnets();
    case Kind::any:
      return {Subnet::any(Family::ipv4), Subnet::any(Family::ipv6)};
    case Kind::host_name:
      break;
  }
  return {};
}

std::vector<Weak> needs_waiver(const conf::PeerConfig& peer, const LoadedKeys& keys) {
  std::set<Weak> needed;
  const auto add = [&](const std::vector<Weak>& words) { needed.insert(words.begin(), words.end()); };
  for (const IsakmpPolicy& policy : peer.policies) add(weak_things(policy));
  for (const conf::TunnelConfig& tunnel : peer.tunnels) {
    for (const TransformSet& set : tunnel.transform_sets) add(weak_things(set, tunnel.pfs));
  }
  const auto key = keys.pre_shared.find(peer.name);
  if (key != keys.pre_shared.end() && key->second.size() < kShortPskBytes) needed.insert(Weak::short_psk);
  add(weak_rsa_keys(peer, keys));
  return {needed.begin(), needed.end()};
}

Result<ike::TunnelConfig> make_tunnel(const std::string& peer, const conf::TunnelConfig& from,
                                      ReqidTable& reqids) {
  ike::TunnelConfig tunnel;
  tunnel.name = from.name;
  for (const SelectorPair& pair : from.pairs) {
    const Result<Reqid> reqid = reqids.get({peer, from.name, pair});
    if (!reqid) return fail(reqid.error());
    tunnel.pairs.push_back({*reqid, pair});
  }
  tunnel.transform_sets = from.transform_sets;
  tunnel.pfs = from.pfs;
  tunnel.lifetime = from.lifetime;
  tunnel.start = from.start;
  tunnel.rekey = from.rekey;
  tunnel.accept = from.accept;
  tunnel.esn = from.esn;
  tunnel.handling = from.handling;
  tunnel.ties = from.ties;
  tunnel.replay_window = static_cast<std::uint16_t>(
      std::min<std::uint32_t>(from.replay_window, std::numeric_limits<std::uint16_t>::max()));
  return tunnel;
}

}  // namespace

Result<Reqid> ReqidTable::get(const Key& key) {
  const auto known = known_.find(key);
  if (known != known_.end()) return in_use_.emplace(key, known->second).first->second;
  for (std::uint32_t tried = 0; tried < kConfiguredReqids; ++tried) {
    const Reqid candidate{kReqidBase + next_};
    next_ = (next_ + 1) % kConfiguredReqids;
    if (taken_.insert(candidate).second) return in_use_.emplace(key, candidate).first->second;
  }
  return fail(ErrorCode::configuration, fmt::format("more than {} pairs of networks", kConfiguredReqids),
              "fewer entries in `local` and `remote` lists", "join neighbouring networks");
}

void ReqidTable::end() {
  known_ = in_use_;
  taken_.clear();
  for (const auto& [key, reqid] : known_) taken_.insert(reqid);
}

void ReqidTable::restore(const Key& key, Reqid reqid) {
  if (reqid.value < kReqidBase || reqid.value >= kReqidBase + kConfiguredReqids) return;
  if (!known_.contains(key) && taken_.insert(reqid).second) known_.emplace(key, reqid);
}

Result<ike::EngineConfig> make_engine_config(const conf::Config& config, const LoadedKeys& keys,
                                             ReqidTable& reqids) {
  ike::EngineConfig engine;
  engine.gateway = gateway_name(config);
  engine.keep = config.gateway.on_exit == conf::OnExit::keep;
  engine.limits.half_open_total = config.gateway.half_open.total;
  engine.limits.half_open_per_source = config.gateway.half_open.per_source;
  engine.limits.aggressive_per_minute = static_cast<int>(config.gateway.half_open.aggressive_per_minute);
  reqids.begin();
  engine.peers.reserve(config.peers.size());
  for (const conf::PeerConfig& from : config.peers) {
    ike::PeerConfig peer;
    peer.name = from.name;
    peer.called_from = called_from(from.address);
    peer.local_identity = local_identity(config.gateway.identity, from);
    peer.remote_identity = identity_or_own_address(from.identity);
    peer.policies = from.policies;
    peer.waiver = from.allow_weak.value_or(WeakWaiver{});
    peer.needs_waiver = needs_waiver(from, keys);
    peer.nat_traversal = from.nat_traversal;
    peer.fragmentation = from.fragmentation;
    peer.aggressive = from.aggressive;
    peer.dpd = from.dpd;
    peer.send_certificate = from.send_certificate;
    peer.trustpoint = from.trustpoint;
    if (from.rsa_encr) peer.rsa_encryption = make_rsa_encryption(*from.rsa_encr, keys);
    for (const conf::TunnelConfig& tunnel : from.tunnels) {
      Result<ike::TunnelConfig> made = make_tunnel(from.name, tunnel, reqids);
      if (!made) return fail(made.error());
      peer.tunnels.push_back(std::move(*made));
    }
    engine.peers.push_back(std::move(peer));
  }
  reqids.end();
  return engine;
}

std::string gateway_name(const conf::Config& config) {
  if (!config.gateway.name.empty()) return config.gateway.name;
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) return "gateway";
  return host.data();
}

}  // namespace oakgate
