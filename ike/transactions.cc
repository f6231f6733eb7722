#include "ike/transactions.h"

#include <algorithm>
#include <array>

#include "ike/crypto/keys.h"
#include "ike/informational.h"
#include "ike/sa_book.h"
#include "ike/transport.h"
#include "ike/tunnels.h"

namespace oakgate::ike {

namespace {

using wire::Attribute;
using wire::AttributesPayload;
using wire::ExchangeType;
using wire::PayloadType;
namespace xauth = wire::xauth_attribute;

constexpr std::size_t kNamed = 8;  // attributes that an event names

bool is_xauth(const Attribute& attribute) {
  return attribute.type >= xauth::type && attribute.type <= xauth::answer;
}

std::string names_of(const std::vector<Attribute>& attributes) {
  std::string text;
  for (std::size_t i = 0; i < attributes.size(); ++i) {
    if (i == kNamed) return text + ", ...";
    text += (i == 0 ? "" : ", ") + std::string(wire::configuration_name(attributes[i].type)) + " (" +
            std::to_string(attributes[i].type) + ")";
  }
  return text.empty() ? "none" : text;
}

// Past this the sender is known.
Result<void> check_hash(Run& run) {
  const Received& message = *run.message;
  auto expected =
      crypto::hash_1(run.sa.policy->hash, run.sa.keys, message.header.message_id, message.behind_hash());
  if (!expected) return fail(std::move(expected.error()));
  if (!equal_constant_time(*expected, payload_of<wire::HashPayload>(message.body)->data)) {
    return fail(
        ErrorCode::not_authenticated,
        "a message of " + std::string(exchange_title(run.exchange.kind)) + " whose HASH does not verify");
  }
  run.authenticated = true;
  run.sa.proved_at = message.datagram.remote;
  return {};
}

Result<void> reply(Run& run, wire::ConfigurationType type, std::vector<Attribute> attributes) {
  const auto& asked = *payload_of<AttributesPayload>(run.message->body);
  std::vector<wire::Payload> payloads;
  payloads.emplace_back(
      AttributesPayload{static_cast<std::uint8_t>(type), asked.identifier, std::move(attributes)});
  auto hash = crypto::hash_1(run.sa.policy->hash, run.sa.keys, run.exchange.id, wire::encode_body(payloads));
  if (!hash) return fail(std::move(hash.error()));
  payloads.insert(payloads.begin(), wire::HashPayload{std::move(*hash)});
  return send_encrypted(run.core, run.sa, run.exchange, ExchangeType::transaction, payloads, Expect::nothing);
}

void raise_asked(Run& run, std::string_view kind, const AttributesPayload& asked) {
  Event event = run.core.event(EventId::configuration_asked, run.sa);
  event.fields = {{"kind", std::string(kind)}, {"attributes", names_of(asked.attributes)}};
  run.core.raise(std::move(event));
}

// draft-beaulieu-ike-xauth-02 section 6.1: the reply "MUST contain the filled in authentication attributes
// [...] or [...] the XAUTH-STATUS attribute with a value of FAIL".
Result<void> refuse_xauth(Run& run, const AttributesPayload& asked) {
  Event event = run.core.event(EventId::xauth_refused, run.sa);
  event.fields = {{"attributes", names_of(asked.attributes)}};
  event.error =
      Error{ErrorCode::unsupported,
            "the peer asks for extended authentication (XAUTH) of a user",
            "that the gateways' authentication is enough",
            "have the peer exempt this gateway: `crypto isakmp key KEY address ADDRESS no-xauth`, or a "
            "profile without `client authentication list`",
            {}};
  if (Peer* peer = run.core.find_peer(run.sa.peer)) set_error(run.core, *peer, *event.error);
  run.sa.xauth_refused = event.error;
  run.core.raise(std::move(event));
  std::vector<Attribute> attributes;
  // Section 6.2: "The XAUTH-TYPE in a REPLY MUST be identical to the XAUTH-TYPE in the REQUEST", and not be
  // there without it.
  const auto type = std::find_if(asked.attributes.begin(), asked.attributes.end(),
                                 [](const Attribute& one) { return one.type == xauth::type; });
  if (type != asked.attributes.end() && type->basic) attributes.push_back(*type);
  attributes.push_back(Attribute::short_form(xauth::status, wire::kXauthFail));
  return reply(run, wire::ConfigurationType::reply, std::move(attributes));
}

Result<void> take_request(Run& run, const AttributesPayload& asked) {
  if (std::any_of(asked.attributes.begin(), asked.attributes.end(), is_xauth))
    return refuse_xauth(run, asked);
  raise_asked(run, "request", asked);
  return reply(run, wire::ConfigurationType::reply, {});
}

// "Its attributes are not relevant and MAY be skipped entirely, thus no attributes SHOULD be included": also
// how a configuration is acknowledged of which nothing was accepted.
Result<void> take_set(Run& run, const AttributesPayload& asked) {
  const auto status = std::find_if(asked.attributes.begin(), asked.attributes.end(),
                                   [](const Attribute& one) { return one.type == xauth::status; });
  if (status == asked.attributes.end()) {
    raise_asked(run, "set", asked);
  } else {
    const auto value = status->number();
    if (value == wire::kXauthOk) run.sa.xauth_refused.reset();
    Event event = run.core.event(EventId::xauth_decided, run.sa);
    event.fields = {{"status", value == wire::kXauthOk     ? "OK"
                               : value == wire::kXauthFail ? "FAIL"
                               : value                     ? std::to_string(*value)
                                                           : "unreadable"}};
    run.core.raise(std::move(event));
  }
  return reply(run, wire::ConfigurationType::ack, {});
}

Result<void> take_transaction(Run& run) {
  if (auto verified = check_hash(run); !verified) return verified;
  const auto& asked = *payload_of<AttributesPayload>(run.message->body);
  switch (static_cast<wire::ConfigurationType>(asked.type)) {
    case wire::ConfigurationType::request:
      return take_request(run, asked);
    case wire::ConfigurationType::set:
      return take_set(run, asked);
    default:
      // Section 3.3: "Messages with unknown types SHOULD be silently discarded"; so are answers to what we
      // have not asked.
      return {};
  }
}

// RFC 2409 section 5.6: "If the group is not acceptable, the responder MUST reply with a Notify payload with
// the message type set to ATTRIBUTES-NOT-SUPPORTED (13)." Groups are chosen by name only, in the policies.
Result<void> refuse_group(Run& run) {
  if (auto verified = check_hash(run); !verified) return verified;
  run.core.raise(run.core.event(EventId::group_refused, run.sa));
  run.exchange.sent(notify_protected(run.core, run.sa, NotifyType::attributes_not_supported, {}));
  return {};
}

constexpr std::array kTransactionPayloads{PayloadRule{PayloadType::hash, 1, 1},
                                          PayloadRule{PayloadType::attributes, 1, 1},
                                          PayloadRule{PayloadType::vendor_id, 0, 8}};
constexpr std::array kGroupPayloads{PayloadRule{PayloadType::hash, 1, 1}, PayloadRule{PayloadType::sa, 1, 1},
                                    PayloadRule{PayloadType::vendor_id, 0, 8}};

// Some peers go on under the message id of the request.
constexpr std::array kTransactionSteps{Step{State::transaction, Trigger::message, true, PayloadType::hash,
                                            kTransactionPayloads, take_transaction, State::transaction,
                                            "draft-dukes-ike-mode-cfg-02 section 3.1.1"}};
constexpr std::array kGroupSteps{Step{State::new_group, Trigger::message, true, PayloadType::hash,
                                      kGroupPayloads, refuse_group, State::done, "RFC 2409 section 5.6"}};

void raise_too_many(Core& core, const IkeSa& sa) {
  Event event = core.event(EventId::limit_reached, sa);
  event.authenticated = false;  // nothing was decrypted
  event.error = Error{ErrorCode::in_use,
                      "too many Transaction and New Group Mode exchanges under one IKE SA",
                      "at most " + std::to_string(core.limits().transactions_per_sa) + " in " +
                          std::to_string(core.limits().half_open_life.count() / 1000) + " s",
                      "see what the peer asks for (`oakgate monitor`), and have it exempt this gateway",
                      {}};
  core.raise(std::move(event));
}

}  // namespace

std::span<const Step> transaction_steps(ExchangeKind kind) {
  if (kind == ExchangeKind::new_group) return kGroupSteps;
  return kTransactionSteps;
}

void answer_transaction(Core& core, IkeSa& sa, Received& message) {
  if (sa.transactions.size() >= core.limits().transactions_per_sa) {
    raise_too_many(core, sa);
    return;
  }
  const MessageId id = message.header.message_id;
  auto iv = first_iv(sa, id);
  if (!iv) return;
  const bool group = message.header.exchange == ExchangeType::new_group;
  auto fresh = std::make_unique<Exchange>();
  fresh->kind = group ? ExchangeKind::new_group : ExchangeKind::transaction;
  fresh->role = Role::responder;
  fresh->state = group ? State::new_group : State::transaction;
  fresh->id = id;
  fresh->iv = std::move(*iv);
  Exchange& exchange = *sa.transactions.emplace(id, std::move(fresh)).first->second;
  run_message(core, sa, exchange, message);
  if (exchange.answered.empty()) {
    forget_transaction(core, sa, id);  // its hash did not verify: as if nothing had come
    return;
  }
  remember(core, sa, id);
  const TimerId forget =
      core.arm(core.limits().half_open_life, {TimerKind::exchange_forgotten, sa.id.value, id.value});
  static_cast<void>(forget);
}

}  // namespace oakgate::ike
