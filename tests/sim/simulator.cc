#include "tests/sim/simulator.h"

#include <algorithm>

#include "ike/crypto/prf.h"
#include "ike/kept_pairs.h"
#include "tests/sim/fake_trust.h"

namespace oakgate::sim {

SecretBytes stand_in_secret(DhGroup group, ByteView a, ByteView b) {
  const bool ordered = std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end());
  const auto digest = crypto::hash(IkeHash::sha256, {ordered ? a : b, ordered ? b : a});
  Bytes secret(info(group).secret_bytes);
  for (std::size_t i = 0; i < secret.size(); ++i) secret[i] = (*digest)[i % digest->size()];
  return SecretBytes(std::move(secret));
}

void SeededRng::fill(std::span<std::uint8_t> out) {
  for (std::uint8_t& byte : out) byte = static_cast<std::uint8_t>(engine_());
}

bool SeededRng::chance(double probability) {
  return std::uniform_real_distribution<double>(0, 1)(engine_) < probability;
}

std::int64_t SeededRng::between(std::int64_t low, std::int64_t high) {
  return std::uniform_int_distribution<std::int64_t>(low, high)(engine_);
}

// ---- Gateway

Gateway::Gateway(Simulator& network, std::string its_name, IpAddress its_address)
    : name(std::move(its_name)), address(its_address), network_(network) {}

void Gateway::start() {
  engine_ = std::make_unique<ike::Engine>();
  ++life_;
  ike::Effects effects;
  engine_->start({network_.now(), network_.rng, effects}, config_, adopt());
  carry_out(std::move(effects));
  if (trustpoint) command(ike::SetTrustpoint{*trustpoint});
  for (const ike::PeerConfig& peer : config_.peers) {
    std::optional<IpAddress> remote;
    if (!peer.called_from.empty() && peer.called_from.front().is_host()) {
      remote = peer.called_from.front().address();
    } else if (!peer.called_from.empty()) {
      continue;  // never called by us: nobody looks where it is
    }
    command(ike::SetPeerAddresses{peer.name, address, remote, {}});
  }
}

namespace {

bool is_the_same(const SaSpec& held, const SaSpec& kept) {
  return held.direction == kept.direction && held.id == kept.id && held.source == kept.source &&
         held.reqid == kept.reqid && held.selectors == kept.selectors && held.mode == kept.mode &&
         held.cipher == kept.cipher && held.integrity == kept.integrity &&
         held.compression == kept.compression && held.over_ipcomp == kept.over_ipcomp &&
         held.bundle == kept.bundle && held.encapsulation == kept.encapsulation;
}

}  // namespace

// As the kernel plane does: what is as it was remembered stays, all else goes.
std::vector<ike::KeptPair> Gateway::adopt() {
  std::vector<ike::KeptPair> pairs;
  std::vector<SaId> present;
  for (const auto& [in, pair] : kept_) {
    pairs.push_back(pair);
    for (const SaSpec& spec : ike::kept_sas(pair)) {
      const auto held = plane_.find(spec.id);
      if (held != plane_.end() && is_the_same(held->second.spec, spec)) present.push_back(spec.id);
    }
  }
  std::erase_if(plane_, [&](const auto& entry) {
    return std::find(present.begin(), present.end(), entry.first) == present.end();
  });
  kept_.clear();
  return ike::still_there(std::move(pairs), std::move(present));
}

void Gateway::crash() {
  engine_.reset();
  ++life_;
  acquired_.clear();
}

void Gateway::kill() {
  engine_.reset();
  ++life_;
  plane_.clear();
  kept_.clear();
  guarded_.clear();
  acquired_.clear();
}

void Gateway::command(ike::Command command) {
  if (!running()) return;
  ike::Effects effects;
  engine_->on_command({network_.now(), network_.rng, effects}, std::move(command));
  carry_out(std::move(effects));
}

void Gateway::receive(const Endpoint& local, const Endpoint& remote, const Bytes& data) {
  if (!running()) return;
  ike::Effects effects;
  engine_->on_datagram({network_.now(), network_.rng, effects}, {local, remote, data});
  carry_out(std::move(effects));
}

