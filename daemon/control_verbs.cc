#include "daemon/control_verbs.h"

#include <fmt/format.h>

#include <algorithm>

#include "daemon/explain/explain_json.h"
#include "daemon/issue_json.h"
#include "daemon/text.h"
#include "daemon/wiring.h"
#include "ike/crypto/dh.h"
#include "xfrm/soft/crypto_engines.h"

namespace oakgate {

namespace {

constexpr std::size_t kNamedInErrors = 20;

template <typename Items>
std::string names_of(const Items& items) {
  std::string names;
  std::size_t count = 0;
  for (const auto& item : items) {
    if (count++ == kNamedInErrors) return names + ", ...";
    names += (names.empty() ? "" : ", ") + printable(item.name);
  }
  return names.empty() ? "none" : names;
}

Json tunnel_states(const std::vector<ike::PeerSnapshot>& peers, const std::string& tunnel,
                   const StatusInput& input) {
  Json states = Json::array();
  const Json status = status_json(input, false);
  if (peers.empty()) return states;
  for (const Json& entry : status["peers"][0]["tunnels"]) {
    if (tunnel.empty() || entry["name"] == tunnel) {
      states.push_back({{"name", entry["name"]}, {"state", entry["state"]}});
    }
  }
  return states;
}

std::vector<soft::CryptoEngine> crypto_engines_of(std::string_view plane) {
  if (plane == "kernel") return {{"all", "the kernel's", "the data plane is the kernel's: see /proc/crypto"}};
  return soft::crypto_engines();
}

}  // namespace

const std::map<ControlVerb, ControlVerbs::Verb>& ControlVerbs::verbs() {
  static const std::map<ControlVerb, Verb> table{
      {ControlVerb::status, &ControlVerbs::status},
      {ControlVerb::up, &ControlVerbs::up_or_down},
      {ControlVerb::down, &ControlVerbs::up_or_down},
      {ControlVerb::reload, &ControlVerbs::reload},
      {ControlVerb::monitor, &ControlVerbs::monitor},
      {ControlVerb::show_isakmp_sa, &ControlVerbs::show},
      {ControlVerb::show_ipsec_sa, &ControlVerbs::show},
      {ControlVerb::show_crypto_engine, &ControlVerbs::show_engine},
      {ControlVerb::show_dropped_packets, &ControlVerbs::show_drops},
      {ControlVerb::refresh_keys, &ControlVerbs::reload},
      {ControlVerb::request_crls, &ControlVerbs::request_crls},
      {ControlVerb::confirm, &ControlVerbs::confirm},
      {ControlVerb::show_running_config, &ControlVerbs::show_running_config},
      {ControlVerb::check, &ControlVerbs::check},
      {ControlVerb::explain, &ControlVerbs::explain},
      {ControlVerb::capture, &ControlVerbs::begin_capture},
      {ControlVerb::clear_sas, &ControlVerbs::clear},
      {ControlVerb::clear_counters, &ControlVerbs::clear_counters},
      {ControlVerb::clear_isakmp, &ControlVerbs::clear},
      {ControlVerb::clear_connection, &ControlVerbs::clear},
      {ControlVerb::debug, &ControlVerbs::debug},
      {ControlVerb::show_debug, &ControlVerbs::show_debug}};
  return table;
}

void ControlVerbs::on_request(ClientId client, const ControlRequest& request) {
  // Of these the peer may be an address.
  const bool called = request.verb == ControlVerb::debug || request.verb == ControlVerb::clear_sas ||
                      request.verb == ControlVerb::clear_isakmp;
  const bool named = !called || !request.tunnel.empty();
  const Result<void> known = named ? check_target(request) : Result<void>{};
  if (!known) {
    server_->answer(client, error_line(request.id, known.error()));
    return;
  }
  (this->*verbs().at(request.verb))(client, request);
}

void ControlVerbs::on_gone(ClientId client) {
  long_answers_->forget(client);
  if (parts_.captures != nullptr) parts_.captures->client_gone(client);
  debugs_->forget(client);
  std::erase_if(waiting_, [&](const auto& entry) { return entry.second.client == client; });
  std::erase_if(waiting_for_crls_, [&](const auto& entry) { return entry.second.client == client; });
  std::erase_if(monitors_, [&](const auto& entry) { return entry.first == client; });
}

Result<void> ControlVerbs::check_target(const ControlRequest& request) const {
  if (request.peer.empty()) return {};
  const std::vector<conf::PeerConfig>& peers = parts_.config().peers;
  for (const conf::PeerConfig& peer : peers) {
    if (peer.name != request.peer) continue;
    if (request.tunnel.empty()) return {};
    for (const conf::TunnelConfig& tunnel : peer.tunnels) {
      if (tunnel.name == request.tunnel) return {};
    }
    return fail(ErrorCode::not_found,
                fmt::format("peer {} has no tunnel {}", printable(peer.name), printable(request.tunnel)),
                "one of: " + names_of(peer.tunnels), "`oakgate status` lists them");
  }
  return fail(ErrorCode::not_found, fmt::format("there is no peer {}", printable(request.peer)),
              "one of: " + names_of(peers), "`oakgate status` lists them");
}

std::vector<LongAnswers::Peer> ControlVerbs::peers_meant(const std::string& name) const {
  std::vector<LongAnswers::Peer> meant;
  for (const conf::PeerConfig& configured : parts_.config().peers) {
    if (name.empty() || configured.name == name)
      meant.push_back({configured.name, configured.address.to_string()});
  }
  return meant;
}

StatusInput ControlVerbs::status_input(std::span<const LongAnswers::Peer> peers, bool whole) const {
  StatusInput input;
  const conf::Config& config = parts_.config();
  input.gateway = gateway_name(config);
  input.data_plane = std::string(parts_.plane.name());
  for (const LongAnswers::Peer& peer : peers) {
    // None of that name: a reload has removed it meanwhile.
    for (ike::PeerSnapshot& one : parts_.driver.snapshot(peer.name)) input.peers.push_back(std::move(one));
    input.addresses.emplace(peer.name, peer.address);
  }
  const std::vector<SaId> ids = sa_ids(input.peers);
  // Without counters the rest is still worth showing.
  if (const auto counters = parts_.plane.counters(ids)) {
    for (const SaCounters& one : *counters) input.counters.emplace(one.id, one);
  }
  input.cleared = &cleared_counters_;
  input.now = read_clocks();
  if (!whole) return input;
  if (const auto drops = parts_.plane.drops()) input.drops = *drops;
  if (parts_.confirm_within) input.confirm_within = parts_.confirm_within();
  if (parts_.own_certificates) input.own_certificates = parts_.own_certificates();
  for (const TrustpointConfig& trustpoint : config.trustpoints) {
    const WeakWaiver& waiver = trustpoint.allow_weak;
    if (!waiver.algorithms.empty())
      input.trustpoint_waivers.push_back({trustpoint.name, {waiver.algorithms, waiver.until, waiver.reason}});
  }
  return input;
}

void ControlVerbs::status(ClientId client, const ControlRequest& request) {
  long_answers_->begin(client, request.id, "peers", peers_meant(request.peer),
                       [this, detail = request.detail](std::span<const LongAnswers::Peer> peers, bool last) {
                         return status_json(status_input(peers, last), detail);
                       });
}

void ControlVerbs::show(ClientId client, const ControlRequest& request) {
  const bool isakmp = request.verb == ControlVerb::show_isakmp_sa;
  long_answers_->begin(client, request.id, isakmp ? "isakmp_sas" : "idents", peers_meant(request.peer),
                       [this, isakmp](std::span<const LongAnswers::Peer> peers, bool last) {
                         const StatusInput input = status_input(peers, last);
                         return isakmp ? isakmp_sa_json(input, numbers_) : ipsec_sa_json(input, numbers_);
                       });
}

void ControlVerbs::show_engine(ClientId client, const ControlRequest& request) {
  Json json{{"version", kControlVersion},
            {"gateway", gateway_name(parts_.config())},
            {"data_plane", std::string(parts_.plane.name())},
            {"workers", parts_.plane.workers()},
            {"engines", Json::array()}};
  for (const auto& engine : crypto_engines_of(parts_.plane.name())) {
    json["engines"].push_back(
        {{"algorithms", engine.algorithms}, {"name", engine.name}, {"why", engine.why}});
  }
  const bool batched = parts_.config().gateway.diffie_hellman == conf::DhChoice::batched;
  const crypto::DhMeans means = crypto::dh_means(batched);
  json["engines"].push_back({{"algorithms", "Diffie-Hellman of MODP groups"},
                             {"type", "IKE"},
                             {"name", means.name},
                             {"why", means.why}});
  server_->answer(client, answer_line(request.id, json));
}

void ControlVerbs::show_drops(ClientId client, const ControlRequest& request) {
  const Result<DropCounts> drops = parts_.plane.drops();
  server_->answer(client, drops ? answer_line(request.id, dropped_packets_json(
                                                              status_input(peers_meant({}), false), *drops))
                                : error_line(request.id, drops.error()));
}

void ControlVerbs::explain(ClientId client, const ControlRequest& request) {
  const conf::Config& config = parts_.config();
  const explain::ExplainInput input{config, *parts_.failures, read_clocks()};
  if (request.peer.empty()) {
    server_->answer(client, answer_line(request.id, explain::explain_strangers(input)));
    return;
  }
  const auto peer = std::find_if(config.peers.begin(), config.peers.end(),
                                 [&](const conf::PeerConfig& one) { return one.name == request.peer; });
  const std::vector<ike::PeerSnapshot> shots = parts_.driver.snapshot(request.peer);
  const ike::PeerSnapshot none;
  server_->answer(client, answer_line(request.id, explain::explain_peer(
                                                      input, *peer, shots.empty() ? none : shots.front())));
}

void ControlVerbs::begin_capture(ClientId client, const ControlRequest& request) {
  parts_.captures->begin(client, request);
}

void ControlVerbs::request_crls(ClientId client, const ControlRequest& request) {
  const conf::Config& config = parts_.config();
  Result<void> asked =
      fail(ErrorCode::not_found, fmt::format("there is no trustpoint {}", printable(request.trustpoint)),
           "one of: " + names_of(config.trustpoints), "`oakgate pki show trustpoints` lists them");
  const std::uint64_t number = next_command_++;
  if (conf::find_trustpoint(config, request.trustpoint) != nullptr) {
    asked = parts_.request_lists(
        request.trustpoint, [this, number](const Revocation::Requested& lists) { crls_came(number, lists); });
  }
  if (asked) {
    waiting_for_crls_.emplace(number, Waiting{client, request});
  } else {
    server_->answer(client, error_line(request.id, asked.error()));
  }
}

void ControlVerbs::crls_came(std::uint64_t number, const Revocation::Requested& lists) {
  const auto found = waiting_for_crls_.find(number);
  if (found == waiting_for_crls_.end()) return;
  const Waiting waiting = std::move(found->second);
  waiting_for_crls_.erase(found);
  Json json{
      {"version", kControlVersion}, {"trustpoint", waiting.request.trustpoint}, {"lists", Json::array()}};
  const Error* failed = nullptr;
  bool came = false;
  for (const auto& [source, outcome] : lists) {
    json["lists"].push_back({{"url", printable(source.url, 1024)},
                             {"new", outcome.fresh},
                             {"error", outcome.error ? error_json(*outcome.error) : Json(nullptr)}});
    came = came || !outcome.error;
    if (outcome.error && failed == nullptr) failed = &*outcome.error;
  }
  if (came || failed == nullptr) {
    server_->answer(waiting.client, answer_line(waiting.request.id, json));
  } else {
    server_->answer(waiting.client, error_line(waiting.request.id, *failed, {{"lists", json["lists"]}}));
  }
}

void ControlVerbs::up_or_down(ClientId client, const ControlRequest& request) {
  const ike::CommandId id{next_command_++};
  waiting_.emplace(id, Waiting{client, request});
  if (request.verb == ControlVerb::up) {
    parts_.driver.on_command(ike::Up{id, request.peer, request.tunnel});
  } else {
    parts_.driver.on_command(ike::Down{id, request.peer, request.tunnel});
  }
}

void ControlVerbs::reload(ClientId client, const ControlRequest& request) {
  const ReloadOutcome outcome = request.verb == ControlVerb::refresh_keys ? parts_.refresh_keys()
                                : request.file.empty()                    ? parts_.reload(request.confirm)
                                                       : parts_.reload_staged(request.file, request.confirm);
  if (outcome.issues.empty() && !outcome.error) {
    Json json{{"version", kControlVersion}, {"reloaded", true}, {"needs_restart", outcome.needs_restart}};
    if (request.confirm) json["confirm_within_s"] = request.confirm->count();
    server_->answer(client, answer_line(request.id, json));
    return;
  }
  const Error error =
      outcome.error.value_or(Error{ErrorCode::configuration,
                                   fmt::format("the new configuration has {} error{}; the old one stays",
                                               outcome.issues.size(), outcome.issues.size() == 1 ? "" : "s"),
                                   "a configuration without errors",
                                   "mend it, look at it with `oakgate check`, and reload again",
                                   {}});
  Json more;
  more["issues"] = issues_json(outcome.issues);
  server_->answer(client, error_line(request.id, error, more));
}

// `composed`, so that whoever asks can compare it with what runs: it holds no secret.
void ControlVerbs::check(ClientId client, const ControlRequest& request) {
  if (request.file.empty()) {
    server_->answer(client, error_line(request.id, {ErrorCode::malformed,
                                                    "\"check\" does not say which file",
                                                    "\"file\": its name",
                                                    "`oakgate check FILE` reads any other file itself",
                                                    {}}));
    return;
  }
  const Result<conf::LoadOutcome> loaded = parts_.load_staged(request.file);
  if (!loaded) {
    server_->answer(client, error_line(request.id, loaded.error()));
    return;
  }
  Json json{{"version", kControlVersion}, {"file", request.file}, {"valid", loaded->config.has_value()}};
  if (loaded->config) json["peers"] = loaded->config->peers.size();
  json["issues"] = issues_json(loaded->issues);
  json["warnings"] = issues_json(loaded->warnings);
  json["composed"] = loaded->composed;
  server_->answer(client, answer_line(request.id, json));
}

void ControlVerbs::confirm(ClientId client, const ControlRequest& request) {
  const Result<void> confirmed = parts_.confirm();
  server_->answer(client, confirmed
                              ? answer_line(request.id, {{"version", kControlVersion}, {"confirmed", true}})
                              : error_line(request.id, confirmed.error()));
}

void ControlVerbs::show_running_config(ClientId client, const ControlRequest& request) {
  const Result<std::string> text = parts_.running_config();
  server_->answer(client, text ? answer_line(request.id, {{"version", kControlVersion}, {"text", *text}})
                               : error_line(request.id, text.error()));
}

void ControlVerbs::monitor(ClientId client, const ControlRequest& request) {
  monitors_.emplace(client, request.id);
  // Not the answer: that never comes, the request stays under way.
  server_->stream(client, answer_line(request.id, {{"version", kControlVersion}, {"monitoring", true}}));
}

void ControlVerbs::on_event(const ike::Event& event, WallTime at) {
  if (server_ == nullptr || (monitors_.empty() && waiting_.empty() && debugs_->none())) return;
  const Json json = event_json(event, at);
  if (!debugs_->none()) {
    // Before the responder's cookie is known it is not yet the SA that gets a number.
    const bool whole = event.cookies && event.cookies->responder != Cookie{};
    debugs_->on_event(event, json, whole ? numbers_.number(connection_name(*event.cookies)) : 0);
  }
  // A client that lags is dropped, which changes the sets.
  const auto monitors = monitors_;
  for (const auto& [client, request] : monitors) server_->stream(client, event_line(request, json));
  std::vector<Waiting> interested;
  for (const auto& [id, waiting] : waiting_) {
    if (waiting.request.progress && waiting.request.peer == event.peer) interested.push_back(waiting);
  }
  for (const Waiting& waiting : interested) {
    server_->stream(waiting.client, event_line(waiting.request.id, json));
  }
}

bool ControlVerbs::on_outcome(ike::CommandId id, const Result<void>& result) {
  const auto found = waiting_.find(id);
  if (found == waiting_.end()) return false;
  const Waiting waiting = std::move(found->second);
  waiting_.erase(found);
  const ControlRequest& request = waiting.request;
  if (!result) {
    server_->answer(waiting.client, error_line(request.id, result.error()));
    return true;
  }
  const StatusInput input = status_input(peers_meant(request.peer), false);
  server_->answer(waiting.client,
                  answer_line(request.id, {{"version", kControlVersion},
                                           {"verb", to_string(request.verb)},
                                           {"peer", request.peer},
                                           {"tunnels", tunnel_states(input.peers, request.tunnel, input)}}));
  return true;
}

}  // namespace oakgate
