// `clear crypto` and `debug crypto` of the control protocol.
#include <fmt/format.h>

#include <algorithm>

#include "daemon/clear.h"
#include "daemon/control_verbs.h"
#include "daemon/text.h"

namespace oakgate {

Result<ControlVerbs::Called> ControlVerbs::peers_called(const std::string& text) const {
  ControlRequest named;
  named.peer = text;
  Result<void> known = check_target(named);
  if (known) return Called{{text}, {}};
  const auto address = IpAddress::parse(text);
  if (!address) return fail(known.error());
  Called called{{}, address};
  for (const ike::PeerSnapshot& peer : parts_.driver.snapshot()) {
    if (peer.remote == *address) called.names.insert(peer.name);
  }
  return called;
}

// ---- clear ---------------------------------------------------------------------------------------------

Json ControlVerbs::clear_of(const ControlRequest& request, const std::optional<IpAddress>& remote,
                            std::span<const LongAnswers::Peer> peers) {
  Json sas = Json::array();
  for (const LongAnswers::Peer& peer : peers) {
    for (const ike::PeerSnapshot& one : parts_.driver.snapshot(peer.name)) {
      Cleared cleared = cleared_by(request, remote, one, numbers_);
      for (ike::Command& command : cleared.commands) parts_.driver.on_command(std::move(command));
      for (Json& sa : cleared.sas) sas.push_back(std::move(sa));
    }
  }
  return {{"version", kControlVersion}, {"verb", to_string(request.verb)}, {"cleared", std::move(sas)}};
}

// One SA that is named: if it is not there, that is an error.
void ControlVerbs::clear_one(ClientId client, const ControlRequest& request) {
  const Json result = clear_of(request, {}, peers_meant({}));
  if (!result["cleared"].empty()) {
    server_->answer(client, answer_line(request.id, result));
    return;
  }
  const std::string what = request.sa
                               ? fmt::format("SA of {} with the SPI 0x{:08x}",
                                             request.sa->destination.to_string(), request.sa->spi.value)
                               : fmt::format("connection {}", request.connection);
  const bool isakmp = request.verb == ControlVerb::clear_isakmp;
  server_->answer(client, error_line(request.id, Error{ErrorCode::not_found,
                                                       "there is no " + what,
                                                       isakmp ? "an ISAKMP SA" : "an SA that is there",
                                                       isakmp ? "`oakgate show crypto isakmp sa` lists them"
                                                              : "`oakgate show crypto ipsec sa` lists them",
                                                       {}}));
}

void ControlVerbs::clear(ClientId client, const ControlRequest& request) {
  if (request.sa || request.connection != 0) {
    clear_one(client, request);
    return;
  }
  Result<Called> called = Called{};
  if (!request.peer.empty()) called = peers_called(request.peer);
  const std::vector<conf::PeerConfig>& configured = parts_.config().peers;
  if (called && called->address && called->names.empty() &&
      std::none_of(configured.begin(), configured.end(),
                   [&](const conf::PeerConfig& peer) { return peer.address.contains(*called->address); })) {
    called =
        fail(ErrorCode::not_found, fmt::format("no peer has the address {}", called->address->to_string()),
             "the name or the address of a peer", "`oakgate status` lists them");
  }
  if (!called) {
    server_->answer(client, error_line(request.id, called.error()));
    return;
  }
  long_answers_->begin(
      client, request.id, "cleared", peers_meant(called->address ? "" : request.peer),
      [this, request, remote = called->address](std::span<const LongAnswers::Peer> peers, bool /*last*/) {
        return clear_of(request, remote, peers);
      });
}

// The data plane goes on counting: what the `show` commands print begins anew.
void ControlVerbs::clear_counters(ClientId client, const ControlRequest& request) {
  auto counted = std::make_shared<std::map<SaId, SaCounters>>();
  long_answers_->begin(client, request.id, "cleared", peers_meant({}),
                       [this, counted](std::span<const LongAnswers::Peer> peers, bool last) {
                         const StatusInput input = status_input(peers, false);
                         for (const auto& [id, counters] : input.counters)
                           counted->insert_or_assign(id, counters);
                         if (last) cleared_counters_ = std::move(*counted);
                         return Json{{"version", kControlVersion},
                                     {"verb", to_string(ControlVerb::clear_counters)},
                                     {"cleared", Json::array()}};
                       });
}

// ---- debug ---------------------------------------------------------------------------------------------

void ControlVerbs::debug(ClientId client, const ControlRequest& request) {
  DebugStreams::Whose whose;
  whose.text = request.peer;
  if (!request.peer.empty()) {
    Result<Called> called = peers_called(request.peer);
    if (!called) {
      server_->answer(client, error_line(request.id, called.error()));
      return;
    }
    whose.peers = std::move(called->names);
    whose.address = called->address;  // perhaps no peer's: of somebody who calls in vain
  }
  const Result<void> begun = debugs_->begin(client, request.id, request.facility, std::move(whose));
  if (!begun) {
    server_->answer(client, error_line(request.id, begun.error()));
    return;
  }
  // Not the answer: that never comes, the request stays under way.
  server_->stream(client, answer_line(request.id, {{"version", kControlVersion},
                                                   {"debugging", to_string(request.facility)},
                                                   {"peer", printable(request.peer)}}));
}

void ControlVerbs::show_debug(ClientId client, const ControlRequest& request) {
  server_->answer(client, answer_line(request.id, debugs_->list()));
}

void ControlVerbs::on_line(Facility facility, LogLevel level, std::string_view text) {
  if (debugs_) debugs_->on_line(facility, level, text);
}

}  // namespace oakgate
