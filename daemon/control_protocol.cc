#include "daemon/control_protocol.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <utility>

#include "daemon/text.h"

namespace oakgate {

namespace {

struct VerbRow {
  ControlVerb verb;
  std::string_view name;
  Right right;
  bool needs_peer = false;
  bool needs_trustpoint = false;
};
constexpr std::size_t kMaxStagedName = 128;

constexpr std::array kVerbs{
    VerbRow{ControlVerb::status, "status", Right::look},
    VerbRow{ControlVerb::up, "up", Right::change, true},
    VerbRow{ControlVerb::down, "down", Right::change, true},
    VerbRow{ControlVerb::reload, "reload", Right::change},
    VerbRow{ControlVerb::monitor, "monitor", Right::look},
    VerbRow{ControlVerb::show_isakmp_sa, "show crypto isakmp sa", Right::look},
    VerbRow{ControlVerb::show_ipsec_sa, "show crypto ipsec sa", Right::look},
    VerbRow{ControlVerb::show_crypto_engine, "show crypto engine configuration", Right::look},
    VerbRow{ControlVerb::show_dropped_packets, "show crypto engine connections dropped-packet", Right::look},
    VerbRow{ControlVerb::refresh_keys, "pki refresh", Right::change},
    VerbRow{ControlVerb::request_crls, "pki crl request", Right::change, false, true},
    VerbRow{ControlVerb::confirm, "confirm", Right::change},
    VerbRow{ControlVerb::show_running_config, "show running-config", Right::look},
    VerbRow{ControlVerb::explain, "explain", Right::look},
    VerbRow{ControlVerb::capture, "capture", Right::change, true},
    VerbRow{ControlVerb::check, "check", Right::change},
    VerbRow{ControlVerb::clear_sas, "clear crypto sa", Right::change},
    VerbRow{ControlVerb::clear_counters, "clear crypto sa counters", Right::change},
    VerbRow{ControlVerb::clear_isakmp, "clear crypto isakmp", Right::change},
    VerbRow{ControlVerb::clear_connection, "clear crypto connection", Right::change},
    VerbRow{ControlVerb::debug, "debug crypto", Right::look},
    VerbRow{ControlVerb::show_debug, "show debugging", Right::look},
};

tl::unexpected<BadRequest> bad(std::uint64_t id, std::string text, std::string expected) {
  return tl::unexpected<BadRequest>(BadRequest{
      id, Error{ErrorCode::malformed, std::move(text), std::move(expected), "see oakgate-control(7)", {}}});
}

const VerbRow* find_verb(std::string_view name) {
  for (const VerbRow& row : kVerbs) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

// Those that `right` suffices for.
std::string verb_names(Right right) {
  std::string names;
  for (const VerbRow& row : kVerbs) {
    if (row.right > right) continue;
    names += fmt::format("{}\"{}\"", names.empty() ? "" : ", ", row.name);
  }
  return names;
}

// A member that may be absent; false if it is there with another type or too long.
bool read_text(const Json& json, const char* name, std::string& out) {
  const auto found = json.find(name);
  if (found == json.end()) return true;
  if (!found->is_string()) return false;
  out = found->get<std::string>();
  return out.size() <= kMaxTarget;
}

bool read_flag(const Json& json, const char* name, bool& out) {
  const auto found = json.find(name);
  if (found == json.end()) return true;
  if (!found->is_boolean()) return false;
  out = found->get<bool>();
  return true;
}

bool read_seconds(const Json& json, const char* name, Seconds min, Seconds max, std::optional<Seconds>& out) {
  const auto found = json.find(name);
  if (found == json.end()) return true;
  if (!found->is_number_unsigned()) return false;
  const auto seconds = found->get<std::uint64_t>();
  if (seconds < static_cast<std::uint64_t>(min.count()) ||
      seconds > static_cast<std::uint64_t>(max.count())) {
    return false;
  }
  out = Seconds(static_cast<std::int64_t>(seconds));
  return true;
}

constexpr std::array kProtocols{std::pair{std::string_view("esp"), IpsecProtocol::esp},
                                std::pair{std::string_view("ah"), IpsecProtocol::ah},
                                std::pair{std::string_view("pcp"), IpsecProtocol::comp}};

// {"destination", "protocol", "spi"}: all of them, or the member is not there.
bool read_sa(const Json& json, std::optional<SaId>& out) {
  const auto found = json.find("sa");
  if (found == json.end()) return true;
  std::string destination;
  std::string protocol;
  if (!found->is_object() || !read_text(*found, "destination", destination) ||
      !read_text(*found, "protocol", protocol))
    return false;
  const auto address = IpAddress::parse(destination);
  const auto* const known = std::find_if(kProtocols.begin(), kProtocols.end(),
                                         [&](const auto& one) { return one.first == protocol; });
  const auto spi = found->find("spi");
  if (!address || known == kProtocols.end() || spi == found->end() || !spi->is_number_unsigned() ||
      spi->get<std::uint64_t>() > std::numeric_limits<std::uint32_t>::max()) {
    return false;
  }
  out = SaId{*address, known->second, Spi{spi->get<std::uint32_t>()}};
  return true;
}

bool read_connection(const Json& json, std::uint32_t& out) {
  const auto found = json.find("connection");
  if (found == json.end()) return true;
  if (!found->is_number_unsigned()) return false;
  const auto number = found->get<std::uint64_t>();
  if (number == 0 || number > kMaxConnection) return false;
  out = static_cast<std::uint32_t>(number);
  return true;
}

// What some verbs take and others do not; none: nothing is wrong with it.
std::optional<std::string> read_particulars(const Json& json, ControlRequest& request,
                                            std::string& expected) {
  if (!read_sa(json, request.sa)) {
    expected =
        "an object of \"destination\" (an address), \"protocol\" (esp, ah or pcp) and \"spi\" (a number)";
    return "\"sa\" is not an SA";
  }
  if (!read_connection(json, request.connection)) {
    expected = fmt::format("from 1 to {}", kMaxConnection);
    return "\"connection\" is not the number of an SA";
  }
  if (request.verb == ControlVerb::clear_connection && request.connection == 0) {
    expected = "\"connection\": its number";
    return fmt::format("\"{}\" does not say which SA", to_string(request.verb));
  }
  if (request.verb != ControlVerb::debug) return std::nullopt;
  std::string facility;
  const bool text = read_text(json, "facility", facility);
  const auto known = find_facility(facility);
  if (!text || !known) {
    expected = "\"facility\": one of " + facility_names();
    return fmt::format("\"{}\" does not say what", to_string(request.verb));
  }
  request.facility = *known;
  return std::nullopt;
}

}  // namespace

std::string_view to_string(ControlVerb verb) {
  return kVerbs[static_cast<std::size_t>(verb)].name;
}

Right right_for(ControlVerb verb) {
  return kVerbs[static_cast<std::size_t>(verb)].right;
}

Error only_looks(ControlVerb verb) {
  return {ErrorCode::not_permitted,
          fmt::format("\"{}\" is not for you: you may look, and change nothing", to_string(verb)),
          "one of " + verb_names(Right::look),
          "ask as root, with sudo; or be one of `change` under `ssh` in oakgate.yaml",
          {}};
}

bool is_staged_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxStagedName && name.front() != '.' && name.front() != '-' &&
         std::all_of(name.begin(), name.end(), [](char c) { return c > 0x20 && c < 0x7f && c != '/'; });
}

Exit exit_for(ErrorCode code) {
  switch (code) {
    case ErrorCode::not_found:
      return Exit::not_found;
    case ErrorCode::configuration:
      return Exit::configuration;
    case ErrorCode::malformed:
      return Exit::usage;
    default:
      return Exit::failed;
  }
}

tl::expected<ControlRequest, BadRequest> parse_request(std::string_view line) {
  if (line.size() > kMaxRequestLine) {
    return bad(0, "the line is too long", fmt::format("at most {} bytes", kMaxRequestLine));
  }
  const Json json = Json::parse(line, nullptr, false);
  if (!json.is_object()) return bad(0, "the line is not a JSON object", "one request a line");

  ControlRequest request;
  const auto id = json.find("id");
  if (id == json.end() || !id->is_number_unsigned()) {
    return bad(0, "the request has no id", "\"id\": a number the answer repeats");
  }
  request.id = id->get<std::uint64_t>();
  const auto version = json.find("version");
  if (version == json.end() || !version->is_number_integer() || *version != kControlVersion) {
    return bad(request.id, "the request is not of this protocol's version",
               fmt::format("\"version\": {}", kControlVersion));
  }
  const auto verb = json.find("verb");
  const VerbRow* row =
      verb != json.end() && verb->is_string() ? find_verb(verb->get_ref<const std::string&>()) : nullptr;
  if (row == nullptr)
    return bad(request.id, "the request has no known verb", "one of " + verb_names(Right::change));
  request.verb = row->verb;
  if (!read_text(json, "peer", request.peer) || !read_text(json, "tunnel", request.tunnel) ||
      !read_text(json, "trustpoint", request.trustpoint)) {
    return bad(request.id, "\"peer\", \"tunnel\" or \"trustpoint\" is not a name",
               fmt::format("a string of at most {} bytes", kMaxTarget));
  }
  if (!read_flag(json, "detail", request.detail) || !read_flag(json, "progress", request.progress) ||
      !read_flag(json, "keys", request.keys)) {
    return bad(request.id, "\"detail\", \"progress\" or \"keys\" is not a truth value", "true or false");
  }
  if (!read_seconds(json, "seconds", Seconds(1), kMaxCapture, request.seconds)) {
    return bad(request.id, "\"seconds\" is not a time", fmt::format("from 1 to {}", kMaxCapture.count()));
  }
  if (!read_text(json, "file", request.file) || (json.contains("file") && !is_staged_name(request.file))) {
    return bad(request.id, "\"file\" is not a file that has come in",
               "the name of a file in the folder `incoming`, without a path");
  }
  if (!read_seconds(json, "confirm", kMinConfirm, kMaxConfirm, request.confirm)) {
    return bad(request.id, "\"confirm\" is not a time",
               fmt::format("seconds, from {} to {}", kMinConfirm.count(), kMaxConfirm.count()));
  }
  std::string expected;
  if (auto wrong = read_particulars(json, request, expected))
    return bad(request.id, std::move(*wrong), std::move(expected));
  if (request.peer.empty() && (row->needs_peer || !request.tunnel.empty())) {
    return bad(request.id, fmt::format("\"{}\" does not say which peer", row->name), "\"peer\": its name");
  }
  if (request.trustpoint.empty() && row->needs_trustpoint) {
    return bad(request.id, fmt::format("\"{}\" does not say which trustpoint", row->name),
               "\"trustpoint\": its name");
  }
  return request;
}

Json request_json(const ControlRequest& request) {
  Json json{{"id", request.id}, {"version", kControlVersion}, {"verb", to_string(request.verb)}};
  if (!request.peer.empty()) json["peer"] = request.peer;
  if (!request.tunnel.empty()) json["tunnel"] = request.tunnel;
  if (!request.trustpoint.empty()) json["trustpoint"] = request.trustpoint;
  if (!request.file.empty()) json["file"] = request.file;
  if (request.detail) json["detail"] = true;
  if (request.progress) json["progress"] = true;
  if (request.confirm) json["confirm"] = request.confirm->count();
  if (request.seconds) json["seconds"] = request.seconds->count();
  if (request.keys) json["keys"] = true;
  if (request.sa) {
    const auto* const protocol = std::find_if(kProtocols.begin(), kProtocols.end(), [&](const auto& one) {
      return one.second == request.sa->protocol;
    });
    json["sa"] = {{"destination", request.sa->destination.to_string()},
                  {"protocol", protocol->first},
                  {"spi", request.sa->spi.value}};
  }
  if (request.connection != 0) json["connection"] = request.connection;
  if (request.verb == ControlVerb::debug) json["facility"] = to_string(request.facility);
  return json;
}

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string answer_line(std::uint64_t id, const Json& result) {
  return dump({{"id", id}, {"ok", true}, {"result", result}});
}

std::string answer_line_of_text(std::uint64_t id, std::string_view result) {
  return fmt::format("{{\"id\":{},\"ok\":true,\"result\":{}}}", id, result);
}

std::string error_line(std::uint64_t id, const Error& error, const Json& more) {
  Json json = error_json(error);
  if (more.is_object()) json.update(more);
  return dump({{"id", id}, {"ok", false}, {"error", json}});
}

std::string event_line(std::uint64_t id, const Json& event) {
  return dump({{"id", id}, {"event", event}});
}

Json error_json(const Error& error) {
  return {{"code", to_string(error.code)},
          {"text", printable(error.text, 1024)},
          {"expected", printable(error.expected, 1024)},
          {"remedy", printable(error.remedy, 1024)},
          {"exit", static_cast<int>(exit_for(error.code))}};
}

}  // namespace oakgate
