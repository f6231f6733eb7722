#include "tests/sim/watch.h"

#include <algorithm>
#include <set>

#include "ike/wire/message.h"

namespace oakgate::sim {

namespace {

constexpr std::size_t kLines = 120;
constexpr std::size_t kEvents = 25;
constexpr std::size_t kSasOfSelector = 32;  // pairs that overlap, and exchanges under way
constexpr std::size_t kIkeSas = 66;         // Limits::sas_per_peer, and two under way
// What an exchange may keep an SA for that is in no SA pair: repetitions, and the computations before them.
constexpr Milliseconds kExchange{90000};
// A replaced SA pair: the responder's grace, the last packets, and a renewal that was under way.
constexpr Milliseconds kReplaced{90000};

std::string seconds(Instant when) {
  const auto ms = std::chrono::duration_cast<Milliseconds>(when.time_since_epoch()).count();
  std::string text = std::to_string(ms % 1000);
  return std::to_string(ms / 1000) + "." + std::string(3 - text.size(), '0') + text;
}

std::string describe(const Endpoint& from, const Endpoint& to, const Bytes& data) {
  const auto header = wire::parse_header(data);
  if (!header) return from.to_string() + " -> " + to.to_string() + " no ISAKMP";
  return from.to_string() + " -> " + to.to_string() + " " +
         std::string(wire::exchange_name(header->exchange)) + " cookie " +
         std::to_string(header->cookies.initiator[0]) + " id " + std::to_string(header->message_id.value) +
         (header->encrypted() ? " encrypted " : " ") + std::to_string(data.size());
}

std::string describe(const ike::Event& event) {
  std::string line = std::string(to_string(event.id)) + " " + event.peer;
  for (const auto& [key, value] : event.fields) line += " " + std::string(key) + "=" + value;
  if (event.error) line += ": " + event.error->text;
  return line;
}

}  // namespace

Watch::Watch(Simulator& network) : network_(network), inner_(std::move(network.tap)) {
  network_.tap = [this](const Endpoint& from, const Endpoint& to, Bytes& data) {
    if (lines_.size() == kLines) lines_.pop_front();
    lines_.push_back(seconds(network_.now().instant) + " " + describe(from, to, data));
    const bool passes = !inner_ || inner_(from, to, data);
    if (!passes) lines_.back() += " (lost)";
    return passes;
  };
}

void Watch::fail(const Gateway& gateway, const std::string& what) {
  if (broken_.empty()) broken_ = seconds(network_.now().instant) + " " + gateway.name + ": " + what;
}

bool Watch::holds() {
  look_at_planes();
  if (network_.now().instant >= next_account_) {
    look_at_accounts();
    next_account_ = network_.now().instant + Seconds(1);
  }
  return broken_.empty();
}

void Watch::look_at_planes() {
  for (const auto& gateway : network_.gateways()) {
    std::map<Reqid, std::size_t> count;
    std::uint64_t& seen = installed_[gateway.get()];
    std::uint64_t newest = seen;
    for (const auto& [id, held] : gateway->plane()) {
      const std::string spi = std::to_string(id.spi.value);
      if (network_.now().instant - held.since > held.spec.hard_time + Milliseconds(1000))
        fail(*gateway, "SA " + spi + " is used past its life");
      if (++count[held.spec.reqid] > kSasOfSelector) fail(*gateway, "too many SAs of one selector");
      if (held.order <= seen) continue;
      newest = std::max(newest, held.order);
      if (held.spec.compression) continue;  // IPComp has no key
      const ByteView key = held.spec.encryption_key.view();
      const auto [owner, fresh] = keys_.emplace(std::string(key.begin(), key.end()), id);
      // Both ends hold it; behind a NAT each has its own idea of where it leads.
      const SaId& first = owner->second;
      if (!fresh && (first.protocol != id.protocol || first.spi != id.spi))
        fail(*gateway, "SA " + spi + " has the key of another");
    }
    // A gateway that died begins to count anew.
    seen = gateway->plane().empty() ? 0 : newest;
  }
}

void Watch::look_at_accounts() {
  for (const auto& gateway : network_.gateways()) {
    if (gateway->running()) {
      look_at(*gateway);
    } else {
      unowned_.erase(gateway.get());
      replaced_.erase(gateway.get());
    }
  }
}

void Watch::look_at(const Gateway& gateway) {
  const Instant now = network_.now().instant;
  std::set<SaId> owned;
  std::map<SaId, Instant> old;
  for (const ike::PeerSnapshot& peer : const_cast<Gateway&>(gateway).engine().snapshot(network_.now().wall)) {
    if (peer.isakmp_sas.size() > kIkeSas) fail(gateway, "too many IKE SAs with " + peer.name);
    for (const ike::TunnelSnapshot& tunnel : peer.tunnels) {
      for (const ike::SaPairSnapshot& sas : tunnel.sas) {
        owned.insert({sas.in, sas.out});
        if (sas.role == ike::SaRole::current) continue;
        const auto since = replaced_[&gateway].find(sas.in);
        old[sas.in] = since == replaced_[&gateway].end() ? now : since->second;
        if (now - old[sas.in] > kReplaced)
          fail(gateway, "SA pair " + std::to_string(sas.in.spi.value) + " was replaced long ago");
      }
    }
  }
  replaced_[&gateway] = std::move(old);
  std::map<SaId, Instant> unowned;
  for (const auto& [id, held] : gateway.plane()) {
    if (owned.contains(id)) continue;
    const auto since = unowned_[&gateway].find(id);
    unowned[id] = since == unowned_[&gateway].end() ? now : since->second;
    if (now - unowned[id] > kExchange)
      fail(gateway, "SA " + std::to_string(id.spi.value) + " in the data plane since " + seconds(held.since) +
                        " is nobody's");
  }
  unowned_[&gateway] = std::move(unowned);
}

std::string Watch::disagreement(const Gateway& here, const Gateway& there) const {
  using Spis = std::set<std::pair<std::uint32_t, std::uint32_t>>;
  std::string differs;
  const auto spis_of = [&](const Gateway& gateway, const Gateway& peer, bool mirrored) {
    Spis spis;
    for (const auto& shot : const_cast<Gateway&>(gateway).engine().snapshot(network_.now().wall, peer.name)) {
      for (const auto& tunnel : shot.tunnels) {
        std::map<Reqid, int> pairs;
        for (const auto& sas : tunnel.sas) {
          spis.emplace((mirrored ? sas.out : sas.in).spi.value, (mirrored ? sas.in : sas.out).spi.value);
          if (++pairs[sas.reqid] > 1)
            differs = gateway.name + " has two SA pairs of one selector with " + peer.name;
        }
      }
    }
    return spis;
  };
  if (spis_of(here, there, false) != spis_of(there, here, true))
    differs = here.name + " has other SA pairs than " + there.name + " has";
  return differs;
}

std::string Watch::ladder() const {
  std::string text = "the last messages:\n";
  for (const std::string& line : lines_) text += line + "\n";
  for (const auto& gateway : network_.gateways()) {
    text += "the last events of " + gateway->name + ":\n";
    const auto& events = gateway->events;
    for (std::size_t i = events.size() > kEvents ? events.size() - kEvents : 0; i < events.size(); ++i)
      text += "  " + describe(events[i]) + "\n";
  }
  return text;
}

}  // namespace oakgate::sim