void Gateway::arm() {
  const auto deadline = engine_->next_deadline();
  if (!deadline) return;
  network_.at(std::max(*deadline, network_.now().instant), [this, life = life_] {
    if (life != life_ || !running()) return;
    const auto due = engine_->next_deadline();
    if (!due || *due > network_.now().instant) return;
    ike::Effects effects;
    engine_->on_timer({network_.now(), network_.rng, effects});
    carry_out(std::move(effects));
  });
}

void Gateway::carry_out(ike::Effects effects) {
  for (ike::Effect& effect : effects) {
    if (auto* send = std::get_if<ike::SendDatagram>(&effect)) {
      if (!send->keepalive) network_.send(send->local, send->remote, send->data);
    } else if (auto* job = std::get_if<ike::StartJob>(&effect)) {
      complete_later(Milliseconds(0), do_job(*job));
    } else if (auto* verify = std::get_if<ike::VerifyPeer>(&effect)) {
      PeerVerdict verdict = fake_verdict(verify->proof, revoked);
      if (unreadable > 0) {
        --unreadable;
        verdict = {false, fail(ErrorCode::signature_invalid, "unreadable")};
      }
      const Milliseconds more(network_.rng.between(0, verification_jitter.count()));
      complete_later(verification + more, {verify->id, ike::JobOutput(std::move(verdict))});
    } else if (auto* sas = std::get_if<ike::InstallSas>(&effect)) {
      install(*sas);
    } else if (auto* gone = std::get_if<ike::RemoveSas>(&effect)) {
      for (const SaId& id : gone->sas) plane_.erase(id);
    } else if (auto* sas_elsewhere = std::get_if<ike::MoveSas>(&effect)) {
      move(*sas_elsewhere);
    } else if (auto* count = std::get_if<ike::CountTraffic>(&effect)) {
      count_traffic(*count);
    } else if (auto* protect = std::get_if<ike::Protect>(&effect)) {
      guarded_.insert_or_assign(protect->policy.reqid, protect->policy);
      guard_changes_.emplace_back(protect->policy.reqid, true);
    } else if (auto* unprotect = std::get_if<ike::Unprotect>(&effect)) {
      guarded_.erase(unprotect->reqid);
      guard_changes_.emplace_back(unprotect->reqid, false);
    } else if (auto* keep = std::get_if<ike::KeepPair>(&effect)) {
      const SaId in = keep->pair.in;
      kept_.insert_or_assign(in, std::move(keep->pair));
    } else if (auto* forget = std::get_if<ike::ForgetPair>(&effect)) {
      kept_.erase(forget->in);
    } else if (auto* raised = std::get_if<ike::Raise>(&effect)) {
      events.push_back(std::move(raised->event));
    } else if (auto* done = std::get_if<ike::CommandDone>(&effect)) {
      command_results.insert_or_assign(done->id.value, std::move(done->result));
    }
  }
  if (running()) arm();
}

