#include "daemon/event_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "daemon/messages.h"
#include "daemon/text.h"

namespace oakgate {

namespace {

using ike::Event;
using ike::EventId;

// The phrases operators search for are IOS's own ("atts are acceptable", "%CRYPTO-6-IKMP_MODE_FAILURE"): they
// stay as they are.
// In the order of EventId, a table for each of its sections.
constexpr std::array kPhase1{
    EventRow{EventId::phase1_started, LogLevel::info,
             "ISAKMP: beginning {exchange} exchange with {remote} as {role}"},
    EventRow{EventId::phase1_policy_chosen, LogLevel::info,
             "ISAKMP: atts are acceptable: {policy}, lifetime {lifetime} s"},
    EventRow{EventId::phase1_no_policy, LogLevel::warning,
             "ISAKMP: atts are not acceptable, no offers accepted from {address}"},
    EventRow{EventId::phase1_authenticated, LogLevel::info,
             "ISAKMP: SA has been authenticated with {address}, who is {identity}"},
    EventRow{
        EventId::phase1_established, LogLevel::notice,
        "ISAKMP: SA is up (QM_IDLE) with {remote} as {role}: {policy}, lifetime {lifetime} s, NAT {nat}"},
    EventRow{EventId::phase1_failed, LogLevel::warning,
             "%CRYPTO-6-IKMP_MODE_FAILURE: Processing of {mode} failed with peer at {address}"},
    EventRow{EventId::phase1_deleted, LogLevel::notice,
             "ISAKMP: deleting SA with {remote}, by {by}, reason \"{reason}\""},
    EventRow{EventId::phase1_rekeying, LogLevel::info, "ISAKMP: renewing the SA with {remote}"},
    EventRow{EventId::phase1_expired, LogLevel::notice, "ISAKMP: the SA with {remote} has expired"},
};
constexpr std::array kPhase2{
    EventRow{EventId::phase2_started, LogLevel::info,
             "ISAKMP: beginning Quick Mode exchange with {remote} for {selectors}"},
    EventRow{EventId::phase2_established, LogLevel::notice,
             "IPSEC: SAs are up for {selectors} as {role}: {algorithms}, spi in {spi_in}, out {spi_out}, "
             "lifetime {lifetime} s"},
    EventRow{EventId::phase2_failed, LogLevel::warning,
             "%CRYPTO-6-IKMP_MODE_FAILURE: Processing of Quick mode failed with peer at {address} for "
             "{selectors}"},
    EventRow{EventId::phase2_no_proposal, LogLevel::warning,
             "ISAKMP: atts are not acceptable, SA not acceptable! for {selectors}"},
    EventRow{EventId::phase2_proxy_ids, LogLevel::warning,
             "IPSEC(validate_transform_proposal): proxy identities not supported"},
    EventRow{EventId::phase2_narrowed, LogLevel::info,
             "IPSEC: the peer asks for {selectors}, a part of {of}"},
    EventRow{
        EventId::phase2_adopted, LogLevel::notice,
        "IPSEC: carrying on with the SAs of an earlier run for {selectors}: {algorithms}, spi in {spi_in}, "
        "out {spi_out}"},
    EventRow{EventId::phase2_moved, LogLevel::notice,
             "IPSEC: the SAs for {selectors} go on at {to} instead of {from}, spi in {spi_in}"},
    EventRow{EventId::phase2_rekeying, LogLevel::info, "IPSEC: renewing the SAs for {selectors}"},
    EventRow{EventId::phase2_deleted, LogLevel::info,
             "IPSEC(delete_sa): deleting SA for {selectors}, spi in {spi_in}, by {by}, reason \"{reason}\""},
    EventRow{EventId::phase2_expired, LogLevel::notice,
             "IPSEC: the SA for {selectors} has expired, spi in {spi_in}"},
};
constexpr std::array kProofs{
    EventRow{EventId::own_identity_changed, LogLevel::notice,
             "ISAKMP: My ID configured as {from}, but it is not in Cert! Using {to} as My ID"},
    EventRow{EventId::own_identity_unproved, LogLevel::warning,
             "ISAKMP: My ID {identity} is not in my Cert: the peer may refuse it"},
    EventRow{EventId::certificate_requested, LogLevel::debug,
             "ISAKMP: peer wants a CT_X509_SIGNATURE cert from {authority}"},
    EventRow{EventId::certificate_verified, LogLevel::info,
             "ISAKMP: certificate of {address} verified: {subject}, issued by {issuer}, serial {serial}, "
             "until {until}"},
    EventRow{EventId::peer_revoked, LogLevel::error, "ISAKMP: the certificate of {peer} has been revoked"},
    EventRow{EventId::guessable, LogLevel::warning,
             "ISAKMP: Aggressive Mode with {address}: whoever sees it can guess the pre-shared key offline"},
    EventRow{EventId::odd_identity, LogLevel::notice,
             "ISAKMP: ID payload of {address} is for protocol {protocol}, port {port}, not 17/500 or 0/0: "
             "going on"},
};
constexpr std::array kMessages{
    EventRow{EventId::retransmitting, LogLevel::info,
             "ISAKMP: retransmitting {exchange} to {remote}, try {try} of {of}"},
    EventRow{EventId::vendor_id_received, LogLevel::debug, "ISAKMP: vendor ID from {remote}"},
    EventRow{EventId::notify_received, LogLevel::notice,
             "ISAKMP: received NOTIFY {type} from {remote}, authenticated: {authenticated}"},
    EventRow{EventId::notify_sent, LogLevel::info, "ISAKMP: sending NOTIFY {type} to {remote}"},
    EventRow{EventId::delete_received, LogLevel::info,
             "ISAKMP: received DELETE for {count} {protocol} SAs from {remote}"},
    EventRow{EventId::configuration_asked, LogLevel::info,
             "ISAKMP: {remote} asks for configuration ({kind}: {attributes}): it gets none"},
    EventRow{EventId::xauth_refused, LogLevel::warning,
             "ISAKMP: XAUTH refused: {address} asks for {attributes}"},
    EventRow{EventId::xauth_decided, LogLevel::notice, "ISAKMP: XAUTH: {address} says {status}"},
    EventRow{EventId::group_refused, LogLevel::notice, "ISAKMP: New Group Mode with {address} refused"},
    EventRow{EventId::commit_awaited, LogLevel::info,
             "ISAKMP: {address} set the commit bit, await(): its CONNECTED for {selectors}"},
    EventRow{EventId::commit_unanswered, LogLevel::warning,
             "ISAKMP: no CONNECTED from {address} in {seconds} s for {selectors}: going on without"},
    EventRow{EventId::nat_detected, LogLevel::info, "ISAKMP: NAT found with {remote}: {where}, {form}"},
    EventRow{EventId::endpoint_changed, LogLevel::notice, "ISAKMP: the peer moved from {from} to {to}"},
    EventRow{EventId::peer_silent, LogLevel::info,
             "ISAKMP: DPD: nothing from {remote} for {seconds} s, sending R-U-THERE, try {try}"},
    EventRow{EventId::peer_dead, LogLevel::warning, "ISAKMP: DPD: peer {address} is not responding!"},
    EventRow{EventId::initial_contact, LogLevel::notice,
             "ISAKMP: INITIAL-CONTACT from {remote}: SAs it may have had before do not count"},
    EventRow{EventId::message_rejected, LogLevel::warning, "ISAKMP: message from {remote} rejected"},
    EventRow{EventId::message_held, LogLevel::debug,
             "ISAKMP: message from {remote} held while a computation is under way"},
    EventRow{EventId::unknown_peer, LogLevel::warning, "ISAKMP: No pre-shared key with {address}!"},
    EventRow{EventId::limit_reached, LogLevel::warning, "ISAKMP: a limit is reached with {remote}"},
};
constexpr std::array kPolicy{
    EventRow{EventId::weak_used, LogLevel::warning,
             "weak algorithms in use: {algorithms}; allowed until {until}, because: {reason}"},
    EventRow{EventId::weak_waiver_expired, LogLevel::error,
             "the allowance for weak algorithms has ended: the peer stays down"},
    EventRow{EventId::address_changed, LogLevel::notice, "address: local {local}, remote {remote}"},
    EventRow{EventId::data_plane_failed, LogLevel::error, "the data plane refused"},
};
constexpr std::array kHooks{
    EventRow{EventId::hook_ran, LogLevel::info,
             "updown: {event} for {selectors} is done, after {milliseconds} ms"},
    EventRow{EventId::hook_failed, LogLevel::error, "updown: {event} for {selectors} failed"},
};

template <std::size_t... Sizes>
constexpr auto joined(const std::array<EventRow, Sizes>&... tables) {
  std::array<EventRow, (Sizes + ...)> all{};
  auto* to = all.begin();
  ((to = std::copy(tables.begin(), tables.end(), to)), ...);
  return all;
}
constexpr std::array kTable = joined(kPhase1, kPhase2, kProofs, kMessages, kPolicy, kHooks);
static_assert(kTable.size() == static_cast<std::size_t>(ike::kLastEventId) + 1, "every EventId has a row");

// What a placeholder stands for; the event's own fields win over its addresses.
std::optional<std::string> value_of(const Event& event, std::string_view name) {
  for (const ike::Field& field : event.fields) {
    if (field.first == name) return field_text(field);
  }
  if (name == "peer") return printable(event.peer);
  if (name == "tunnel") return printable(event.tunnel);
  if (name == "local" && event.local) return event.local->to_string();
  if (name == "remote" && event.remote) return event.remote->to_string();
  if (name == "address" && event.remote) return event.remote->address.to_string();
  if (name == "address" || name == "remote") return printable(event.peer);
  return std::nullopt;
}

std::string expand(const Event& event, std::string_view format) {
  std::string out;
  std::vector<std::string_view> named;
  while (!format.empty()) {
    const std::size_t open = format.find('{');
    out += format.substr(0, open);
    if (open == std::string_view::npos) break;
    const std::size_t close = format.find('}', open);
    const std::string_view name = format.substr(open + 1, close - open - 1);
    named.push_back(name);
    out += value_of(event, name).value_or("-");
    format.remove_prefix(close + 1);
  }
  std::string rest;
  for (const ike::Field& field : event.fields) {
    if (std::find(named.begin(), named.end(), field.first) != named.end()) continue;
    rest += fmt::format("{}{}={}", rest.empty() ? "" : ", ", printable(field.first), field_text(field));
  }
  return rest.empty() ? out : out + " (" + rest + ")";
}

// "spi_in" as the journal names a field: "OAKGATE_SPI_IN".
std::string journal_name(std::string_view field) {
  std::string name = "OAKGATE_";
  for (const char c : field) {
    const bool small = c >= 'a' && c <= 'z';
    const bool plain = (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    name += small ? static_cast<char>(c - 'a' + 'A') : plain ? c : '_';
  }
  return name;
}

void add_field(std::vector<LogField>& fields, std::string name, std::string value) {
  const bool known =
      std::any_of(fields.begin(), fields.end(), [&](const LogField& field) { return field.name == name; });
  if (!known) fields.push_back({std::move(name), std::move(value)});
}

std::string cookie_text(const CookiePair& cookies) {
  return to_hex(cookies.initiator) + ":" + to_hex(cookies.responder);
}

}  // namespace

std::span<const EventRow> event_table() {
  return kTable;
}

const EventRow& event_row(EventId id) {
  return kTable[std::min(static_cast<std::size_t>(id), kTable.size() - 1)];
}

std::string field_text(const ike::Field& field) {
  const auto& [name, value] = field;
  std::uint32_t spi = 0;
  const auto read = std::from_chars(value.data(), value.data() + value.size(), spi);
  const bool whole = read.ec == std::errc() && read.ptr == value.data() + value.size();
  if (name.starts_with("spi") && whole) return fmt::format("0x{:08x}", spi);
  return printable(value);
}

std::string event_subject(const Event& event) {
  if (!event.peer.empty()) {
    return printable(event.tunnel.empty() ? event.peer : event.peer + "/" + event.tunnel);
  }
  return event.remote ? event.remote->to_string() : "-";
}

std::string event_words(const Event& event) {
  std::string text = expand(event, event_row(event.id).format);
  if (event.error) {
    text += fmt::format(": {}: {}", to_string(event.error->code), printable(error_text(*event.error), 1024));
  }
  return text;
}

std::string event_text(const Event& event) {
  return fmt::format("[{}] {}: {}", event_subject(event), ike::to_string(event.id), event_words(event));
}

std::vector<LogField> event_log_fields(const Event& event) {
  std::vector<LogField> fields = message_fields(message_row(event.id));
  fields.push_back({"OAKGATE_SUBJECT", event_subject(event)});
  if (!event.peer.empty()) fields.push_back({"OAKGATE_PEER", printable(event.peer)});
  if (!event.tunnel.empty()) fields.push_back({"OAKGATE_TUNNEL", printable(event.tunnel)});
  if (event.local) fields.push_back({"OAKGATE_LOCAL", event.local->to_string()});
  if (event.remote) fields.push_back({"OAKGATE_REMOTE", event.remote->to_string()});
  if (event.cookies) fields.push_back({"OAKGATE_COOKIES", cookie_text(*event.cookies)});
  if (event.error) {
    fields.push_back({"OAKGATE_ERROR", std::string(to_string(event.error->code))});
    fields.push_back({"OAKGATE_ERROR_TEXT", printable(event.error->text, 1024)});
    if (!event.error->expected.empty())
      fields.push_back({"OAKGATE_EXPECTED", printable(event.error->expected, 1024)});
    if (!event.error->remedy.empty())
      fields.push_back({"OAKGATE_REMEDY", printable(event.error->remedy, 1024)});
  }
  for (const ike::Field& field : event.fields)
    add_field(fields, journal_name(field.first), field_text(field));
  return fields;
}

}  // namespace oakgate
