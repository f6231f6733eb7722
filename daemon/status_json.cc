#include "daemon/status_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "daemon/event_text.h"
#include "daemon/text.h"
#include "ike/effects.h"

namespace oakgate {

namespace {

using ike::IkeSaSnapshot;
using ike::PeerSnapshot;
using ike::SaPairSnapshot;
using ike::TunnelSnapshot;

std::string_view word(ike::PeerState state) {
  switch (state) {
    case ike::PeerState::established:
      return "established";
    case ike::PeerState::connecting:
      return "connecting";
    case ike::PeerState::down:
      break;
  }
  return "down";
}

std::string_view word(ike::TunnelState state) {
  switch (state) {
    case ike::TunnelState::up:
      return "up";
    case ike::TunnelState::connecting:
      return "connecting";
    case ike::TunnelState::down:
      break;
  }
  return "down";
}

std::string_view word(StartMode mode) {
  switch (mode) {
    case StartMode::on_traffic:
      return "on-traffic";
    case StartMode::on_start:
      return "on-start";
    case StartMode::responder:
      break;
  }
  return "responder";
}

std::string_view word(Role role) {
  return role == Role::initiator ? "initiator" : "responder";
}

Json seconds_until(const std::optional<Instant>& at, const Now& now) {
  if (!at) return nullptr;
  const auto left = std::chrono::floor<Seconds>(*at - now.instant).count();
  return std::max<Seconds::rep>(left, 0);
}

Json calendar_time(const std::optional<Instant>& at, const Now& now) {
  if (!at) return nullptr;
  return iso_time(now.wall - std::chrono::floor<Seconds>(now.instant - *at));
}

Json last_error_json(const std::optional<ike::LastError>& last) {
  if (!last) return nullptr;
  Json json = error_json(last->error);
  json.erase("exit");
  json["at"] = iso_time(last->at);
  return json;
}

// From so long before its end `status` says that a waiver ends.
constexpr std::chrono::days kWaiverNotice{30};

// The waiver counts through the whole of its last day, UTC: on that day 0 days are left.
Json waiver_json(const ike::WaiverSnapshot& waiver, WallTime now) {
  Json json{{"algorithms", Json::array()},
            {"until", nullptr},
            {"reason", printable(waiver.reason)},
            {"days_left", nullptr},
            {"state", "in-force"}};
  for (const Weak weak : waiver.needed) json["algorithms"].push_back(weak_word(weak));
  if (!waiver.until) return json;
  const auto left = *waiver.until - std::chrono::floor<std::chrono::days>(now);
  json["until"] = iso_time(WallTime(*waiver.until)).substr(0, 10);
  json["days_left"] = std::max<std::int64_t>(left.count(), 0);
  if (left.count() < 0) {
    json["state"] = "ended";
  } else if (left <= kWaiverNotice) {
    json["state"] = "ends-soon";
  }
  return json;
}

std::string_view protocol_word(IpsecProtocol protocol) {
  switch (protocol) {
    case IpsecProtocol::ah:
      return "ah";
    case IpsecProtocol::esp:
      return "esp";
    case IpsecProtocol::comp:
      return "pcp";  // as IOS says
  }
  return {};
}

}  // namespace

std::vector<SaId> inbound_of(const SaPairSnapshot& sa) {
  std::vector<SaId> ids{sa.in};
  for (const auto& other : {sa.ah_in, sa.comp_in}) {
    if (other) ids.push_back(*other);
  }
  return ids;
}

std::vector<SaId> outbound_of(const SaPairSnapshot& sa) {
  std::vector<SaId> ids{sa.out};
  for (const auto& other : {sa.ah_out, sa.comp_out}) {
    if (other) ids.push_back(*other);
  }
  return ids;
}

Json spi_json(const std::vector<SaId>& ids) {
  Json spis = Json::array();
  for (const SaId& one : ids) {
    spis.push_back(
        {{"protocol", protocol_word(one.protocol)}, {"spi", fmt::format("0x{:08x}", one.spi.value)}});
  }
  return spis;
}

namespace {

const SaCounters& counters_of(const StatusInput& input, const SaId& id) {
  static const SaCounters none;
  const auto found = input.counters.find(id);
  return found == input.counters.end() ? none : found->second;
}

// What the `show` commands count: from `clear crypto sa counters` on.
SaCounters shown_counters(const StatusInput& input, const SaId& id) {
  SaCounters counters = counters_of(input, id);
  if (input.cleared == nullptr) return counters;
  const auto found = input.cleared->find(id);
  if (found == input.cleared->end()) return counters;
  const SaCounters& before = found->second;
  if (counters.packets < before.packets) return counters;  // another SA, by the same name
  counters.packets -= before.packets;
  counters.replayed -= std::min(counters.replayed, before.replayed);
  counters.not_authentic -= std::min(counters.not_authentic, before.not_authentic);
  counters.selector_mismatch -= std::min(counters.selector_mismatch, before.selector_mismatch);
  return counters;
}

// Names in RFC 4514's form have their own escapes, which are not escaped again.
std::string name_text(const std::string& name) {
  const bool safe = std::all_of(name.begin(), name.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
  return safe ? name : printable(name, 1024);
}

Json isakmp_sa_status(const IkeSaSnapshot& sa, const Now& now) {
  Json json{{"state", sa.state},
            {"role", word(sa.role)},
            {"local", sa.local.to_string()},
            {"remote", sa.remote.to_string()},
            {"initiator_cookie", to_hex(sa.cookies.initiator)},
            {"responder_cookie", to_hex(sa.cookies.responder)},
            {"policy", sa.policy ? Json(to_string(*sa.policy)) : Json(nullptr)},
            {"remote_identity", printable(sa.remote_identity)},
            {"nat", sa.nat},
            {"established_at", calendar_time(sa.established_at, now)},
            {"rekey_in_s", seconds_until(sa.rekey_at, now)},
            {"expires_in_s", seconds_until(sa.expires_at, now)}};
  if (sa.certificate) {
    json["certificate"] = {{"subject", name_text(sa.certificate->subject)},
                           {"issuer", name_text(sa.certificate->issuer)},
                           {"serial", printable(sa.certificate->serial)},
                           {"not_after", iso_time(sa.certificate->not_after)}};
  }
  return json;
}

Json sa_pair_status(const StatusInput& input, const SaPairSnapshot& sa, bool detail) {
  const SaCounters& in = counters_of(input, sa.in);
  const SaCounters& out = counters_of(input, sa.out);
  Json json{{"local", sa.selectors.local.to_string()},
            {"remote", sa.selectors.remote.to_string()},
            {"narrowed", sa.narrowed},
            {"role", sa.role == ike::SaRole::current ? "current" : "old"},
            {"in", spi_json(inbound_of(sa))},
            {"out", spi_json(outbound_of(sa))},
            {"algorithms", sa.algorithms},
            {"bytes_in", in.bytes},
            {"bytes_out", out.bytes},
            {"packets_in", in.packets},
            {"packets_out", out.packets},
            {"expires_in_s", seconds_until(sa.expires_at, input.now)}};
  if (sa.adopted) json["adopted"] = true;
  if (sa.comp_in) {
    json["packets_decompressed"] = counters_of(input, *sa.comp_in).packets;
    json["packets_compressed"] = counters_of(input, *sa.comp_out).packets;
  }
  if (detail) {
    json["since"] = calendar_time(sa.established_at, input.now);
    json["rekey_in_s"] = seconds_until(sa.rekey_at, input.now);
  }
  return json;
}

Json tunnel_status(const StatusInput& input, const TunnelSnapshot& tunnel, bool detail) {
  Json json{{"name", tunnel.name},
            {"state", word(tunnel.state)},
            {"last_error", last_error_json(tunnel.last_error)},
            {"sas", Json::array()}};
  for (const SaPairSnapshot& sa : tunnel.sas) json["sas"].push_back(sa_pair_status(input, sa, detail));
  if (!detail) return json;
  json["start"] = word(tunnel.start);
  json["since"] = calendar_time(tunnel.up_since, input.now);
  json["retry_in_s"] = seconds_until(tunnel.retry_at, input.now);
  json["pairs"] = Json::array();
  const auto add = [&](const std::vector<ike::PairConfig>& pairs, bool narrowed) {
    for (const ike::PairConfig& pair : pairs) {
      json["pairs"].push_back({{"local", pair.selectors.local.to_string()},
                               {"remote", pair.selectors.remote.to_string()},
                               {"narrowed", narrowed}});
    }
  };
  add(tunnel.pairs, false);
  add(tunnel.narrowed, true);
  return json;
}

std::string address_of(const StatusInput& input, const PeerSnapshot& peer) {
  if (peer.remote) return peer.remote->to_string();
  const auto configured = input.addresses.find(peer.name);
  return configured == input.addresses.end() ? std::string() : configured->second;
}

// IOS's "addr/mask/prot/port"; IPv6 has a prefix length in the mask's place. A range, which IOS does not
// have, is "first-last/prot/port".
std::string ident_text(const Selector& selector) {
  if (selector.range)
    return fmt::format("{}/{}/{}", selector.range->to_string(), selector.protocol, selector.port);
  const Subnet& subnet = selector.subnet;
  const std::string mask =
      subnet.address().is_v4() ? subnet.netmask().to_string() : std::to_string(subnet.prefix());
  return fmt::format("{}/{}/{}/{}", subnet.address().to_string(), mask, selector.protocol, selector.port);
}

Json kilobytes_left(const SaPairSnapshot& sa, const SaCounters& counters) {
  if (sa.kilobytes.value == 0) return nullptr;
  const std::uint64_t used = counters.bytes / 1024;
  return sa.kilobytes.value > used ? sa.kilobytes.value - used : 0;
}

Json packets_left(const SaPairSnapshot& sa, const SaId& id, const SaCounters& counters) {
  const bool limited = sa.packets != 0 && (id == sa.in || id == sa.out);
  if (!limited) return nullptr;
  return sa.packets > counters.packets ? sa.packets - counters.packets : 0;
}

// IOS shows beside each SA what of the transform set is its own, and the mode.
std::string transform_of(const TransformSet& set, IpsecProtocol protocol) {
  TransformSet part = set;
  if (protocol != IpsecProtocol::esp) {
    part.cipher.reset();
    part.integrity.reset();
  }
  if (protocol != IpsecProtocol::ah) part.ah.reset();
  if (protocol != IpsecProtocol::comp) part.compression.reset();
  part.mode = EncapsulationMode::tunnel;  // has a word of its own
  return to_string(part);
}

Json ipsec_sa(const StatusInput& input, const SaPairSnapshot& sa, const SaId& id,
              ConnectionNumbers& numbers) {
  return {{"protocol", protocol_word(id.protocol)},
          {"spi", fmt::format("0x{:08x}", id.spi.value)},
          {"transform", transform_of(sa.set, id.protocol)},
          {"mode", sa.set.mode == EncapsulationMode::transport ? "transport" : "tunnel"},
          {"role", sa.role == ike::SaRole::current ? "current" : "old"},
          {"conn_id", numbers.number(connection_name(id))},
          {"udp_encapsulation", sa.encapsulation.has_value()},
          {"kilobytes_left", kilobytes_left(sa, counters_of(input, id))},
          {"packets_left", packets_left(sa, id, counters_of(input, id))},
          {"expires_in_s", seconds_until(sa.expires_at, input.now)},
          {"packets", shown_counters(input, id).packets},
          {"replay_window", sa.replay_window},
          {"sequence", counters_of(input, id).sequence},
          {"esn", sa.esn && id.protocol != IpsecProtocol::comp}};
}

std::uint64_t errors_of(const SaCounters& counters) {
  return counters.not_authentic + counters.replayed + counters.selector_mismatch;
}

// One `local ident`/`remote ident` block of `show crypto ipsec sa`: a selector pair with all its SAs.
Json ident_block(const StatusInput& input, const PeerSnapshot& peer, const TunnelSnapshot& tunnel,
                 const ike::PairConfig& pair, ConnectionNumbers& numbers) {
  Json json{{"peer", peer.name},
            {"tunnel", tunnel.name},
            {"local_ident", ident_text(pair.selectors.local)},
            {"remote_ident", ident_text(pair.selectors.remote)},
            {"local_endpoint", peer.local ? Json(peer.local->to_string()) : Json(nullptr)},
            {"remote_endpoint", peer.remote ? Json(peer.remote->to_string()) : Json(nullptr)},
            {"remote_port", peer.isakmp_sas.empty() ? ike::kIkePort : peer.isakmp_sas.front().remote.port},
            {"pfs_group", nullptr},
            {"current_outbound_spi", nullptr}};
  SaCounters in;
  SaCounters out;
  std::uint64_t compressed = 0;
  std::uint64_t decompressed = 0;
  Json inbound = Json::array();
  Json outbound = Json::array();
  for (const SaPairSnapshot& sa : tunnel.sas) {
    if (sa.selectors != pair.selectors) continue;
    const SaCounters received = shown_counters(input, sa.in);
    const SaCounters sent = shown_counters(input, sa.out);
    in.packets += received.packets;
    in.not_authentic += errors_of(received);
    out.packets += sent.packets;
    if (sa.ah_in) in.not_authentic += errors_of(shown_counters(input, *sa.ah_in));
    if (sa.comp_in) {
      decompressed += shown_counters(input, *sa.comp_in).packets;
      compressed += shown_counters(input, *sa.comp_out).packets;
    }
    for (const SaId& id : inbound_of(sa)) inbound.push_back(ipsec_sa(input, sa, id, numbers));
    for (const SaId& id : outbound_of(sa)) outbound.push_back(ipsec_sa(input, sa, id, numbers));
    if (sa.role != ike::SaRole::current) continue;
    json["local_endpoint"] = sa.local_gateway.to_string();
    json["remote_endpoint"] = sa.remote_gateway.to_string();
    json["current_outbound_spi"] = fmt::format("0x{:08x}", sa.out.spi.value);
    if (sa.pfs) json["pfs_group"] = static_cast<int>(*sa.pfs);
  }
  json["packets_out"] = out.packets;
  json["packets_in"] = in.packets;
  json["packets_compressed"] = compressed;
  json["packets_decompressed"] = decompressed;
  json["receive_errors"] = in.not_authentic;
  json["inbound"] = std::move(inbound);
  json["outbound"] = std::move(outbound);
  return json;
}

}  // namespace

int ConnectionNumbers::number(const std::string& sa) {
  if (numbers_.size() >= kRemembered && !numbers_.contains(sa)) numbers_.clear();
  const auto [entry, added] = numbers_.try_emplace(sa, next_);
  if (added) ++next_;
  return entry->second;
}

int ConnectionNumbers::find(const std::string& sa) const {
  const auto found = numbers_.find(sa);
  return found == numbers_.end() ? 0 : found->second;
}

std::string connection_name(const SaId& id) {
  return fmt::format("{} {} {:08x}", id.destination.to_string(), static_cast<int>(id.protocol), id.spi.value);
}

std::string connection_name(const CookiePair& cookies) {
  return to_hex(cookies.initiator) + to_hex(cookies.responder);
}

std::vector<SaId> sa_ids(const std::vector<PeerSnapshot>& peers) {
  std::vector<SaId> ids;
  for (const PeerSnapshot& peer : peers) {
    for (const TunnelSnapshot& tunnel : peer.tunnels) {
      for (const SaPairSnapshot& sa : tunnel.sas) {
        for (const auto& some : {inbound_of(sa), outbound_of(sa)})
          ids.insert(ids.end(), some.begin(), some.end());
      }
    }
  }
  return ids;
}

Json status_json(const StatusInput& input, bool detail) {
  Json json{{"version", kControlVersion},
            {"gateway", input.gateway},
            {"data_plane", input.data_plane},
            {"peers", Json::array()}};
  for (const PeerSnapshot& peer : input.peers) {
    Json entry{{"name", peer.name},
               {"address", address_of(input, peer)},
               {"state", word(peer.state)},
               {"isakmp_sa", nullptr},
               {"last_error", last_error_json(peer.last_error)},
               {"tunnels", Json::array()}};
    if (peer.waiver) entry["allow_weak"] = waiver_json(*peer.waiver, input.now.wall);
    if (!peer.isakmp_sas.empty()) entry["isakmp_sa"] = isakmp_sa_status(peer.isakmp_sas.front(), input.now);
    for (const TunnelSnapshot& tunnel : peer.tunnels) {
      entry["tunnels"].push_back(tunnel_status(input, tunnel, detail));
    }
    json["peers"].push_back(std::move(entry));
  }
  if (input.confirm_within) json["confirm_within_s"] = input.confirm_within->count();
  if (input.drops) {
    for (const DropReasonRow& row : kDropReasons) json["drops"][row.key] = input.drops->of(row.reason);
  }
  for (const OwnCertificateStatus& own : input.own_certificates) {
    json["certificates"].push_back({{"trustpoint", own.trustpoint},
                                    {"subject", name_text(own.subject)},
                                    {"status", own.status},
                                    {"not_after", iso_time(own.not_after)}});
  }
  for (const TrustpointWaiver& one : input.trustpoint_waivers) {
    json["trustpoints"].push_back(
        {{"name", one.trustpoint}, {"allow_weak", waiver_json(one.waiver, input.now.wall)}});
  }
  return json;
}

Json isakmp_sa_json(const StatusInput& input, ConnectionNumbers& numbers) {
  Json sas = Json::array();
  for (const PeerSnapshot& peer : input.peers) {
    for (const IkeSaSnapshot& sa : peer.isakmp_sas) {
      // IOS: the responder is the destination, whoever prints it.
      const bool initiator = sa.role == Role::initiator;
      const IpAddress& source = initiator ? sa.local.address : sa.remote.address;
      const IpAddress& destination = initiator ? sa.remote.address : sa.local.address;
      sas.push_back({{"peer", peer.name},
                     {"dst", destination.to_string()},
                     {"src", source.to_string()},
                     {"state", sa.state},
                     {"conn_id", numbers.number(connection_name(sa.cookies))},
                     {"status", sa.established && !sa.current ? "ACTIVE (replaced)" : "ACTIVE"}});
    }
  }
  return {{"version", kControlVersion}, {"isakmp_sas", std::move(sas)}};
}

Json ipsec_sa_json(const StatusInput& input, ConnectionNumbers& numbers) {
  Json idents = Json::array();
  for (const PeerSnapshot& peer : input.peers) {
    for (const TunnelSnapshot& tunnel : peer.tunnels) {
      for (const auto* pairs : {&tunnel.pairs, &tunnel.narrowed}) {
        for (const ike::PairConfig& pair : *pairs)
          idents.push_back(ident_block(input, peer, tunnel, pair, numbers));
      }
    }
  }
  return {{"version", kControlVersion}, {"data_plane", input.data_plane}, {"idents", std::move(idents)}};
}

Json dropped_packets_json(const StatusInput& input, const DropCounts& drops) {
  std::set<std::string> addresses;
  for (const PeerSnapshot& peer : input.peers) {
    if (peer.local) addresses.insert(peer.local->to_string());
  }
  Json json{{"version", kControlVersion},
            {"data_plane", input.data_plane},
            {"addresses", addresses},
            {"dropped", drops.total()},
            {"reasons", Json::array()}};
  for (const DropReasonRow& row : kDropReasons) {
    json["reasons"].push_back({{"reason", row.key}, {"text", row.words}, {"packets", drops.of(row.reason)}});
  }
  return json;
}

Json event_json(const ike::Event& event, WallTime at) {
  const EventRow& row = event_row(event.id);
  Json json{{"at", iso_time(at)},
            {"event", ike::to_string(event.id)},
            {"level", to_string(row.level)},
            {"peer", printable(event.peer)},
            {"tunnel", printable(event.tunnel)},
            {"local", event.local ? Json(event.local->to_string()) : Json(nullptr)},
            {"remote", event.remote ? Json(event.remote->to_string()) : Json(nullptr)},
            {"authenticated", event.authenticated},
            {"fields", Json::object()},
            {"error", nullptr},
            {"text", event_text(event)}};
  if (event.cookies) {
    json["initiator_cookie"] = to_hex(event.cookies->initiator);
    json["responder_cookie"] = to_hex(event.cookies->responder);
  }
  for (const ike::Field& field : event.fields) json["fields"][std::string(field.first)] = field_text(field);
  if (event.error) {
    json["error"] = error_json(*event.error);
    json["error"].erase("exit");
  }
  for (const ike::ProposalComparison& one : event.proposals) {
    Json differences = Json::array();
    for (const ike::AttributeDifference& difference : one.differences) {
      differences.push_back(
          {{"attribute", difference.attribute}, {"theirs", difference.theirs}, {"ours", difference.ours}});
    }
    json["proposals"].push_back(
        {{"offered", one.offered}, {"wanted", one.wanted}, {"differences", std::move(differences)}});
  }
  return json;
}

}  // namespace oakgate