ike::JobDone Gateway::do_job(const ike::StartJob& start) const {
  using Outcome = decltype(ike::JobDone::result);
  struct Visitor {
    const Gateway& self;
    Outcome operator()(const ike::DhGenerate& generate) const {
      crypto::DhKeyPair pair{generate.group, Bytes(info(generate.group).public_bytes),
                             SecretBytes(std::size_t{8})};
      self.network_.rng.fill(pair.public_value);
      return ike::JobOutput(std::move(pair));
    }
    Outcome operator()(const ike::DhShared& shared) const {
      // Real ones refuse some public values, too; 0 is none in any group.
      if (std::all_of(shared.peer_public.begin(), shared.peer_public.end(),
                      [](auto byte) { return byte == 0; }))
        return reject(NotifyType::invalid_key_information, ErrorCode::malformed, "no public value");
      return ike::JobOutput(stand_in_secret(shared.ours.group, shared.ours.public_value, shared.peer_public));
    }
    Outcome operator()(const ike::PreSharedKeyPrf& prf) const {
      const auto key = self.pre_shared_keys.find(prf.peer);
      if (key == self.pre_shared_keys.end())
        return fail(ErrorCode::not_found, "No pre-shared key with " + prf.peer);
      auto skeyid = crypto::prf(prf.prf, as_bytes(key->second), {prf.data});
      if (!skeyid) return fail(std::move(skeyid.error()));
      return ike::JobOutput(std::move(*skeyid));
    }
    Outcome operator()(const ike::Sign& sign) const {
      return ike::JobOutput(fake_signature(sign.key, sign.hash));
    }
    Outcome operator()(const ike::EncryptBlocks& encrypt) const {
      std::vector<Bytes> blocks;
      for (const SecretBytes& content : encrypt.contents)
        blocks.push_back(fake_block(encrypt.spki, content.view(), self.network_.rng));
      return ike::JobOutput(std::move(blocks));
    }
    Outcome operator()(const ike::DecryptBlocks& decrypt) const {
      std::vector<SecretBytes> contents;
      for (const auto& block : decrypt.blocks)
        contents.push_back(fake_opened(decrypt.key, block.data, block.at_least, block.at_most));
      return ike::JobOutput(std::move(contents));
    }
  };
  return {start.id, std::visit(Visitor{*this}, start.job)};
}

void Gateway::complete_later(Milliseconds time, ike::JobDone done) {
  ++jobs;
  const Milliseconds delay = time + Milliseconds(network_.rng.between(0, network_.faults.job_delay.count()));
  network_.after(delay, [this, life = life_, kept = std::make_shared<ike::JobDone>(std::move(done))] {
    if (life != life_ || !running()) return;
    ike::Effects effects;
    engine_->on_completion({network_.now(), network_.rng, effects}, std::move(*kept));
    carry_out(std::move(effects));
  });
}

void Gateway::install(ike::InstallSas& request) {
  Result<void> result;
  if (refuse_installs) result = fail(ErrorCode::data_plane, "the data plane refuses");
  for (SaSpec& spec : request.sas) {
    if (!result) break;
    const SaId id = spec.id;
    if (plane_.contains(id)) {
      result = fail(ErrorCode::in_use, "the SA is there already");
    } else {
      plane_.emplace(id, HeldSa{std::move(spec), ++installs_, 0, network_.now().instant});
    }
  }
  network_.after(Milliseconds(network_.rng.between(0, 3)), [this, life = life_, id = request.id, result] {
    if (life != life_ || !running()) return;
    ike::Effects effects;
    engine_->on_completion({network_.now(), network_.rng, effects}, ike::SasInstalled{id, result});
    carry_out(std::move(effects));
  });
}

// The policy must have been moved before.
void Gateway::move(const ike::MoveSas& request) {
  Result<void> result;
  for (const SaMove& one : request.sas) {
    const auto found = plane_.find(one.id);
    if (found == plane_.end()) {
      result = fail(ErrorCode::not_found, "there is no such SA");
      break;
    }
    if (refuse_moves == ErrorCode::unsupported) {
      result = fail(ErrorCode::unsupported, "the data plane cannot move it");
      break;
    }
    const auto guard = guarded_.find(found->second.spec.reqid);
    if (guard == guarded_.end() || guard->second.remote_gateway != one.remote.address) {
      result = fail(ErrorCode::internal, "its policy is elsewhere");
      break;
    }
    HeldSa held = std::move(found->second);
    plane_.erase(found);
    const bool out = held.spec.direction == Direction::out;
    if (refuse_moves && out) {
      result = fail(*refuse_moves, "the data plane failed midway");
      continue;
    }
    (out ? held.spec.id.destination : held.spec.source) = one.remote.address;
    if (held.spec.encapsulation) held.spec.encapsulation->remote_port = one.remote.port;
    const SaId id = held.spec.id;
    plane_.emplace(id, std::move(held));
  }
  network_.after(Milliseconds(network_.rng.between(0, 3)), [this, life = life_, id = request.id, result] {
    if (life != life_ || !running()) return;
    ike::Effects effects;
    engine_->on_completion({network_.now(), network_.rng, effects}, ike::SasMoved{id, result});
    carry_out(std::move(effects));
  });
}

