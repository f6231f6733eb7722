#include "daemon/capture/captures.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "daemon/capture/secret_text.h"
#include "daemon/text.h"

namespace oakgate::capture {

namespace {

Json addresses_json(const std::vector<AddressRange>& addresses) {
  Json json = Json::array();
  for (const AddressRange& range : addresses) {
    json.push_back({{"first", range.first.to_string()}, {"last", range.last.to_string()}});
  }
  return json;
}

}  // namespace

Captures::Captures(Parts parts) : parts_(std::move(parts)), timer_(parts_.loop, [this] { end_those_due(); }) {
  configure();
}

Result<void> Captures::allowed() const {
  if (parts_.config().gateway.capture == conf::CaptureChoice::off) {
    return fail(ErrorCode::not_permitted, "captures are not allowed here",
                "`capture: packets` or `capture: keys` under `gateway`",
                "add it to the configuration, `oakgate reload`, and take it away again afterwards");
  }
  if (captures_.size() == kMost)
    return fail(ErrorCode::in_use, "too many captures are under way", fmt::format("at most {}", kMost),
                "end some of them");
  return {};
}

void Captures::begin(ClientId client, const ControlRequest& request) {
  const auto credentials = parts_.server.credentials(client);
  Result<void> may = allowed();
  if (may && !credentials)
    may = fail(ErrorCode::not_permitted, "who asks for a capture is not known", "a client of this machine");
  if (!may) {
    parts_.server.answer(client, error_line(request.id, may.error()));
    return;
  }
  const Seconds time = request.seconds.value_or(kDefaultCapture);
  Capture capture{client, request.id, request.peer,
                  fmt::format("uid {}, pid {}", credentials->uid, credentials->pid)};
  capture.begun = read_clocks().instant;
  capture.end = capture.begun + time;
  std::string no_keys;
  if (!request.keys) {
    no_keys = "not asked for";
  } else if (parts_.config().gateway.capture != conf::CaptureChoice::keys) {
    no_keys = "`gateway: capture:` is `packets`";
  }
  capture.with_keys = no_keys.empty();
  capture.addresses = addresses_of(capture.peer);
  parts_.log.notice(fmt::format("[{}] capture: begun by {}, for at most {} s, {}", printable(capture.peer),
                                capture.whom, time.count(),
                                capture.with_keys ? "with keys" : "without keys: " + no_keys));
  Json begun{{"capture", "begun"},
             {"seconds", time.count()},
             {"keys", capture.with_keys},
             {"no_keys", no_keys.empty() ? Json(nullptr) : Json(no_keys)},
             {"addresses", addresses_json(capture.addresses)}};
  const Walk walk(*this);
  Capture& added = captures_.emplace_back(std::move(capture));
  parts_.server.stream(client, event_line(request.id, begun));
  if (!added.with_keys) return;
  tell_ike_keys(added);
  book_.each_of(added.peer, [&](const EspKeys& keys) { tell_esp_key(added, keys); });
}

// Where packets of the peer's can come from: where it is now, and where the configuration has it.
std::vector<AddressRange> Captures::addresses_of(const std::string& peer) const {
  std::vector<AddressRange> ranges;
  const auto add = [&](const IpAddress& first, const IpAddress& last) {
    const AddressRange range{first, last};
    if (std::find(ranges.begin(), ranges.end(), range) == ranges.end()) ranges.push_back(range);
  };
  for (const conf::PeerConfig& configured : parts_.config().peers) {
    if (configured.name != peer) continue;
    using Kind = conf::PeerAddress::Kind;
    if (configured.address.kind == Kind::address || configured.address.kind == Kind::range)
      add(configured.address.first, configured.address.last);
  }
  for (const ike::PeerSnapshot& shot : parts_.snapshot(peer)) {
    if (shot.remote) add(*shot.remote, *shot.remote);
    for (const ike::IkeSaSnapshot& sa : shot.isakmp_sas) add(sa.remote.address, sa.remote.address);
    for (const ike::TunnelSnapshot& tunnel : shot.tunnels) {
      for (const ike::SaPairSnapshot& pair : tunnel.sas) add(pair.remote_gateway, pair.remote_gateway);
    }
  }
  return ranges;
}

void Captures::tell_line(const Capture& capture, std::string_view table, const SecretBytes& line) {
  if (capture.over) return;
  SecretText json(2048);
  json.add(fmt::format("{{\"id\":{},\"event\":{{\"table\":\"{}\",\"line\":\"", capture.request, table));
  // Its line breaks go: JSON would have to escape them.
  ByteView rest = line.view();
  bool first = true;
  while (!rest.empty()) {
    const auto end = std::find(rest.begin(), rest.end(), std::uint8_t{'\n'});
    const auto length = static_cast<std::size_t>(end - rest.begin());
    if (!first) json.add("\\n");
    json.add_quoted(rest.first(length));
    rest = rest.subspan(std::min(length + 1, rest.size()));
    first = false;
  }
  json.add("\"}}\n");
  parts_.server.stream_secret(capture.client, json.take());
}

void Captures::tell_ike_keys(Capture& capture) {
  for (const ike::DecryptionKey& key : parts_.keys(capture.peer)) {
    const bool over = !key.last_phase1_block.empty();
    // The capture has a phase 1 itself whose keys were told before its end.
    if (capture.told.contains({key.cookies, true}) || capture.told.contains({key.cookies, over})) continue;
    if (over && capture.told.contains({key.cookies, false})) continue;
    capture.told.emplace(key.cookies, over);
    ++capture.ike_keys;
    tell_line(capture, kIkeTable, ike_lines(key));
  }
}

void Captures::tell_esp_key(Capture& capture, const EspKeys& keys) {
  const auto line = esp_line(keys);
  if (!line) return;
  ++capture.esp_keys;
  tell_line(capture, kEspTable, *line);
}

void Captures::installed(std::span<const SaSpec> sas, const std::string& peer) {
  const Walk walk(*this);
  book_.installed(sas, peer, [&](const EspKeys& keys) {
    for (Capture& capture : captures_) {
      if (capture.with_keys && capture.peer == peer) tell_esp_key(capture, keys);
    }
  });
}

void Captures::moved(std::span<const SaMove> sas) {
  const Walk walk(*this);
  book_.moved(sas, [&](const std::string& peer, const EspKeys& keys) {
    for (Capture& capture : captures_) {
      if (capture.with_keys && capture.peer == peer) tell_esp_key(capture, keys);
    }
  });
}

void Captures::gone(std::span<const SaId> sas) {
  book_.gone(sas);
}

void Captures::core_worked() {
  if (captures_.empty()) return;
  const Walk walk(*this);
  for (Capture& capture : captures_) {
    if (capture.with_keys) tell_ike_keys(capture);
    if (capture.over) continue;
    std::vector<AddressRange> now = addresses_of(capture.peer);
    if (now == capture.addresses) continue;
    // Where it was before it may still send from.
    for (const AddressRange& range : capture.addresses) {
      if (std::find(now.begin(), now.end(), range) == now.end()) now.push_back(range);
    }
    if (now.size() == capture.addresses.size() || now.size() > kMaxAddresses) continue;
    capture.addresses = std::move(now);
    parts_.server.stream(capture.client,
                         event_line(capture.request, {{"addresses", addresses_json(capture.addresses)}}));
  }
}

void Captures::end(Capture& capture, const std::string& why, bool answer) {
  if (std::exchange(capture.over, true)) return;
  const auto took = std::chrono::duration_cast<Seconds>(read_clocks().instant - capture.begun);
  parts_.log.notice(fmt::format(
      "[{}] capture: of {} ended after {} s: {}; {} ISAKMP and {} ESP keys were given",
      printable(capture.peer), capture.whom, took.count(), why, capture.ike_keys, capture.esp_keys));
  if (!answer) return;
  parts_.server.answer(capture.client, answer_line(capture.request, {{"version", kControlVersion},
                                                                     {"peer", capture.peer},
                                                                     {"ended", why},
                                                                     {"isakmp_keys", capture.ike_keys},
                                                                     {"esp_keys", capture.esp_keys}}));
}

void Captures::client_gone(ClientId client) {
  const Walk walk(*this);
  for (Capture& capture : captures_) {
    if (capture.client == client) end(capture, "its client has ended it", false);
  }
}

void Captures::configure() {
  const conf::CaptureChoice choice = parts_.config().gateway.capture;
  book_.remember(choice == conf::CaptureChoice::keys);
  const auto stays = [&](const Capture& capture) {
    const auto& peers = parts_.config().peers;
    const bool known = std::any_of(peers.begin(), peers.end(),
                                   [&](const conf::PeerConfig& peer) { return peer.name == capture.peer; });
    return known && (choice == conf::CaptureChoice::keys ||
                     (choice == conf::CaptureChoice::packets && !capture.with_keys));
  };
  const Walk walk(*this);
  for (Capture& capture : captures_) {
    if (!stays(capture)) end(capture, "the configuration does not allow it any more", true);
  }
}

void Captures::end_those_due() {
  const Walk walk(*this);
  const Instant now = read_clocks().instant;
  for (Capture& capture : captures_) {
    if (capture.end <= now) end(capture, "its time is over", true);
  }
}

void Captures::sweep() {
  std::erase_if(captures_, [](const Capture& one) { return one.over; });
  if (captures_.empty()) {
    timer_.disarm();
    return;
  }
  const auto first = std::min_element(captures_.begin(), captures_.end(),
                                      [](const Capture& a, const Capture& b) { return a.end < b.end; });
  timer_.arm(std::max(Milliseconds(1), first->end - read_clocks().instant));
}

}  // namespace oakgate::capture
