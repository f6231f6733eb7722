#include "daemon/explain/explain_json.h"

#include <algorithm>

#include "daemon/explain/diagnosis.h"
#include "daemon/text.h"

namespace oakgate::explain {

namespace {

constexpr std::chrono::minutes kRecent{60};

Json lines_json(const std::vector<std::string>& lines) {
  Json json = Json::array();
  for (const std::string& line : lines) json.push_back(line);
  return json;
}

Json short_json(const ike::Failure& failure, const Diagnosis& diagnosis) {
  return {{"at", iso_time(failure.last)},
          {"first", iso_time(failure.first)},
          {"times", failure.times},
          {"tunnel", failure.tunnel.empty() ? Json(nullptr) : Json(printable(failure.tunnel))},
          {"remote", failure.remote ? Json(failure.remote->to_string()) : Json(nullptr)},
          {"event", ike::to_string(failure.event)},
          {"code", to_string(failure.error.code)},
          {"authenticated", failure.authenticated},
          {"reason", reason_row(diagnosis.reason).word},
          {"sentence", diagnosis.sentence}};
}

Json whole_json(const ike::Failure& failure, const Diagnosis& diagnosis) {
  Json json = short_json(failure, diagnosis);
  json["error"] = error_json(failure.error);
  json["error"].erase("exit");
  json["attributes"] = Json::array();
  for (const AttributeVerdict& one : diagnosis.attributes) {
    json["attributes"].push_back({{"attribute", one.attribute},
                                  {"theirs", one.theirs.empty() ? Json(nullptr) : Json(one.theirs)},
                                  {"ours", one.ours},
                                  {"verdict", one.verdict}});
  }
  json["offers"] = Json::array();
  for (const ike::ProposalComparison& one : failure.proposals) {
    json["offers"].push_back({{"theirs", printable(one.offered)},
                              {"ours", printable(one.wanted)},
                              {"differences", one.differences.size()}});
  }
  json["mend"] = {{"here", lines_json(diagnosis.here)},
                  {"ios", lines_json(diagnosis.ios)},
                  {"pix", lines_json(diagnosis.pix)},
                  {"asa", lines_json(diagnosis.asa)}};
  return json;
}

Json strangers_json(const ExplainInput& input, std::optional<WallTime> since) {
  Json json = Json::array();
  for (const ike::Failure& failure : input.failures.of_strangers()) {
    if (since && failure.last < *since) continue;
    json.push_back(short_json(failure, diagnose(failure, input.config, nullptr)));
  }
  return json;
}

bool is_up(const ike::PeerSnapshot& peer) {
  return std::all_of(peer.tunnels.begin(), peer.tunnels.end(),
                     [](const ike::TunnelSnapshot& one) { return one.state == ike::TunnelState::up; });
}

std::string_view state_of(const ike::PeerSnapshot& peer) {
  if (is_up(peer)) return "up";
  const bool any = std::any_of(peer.tunnels.begin(), peer.tunnels.end(), [](const ike::TunnelSnapshot& one) {
    return one.state == ike::TunnelState::up;
  });
  if (any) return "partly up";
  return peer.state == ike::PeerState::established  ? "phase 1 up"
         : peer.state == ike::PeerState::connecting ? "connecting"
                                                    : "down";
}

// Since when all of it is up.
Json up_since(const ExplainInput& input, const ike::PeerSnapshot& peer) {
  if (!is_up(peer)) return nullptr;
  std::optional<Instant> since;
  for (const ike::TunnelSnapshot& one : peer.tunnels) {
    if (one.up_since && (!since || *one.up_since > *since)) since = one.up_since;
  }
  if (!since) return nullptr;
  return iso_time(input.now.wall - std::chrono::floor<Seconds>(input.now.instant - *since));
}

// What has come so far of a phase 1 that has not ended, as if it had failed; nothing if `newest`, the last
// failure that is known, tells the same.
std::optional<ike::Failure> under_way(const ike::PeerSnapshot& peer, const ike::Failure* newest) {
  if (peer.state != ike::PeerState::connecting || !peer.last_error) return std::nullopt;
  const ike::LastError& last = *peer.last_error;
  const bool told = newest != nullptr && (newest->last >= last.at || newest->error.code == last.error.code);
  if (told) return std::nullopt;
  ike::Failure failure;
  failure.event = ike::EventId::phase1_failed;
  failure.first = last.at;
  failure.last = last.at;
  constexpr std::uint16_t kIsakmp = 500;
  if (peer.local) failure.local = Endpoint{*peer.local, kIsakmp};
  if (peer.remote) failure.remote = Endpoint{*peer.remote, kIsakmp};
  failure.error = last.error;
  failure.authenticated = false;
  return failure;
}

}  // namespace

Json explain_peer(const ExplainInput& input, const conf::PeerConfig& peer,
                  const ike::PeerSnapshot& snapshot) {
  Json json{{"version", kControlVersion},
            {"peer", peer.name},
            {"address", snapshot.remote ? snapshot.remote->to_string() : peer.address.to_string()},
            {"state", state_of(snapshot)},
            {"up_since", up_since(input, snapshot)},
            {"last_failure", nullptr},
            {"earlier", Json::array()}};
  std::vector<ike::Failure> failures = input.failures.of(peer.name);
  if (auto now = under_way(snapshot, failures.empty() ? nullptr : &failures.front()))
    failures.insert(failures.begin(), std::move(*now));
  for (const ike::Failure& failure : failures) {
    const Diagnosis diagnosis = diagnose(failure, input.config, &peer);
    if (json["last_failure"].is_null()) {
      json["last_failure"] = whole_json(failure, diagnosis);
    } else {
      json["earlier"].push_back(short_json(failure, diagnosis));
    }
  }
  json["unknown_callers"] = is_up(snapshot) ? Json::array() : strangers_json(input, input.now.wall - kRecent);
  return json;
}

Json explain_strangers(const ExplainInput& input) {
  return {{"version", kControlVersion}, {"unknown_callers", strangers_json(input, {})}};
}

}  // namespace oakgate::explain