void Gateway::count_traffic(const ike::CountTraffic& counting) {
  std::vector<SaCounters> counters;
  for (const SaId& id : counting.sas) {
    SaCounters& one = counters.emplace_back();
    one.id = id;
    if (const auto found = plane_.find(id); found != plane_.end()) one.packets = found->second.packets;
  }
  network_.after(Milliseconds(0), [this, life = life_, id = counting.id, counters] {
    if (life != life_ || !running()) return;
    ike::Effects effects;
    engine_->on_completion({network_.now(), network_.rng, effects}, ike::TrafficCounted{id, counters});
    carry_out(std::move(effects));
  });
}

// Whether ESP goes in UDP, and behind which marker; `in` looks for what `out` has.
std::pair<bool, bool> marker_of(const SaSpec& spec) {
  return {spec.encapsulation.has_value(), spec.encapsulation && spec.encapsulation->non_ike_marker};
}

bool Gateway::send_traffic(Reqid reqid, Gateway& peer) {
  HeldSa* newest = nullptr;
  for (auto& [id, held] : plane_) {
    if (held.spec.direction != Direction::out || held.spec.reqid != reqid || held.spec.compression) continue;
    if (newest == nullptr || held.order > newest->order) newest = &held;
  }
  if (newest == nullptr) {
    const auto last = acquired_.find(reqid);
    if (last == acquired_.end() || network_.now().instant - last->second >= Seconds(1)) {
      acquired_[reqid] = network_.now().instant;
      command(ike::Acquire{reqid});
    }
    return false;
  }
  ++newest->packets;
  if (network_.cut) return false;
  const auto opens = [&](const SaSpec& ours) {
    SaId there = ours.id;
    std::optional<Endpoint> from;  // as the peer sees it, behind a NAT
    const std::uint16_t inside = ours.encapsulation ? ours.encapsulation->local_port : ike::kNatTraversalPort;
    for (const Simulator::Nat& nat : network_.nats) {
      const std::uint16_t port = static_cast<std::uint16_t>(inside + nat.port_offset);
      if (nat.inside == address) from = Endpoint{nat.outside, port};
      if (nat.outside != there.destination) continue;
      if (ours.encapsulation && ours.encapsulation->remote_port != port) return false;
      there.destination = nat.inside;
    }
    const auto other = peer.plane_.find(there);
    const bool opened = other != peer.plane_.end() && peer.receives_on(other->second) &&
                        other->second.spec.encryption_key == ours.encryption_key &&
                        other->second.spec.integrity_key == ours.integrity_key &&
                        other->second.spec.mode == ours.mode &&
                        marker_of(other->second.spec) == marker_of(ours) &&
                        other->second.spec.bundle.has_value() == ours.bundle.has_value() &&
                        other->second.spec.selectors.local.canonical() == ours.selectors.remote.canonical();
    if (opened) {
      ++other->second.packets;
      const SaSpec& spec = other->second.spec;
      if (from && spec.encapsulation && Endpoint{spec.source, spec.encapsulation->remote_port} != *from) {
        // Opening it may take the SA away: nothing of it is used afterwards.
        peer.command(ike::PeerMoved{there, spec.reqid, *from});
      }
    } else if (other == peer.plane_.end() && peer.running()) {
      peer.command(ike::UnknownSpi{peer.address, from ? from->address : address, there.protocol, there.spi});
    }
    return opened;
  };
  // What is over IPComp needs it at both ends.
  const bool compressed = std::any_of(plane_.begin(), plane_.end(), [&](const auto& entry) {
    const SaSpec& spec = entry.second.spec;
    return spec.compression && spec.direction == Direction::out && spec.reqid == reqid && opens(spec);
  });
  if (newest->spec.over_ipcomp && !compressed) return false;
  if (!newest->spec.bundle) return opens(newest->spec);
  // Of AH and ESP in one proposal both must be there, and be different.
  const auto partner = plane_.find(*newest->spec.bundle);
  if (partner == plane_.end()) return false;
  ++partner->second.packets;
  return partner->second.spec.bundle == newest->spec.id &&
         partner->second.spec.integrity_key != newest->spec.integrity_key && opens(newest->spec) &&
         opens(partner->second.spec);
}

bool Gateway::receives_on(const HeldSa& inbound) const {
  if (inbound.spec.direction != Direction::in) return false;
  return !receives_late || std::any_of(plane_.begin(), plane_.end(), [&](const auto& entry) {
    const HeldSa& other = entry.second;
    return other.spec.direction == Direction::out && other.spec.reqid == inbound.spec.reqid &&
           other.order > inbound.order;
  });
}

bool Gateway::tunnels_up() const {
  if (engine_ == nullptr) return false;
  for (const auto& peer : engine_->snapshot(network_.now().wall)) {
    for (const auto& tunnel : peer.tunnels) {
      if (tunnel.state != ike::TunnelState::up) return false;
    }
  }
  const ike::TunnelCounts counts = engine_->tunnel_counts();
  return counts.up == counts.configured;
}

// ---- Simulator

Simulator::Simulator(std::uint64_t seed) : rng(seed) {
  now_.instant = Instant(Milliseconds(1000));
  now_.wall = WallTime(std::chrono::sys_days(std::chrono::year(2026) / 11 / 20));
}

Gateway& Simulator::add(const std::string& name, const std::string& address) {
  gateways_.push_back(std::make_unique<Gateway>(*this, name, *IpAddress::parse(address)));
  return *gateways_.back();
}

void Simulator::at(Instant when, std::function<void()> action) {
  queue_.push({when, ++order_, std::move(action)});
}

bool Simulator::run_until(Instant until, const std::function<bool()>& done) {
  if (done && done()) return true;
  while (!queue_.empty() && queue_.top().when <= until) {
    const Action action = queue_.top();
    queue_.pop();
    ++steps;
    now_.instant = action.when;
    // The wall clock keeps its seconds in step without drifting from the rounding.
    now_.wall = WallTime(std::chrono::sys_days(std::chrono::year(2026) / 11 / 20)) +
                std::chrono::duration_cast<Seconds>(now_.instant.time_since_epoch()) + clock_stepped_;
    action.run();
    if (done && done()) return true;
  }
  now_.instant = until;
  return false;
}

void Simulator::step_clock(Seconds by) {
  clock_stepped_ += by;
  now_.wall += by;
}

void Simulator::send(const Endpoint& from, const Endpoint& to, const Bytes& data) {
  ++datagrams;
  if (cut) return;
  Bytes seen = data;
  if (tap && !tap(from, to, seen)) return;
  const int copies = rng.chance(faults.duplicate) ? 2 : 1;
  for (int copy = 0; copy < copies; ++copy) {
    if (rng.chance(faults.loss)) continue;
    const Milliseconds delay = faults.latency + Milliseconds(rng.between(0, faults.jitter.count()));
    after(delay, [this, from, to, seen] { deliver(from, to, seen); });
  }
}

void Simulator::deliver(const Endpoint& from, const Endpoint& to, const Bytes& data) {
  Endpoint source = from;
  Endpoint target = to;
  for (const Nat& nat : nats) {
    if (source.address == nat.inside) {
      source = {nat.outside, static_cast<std::uint16_t>(source.port + nat.port_offset)};
    }
    if (target.address == nat.outside) {
      target = {nat.inside, static_cast<std::uint16_t>(target.port - nat.port_offset)};
      // A translation that is gone leads nowhere.
      if (target.port != ike::kIkePort && target.port != ike::kNatTraversalPort) return;
    }
  }
  for (const auto& gateway : gateways_) {
    if (gateway->address == target.address) gateway->receive(target, source, data);
  }
}

// ---- configurations

ike::PeerConfig peer_config(const Gateway& here, const Gateway& there, const std::vector<TunnelPlan>& plans,
                            Seconds phase1_life, std::uint32_t reqid, bool mirrored) {
  static_cast<void>(here);
  ike::PeerConfig peer;
  peer.name = there.name;
  peer.called_from = {Subnet::host(there.address)};
  peer.policies = {
      {10, IkeCipher::aes_256, IkeHash::sha256, DhGroup::modp2048, AuthMethod::pre_share, phase1_life},
      {20, IkeCipher::aes_128, IkeHash::sha, DhGroup::ecp256, AuthMethod::pre_share, phase1_life}};
  for (const TunnelPlan& plan : plans) {
    ike::TunnelConfig tunnel;
    tunnel.name = plan.name;
    tunnel.transform_sets = {{"gcm", EspCipher::gcm_256, {}, EncapsulationMode::tunnel},
                             {"cbc", EspCipher::aes_128, Integrity::sha, EncapsulationMode::tunnel}};
    tunnel.pfs = plan.pfs;
    tunnel.rekey = plan.rekey;
    tunnel.lifetime = {plan.lifetime, Kilobytes{4608000}};
    tunnel.start = mirrored ? plan.start_there : plan.start_here;
    for (const std::string& local : plan.local) {
      for (const std::string& remote : plan.remote) {
        SelectorPair pair{{*Subnet::parse(local)}, {*Subnet::parse(remote)}};
        if (mirrored) std::swap(pair.local, pair.remote);
        tunnel.pairs.push_back({Reqid{reqid++}, pair});
      }
    }
    peer.tunnels.push_back(std::move(tunnel));
  }
  return peer;
}

void connect(Gateway& here, Gateway& there, const std::vector<TunnelPlan>& plans, Seconds phase1_life,
             std::uint32_t reqid, const std::string& key) {
  ike::EngineConfig ours{here.name, {peer_config(here, there, plans, phase1_life, reqid, false)}, {}};
  ike::EngineConfig theirs{there.name, {peer_config(there, here, plans, phase1_life, reqid, true)}, {}};
  here.configure(std::move(ours));
  there.configure(std::move(theirs));
  here.pre_shared_keys[there.name] = key;
  there.pre_shared_keys[here.name] = key;
}

namespace {

// What `gateway` has to do with `other` alone.
template <class Change>
void for_peer(Gateway& gateway, const Gateway& other, AuthMethod method, const Change& change) {
  gateway.pre_shared_keys.erase(other.name);
  for (ike::PeerConfig& peer : gateway.config().peers) {
    if (peer.name != other.name) continue;
    change(peer);
    for (IsakmpPolicy& policy : peer.policies) policy.authentication = method;
  }
}

}  // namespace

void use_certificates(Gateway& here, Gateway& there, AuthMethod method) {
  for (Gateway* gateway : {&here, &there}) {
    gateway->trustpoint = fake_trustpoint(
        fake_certificate(gateway->name, gateway->address.to_string(),
                         method == AuthMethod::rsa_sig ? crypto::KeyKind::rsa : crypto::KeyKind::ec_p256));
    for_peer(*gateway, gateway == &here ? there : here, method, [&](ike::PeerConfig& peer) {
      peer.trustpoint = "corp";
      if (method == AuthMethod::ecdsa_sig) peer.policies.resize(1);  // the other's hash has no curve
    });
  }
}

void use_rsa_encryption(Gateway& here, Gateway& there, AuthMethod method) {
  for (Gateway* gateway : {&here, &there}) {
    const Gateway& other = gateway == &here ? there : here;
    for_peer(*gateway, other, method, [&](ike::PeerConfig& peer) {
      peer.rsa_encryption =
          ike::RsaEncryption{{{other.name + ".example.net", fake_public_key(other.name + "-rsa")}},
                             gateway->name + "-rsa",
                             fake_public_key(gateway->name + "-rsa"),
                             SkeyidForm::automatic};
    });
  }
}

}  // namespace oakgate::sim
