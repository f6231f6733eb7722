#include "ike/transport.h"

#include <algorithm>
#include <utility>

#include "ike/aggressive_mode.h"
#include "ike/crypto/cipher.h"
#include "ike/crypto/prf.h"
#include "ike/dead_peers.h"
#include "ike/informational.h"
#include "ike/moved_peers.h"
#include "ike/phase1.h"
#include "ike/quick_mode.h"
#include "ike/sa_book.h"
#include "ike/transactions.h"

namespace oakgate::ike {

namespace {

void reject_unknown(Core& core, const Datagram& datagram, Error error, const IkeSa* sa = nullptr) {
  Event event;
  event.id = EventId::message_rejected;
  if (sa != nullptr) {
    event = core.event(EventId::message_rejected, *sa);
  } else if (const Peer* peer = core.peer_for_source(datagram.remote.address)) {
    event.peer = peer->config.name;
  }
  event.local = datagram.local;
  event.remote = datagram.remote;
  event.authenticated = false;
  event.error = std::move(error);
  core.raise(std::move(event));
}

// The SA a message is for: by both cookies; by ours alone while the peer's is not known (message 2); by the
// peer's while it does not know ours (a repeated message 1).
IkeSa* sa_for(Core& core, const wire::Header& header) {
  if (IkeSa* sa = core.find_sa(header.cookies)) return sa;
  if (header.cookies.responder == Cookie{}) {
    const auto& index = core.state().by_initiator_cookie;
    const auto found = index.find(header.cookies);
    return found == index.end() ? nullptr : core.find_sa(found->second);
  }
  IkeSa* sa = core.find_sa(CookiePair{header.cookies.initiator, {}});
  return sa != nullptr && sa->role == Role::initiator ? sa : nullptr;
}

// True if the message repeats one that was taken: it gets the same answer, and nothing moves.
bool answer_duplicate(Core& core, IkeSa& sa, Exchange& exchange, const MessageDigest& digest) {
  for (const AnsweredMessage& answered : exchange.answered) {
    if (answered.digest != digest) continue;
    // Only the newest message's answer is worth repeating: the peer has moved past the others.
    if (answered.by_last_sent) {
      send_datagram(core, sa, exchange.last_sent);
      if (exchange.kind == ExchangeKind::quick_mode)
        quick_mode_repeated(core, static_cast<QuickMode&>(exchange));
    }
    return true;
  }
  return false;
}

// One message waits at most for an exchange's job; a repetition of it changes nothing, another is lost like
// any datagram.
void hold(Core& core, const IkeSa& sa, Exchange& exchange, const Received& message) {
  if (exchange.held) return;
  exchange.held = std::make_unique<HeldMessage>(
      HeldMessage{message.datagram.local, message.datagram.remote, to_bytes(message.datagram.data)});
  core.raise(core.event(EventId::message_held, sa));
}

void to_exchange(Core& core, IkeSa& sa, Exchange& exchange, Received& message) {
  if (answer_duplicate(core, sa, exchange, message.digest)) return;
  if (sa.half_open() && exchange.kind == ExchangeKind::main_mode) {
    const bool ours = message.header.cookies.responder != Cookie{};
    if (auto proved = ours ? cookie_came_back(core, sa) : Result<void>{}; !proved) {
      reject_unknown(core, message.datagram, std::move(proved.error()), &sa);
      return;
    }
  }
  if (exchange.job) {
    hold(core, sa, exchange, message);
    return;
  }
  run_message(core, sa, exchange, message);
}

// What only an established SA has: Quick Mode, and what transactions.h answers.
bool comes_early(Core& core, IkeSa& sa, const Received& message) {
  if (sa.established()) return false;
  // The peer is done with phase 1, we still look at its certificate.
  if (sa.phase1 != nullptr && sa.phase1->job) {
    hold(core, sa, *sa.phase1, message);
    return true;
  }
  // Phase 1's last message and what follows it may overtake each other: the peer repeats it. Whoever has the
  // keys has our cookie, too.
  if (message.header.encrypted() && message.header.cookies == sa.cookies) ask_for_message_3(core, sa);
  const std::string what(wire::exchange_name(message.header.exchange));
  reject_unknown(core, message.datagram,
                 Error{ErrorCode::malformed, what + " before phase 1 is done", {}, {}, {}}, &sa);
  return true;
}

void on_transaction(Core& core, IkeSa& sa, Received& message) {
  const MessageId id = message.header.message_id;
  const bool group = message.header.exchange == wire::ExchangeType::new_group;
  if (const auto found = sa.transactions.find(id); found != sa.transactions.end()) {
    if ((found->second->kind == ExchangeKind::new_group) == group)
      to_exchange(core, sa, *found->second, message);
    return;
  }
  if (comes_early(core, sa, message) || id == MessageId{} || remembered(sa, id)) return;
  answer_transaction(core, sa, message);
}

void on_quick_mode(Core& core, IkeSa& sa, Received& message) {
  const MessageId id = message.header.message_id;
  if (const auto found = sa.quick_modes.find(id); found != sa.quick_modes.end()) {
    to_exchange(core, sa, *found->second, message);
    return;
  }
  if (comes_early(core, sa, message)) return;
  if (id == MessageId{} || remembered(sa, id)) return;  // a replay
  answer_quick_mode(core, sa, message);
}

bool begins_phase1(wire::ExchangeType type) {
  return type == wire::ExchangeType::identity_protection || type == wire::ExchangeType::aggressive;
}

ExchangeKind phase1_kind(wire::ExchangeType type) {
  return type == wire::ExchangeType::aggressive ? ExchangeKind::aggressive_mode : ExchangeKind::main_mode;
}

void dispatch(Core& core, IkeSa& sa, Received& message) {
  switch (message.header.exchange) {
    case wire::ExchangeType::identity_protection:
    case wire::ExchangeType::aggressive:
      if (sa.phase1 != nullptr && message.header.message_id == MessageId{} &&
          sa.phase1->kind == phase1_kind(message.header.exchange)) {
        to_exchange(core, sa, *sa.phase1, message);
      }
      return;
    case wire::ExchangeType::quick:
      on_quick_mode(core, sa, message);
      return;
    case wire::ExchangeType::informational:
      on_informational(core, sa, message);
      return;
    case wire::ExchangeType::transaction:
    case wire::ExchangeType::new_group:
      on_transaction(core, sa, message);
      return;
    default:
      reject_unknown(
          core, message.datagram,
          Error{ErrorCode::unsupported,
                std::string(wire::exchange_name(message.header.exchange)) + " exchange (type " +
                    std::to_string(static_cast<int>(message.header.exchange)) + ") is not supported",
                "Main Mode, Aggressive Mode, Quick Mode, Informational, Transaction or New Group Mode",
                {},
                NotifyType::unsupported_exchange_type},
          &sa);
  }
}

Result<void> send(Core& core, IkeSa& sa, Exchange& exchange, Bytes datagram, Expect expect) {
  exchange.sent(datagram);
  core.cancel(exchange.retransmit_timer);
  exchange.tries = 0;
  if (expect == Expect::answer) {
    exchange.retransmit_timer =
        core.arm(core.limits().retransmit_first, {TimerKind::retransmit, sa.id.value, exchange.id.value});
  }
  send_datagram(core, sa, std::move(datagram));
  return {};
}

wire::Header header_for(const IkeSa& sa, wire::ExchangeType type, MessageId id) {
  wire::Header header;
  header.cookies = sa.cookies;
  header.exchange = type;
  header.message_id = id;
  return header;
}

// The SA that a fragment may be collected for: its sender has seen our cookie, so it receives at its address
// and the SA counts as that source's (half_open.h), and we have told it that we take fragments.
Result<IkeSa*> sa_for_fragment(Core& core, const wire::Header& header) {
  IkeSa* sa = header.cookies.responder == Cookie{} ? nullptr : sa_for(core, header);
  if (sa == nullptr) {
    return fail(ErrorCode::malformed, "a fragment of a message for an SA that is not here",
                "fragments once vendor IDs are exchanged");
  }
  const Peer* peer = core.find_peer(sa->peer);
  if (peer == nullptr || !peer->config.fragmentation) {
    return fail(ErrorCode::unsupported, "a fragment, though none was asked for", "whole messages",
                "set `fragmentation: true` for this peer");
  }
  const bool first = sa->half_open() && sa->phase1 != nullptr && sa->phase1->kind == ExchangeKind::main_mode;
  if (auto proved = first ? cookie_came_back(core, *sa) : Result<void>{}; !proved)
    return fail(proved.error());
  return sa;
}

// The whole message of which `datagram` is the fragment that was missing.
Result<std::optional<Bytes>> take_fragment(Core& core, const Datagram& datagram, const wire::Header& header) {
  auto sa = sa_for_fragment(core, header);
  if (!sa) return fail(std::move(sa.error()));
  auto body =
      wire::parse_body(header.next_payload, wire::body_of(header, datagram.data), wire::Padding::none);
  if (!body) return fail(std::move(body.error()));
  const auto* fragment = std::get_if<wire::FragmentPayload>(&body->payloads.front());
  if (fragment == nullptr || body->payloads.size() != 1) {
    return fail(ErrorCode::malformed, "a fragment with other payloads behind it", "one fragment a message");
  }
  std::unique_ptr<Reassembly>& fragments = (*sa)->fragments;
  if (!fragments) fragments = std::make_unique<Reassembly>();
  auto whole = fragments->take(header, *fragment);
  if (whole && (*sa)->fragments_timer == TimerId{}) {
    (*sa)->fragments_timer =
        core.arm(core.limits().reassembly, {TimerKind::fragments_expired, (*sa)->id.value, 0});
  }
  return whole;
}

// A peer that has lost its SAs says so under cookies nobody knows.
void heed_stray(Core& core, Received& message) {
  if (message.header.exchange != wire::ExchangeType::informational || message.header.encrypted()) return;
  const Peer* peer = core.peer_for_source(message.datagram.remote.address);
  IkeSa* sa = peer == nullptr ? nullptr : core.current_sa(*peer);
  if (sa == nullptr || sa->remote.address != message.datagram.remote.address || !parse_clear(message)) return;
  const auto notifies = payloads_of<wire::NotifyPayload>(message.body);
  if (std::any_of(notifies.begin(), notifies.end(),
                  [](const auto* notify) { return notify->type == NotifyType::invalid_spi; })) {
    probe_on_hint(core, *sa);
  }
}

// What comes in fragments is a message like any other once it is whole, but for a header that is not theirs.
void on_fragment(Core& core, const Datagram& datagram, const wire::Header& header) {
  auto whole = take_fragment(core, datagram, header);
  if (!whole) {
    reject_unknown(core, datagram, std::move(whole.error()), core.find_sa(header.cookies));
    return;
  }
  if (!*whole) return;
  const auto inner = wire::parse_header(**whole);
  if (!inner || inner->cookies != header.cookies || inner->next_payload == wire::PayloadType::fragment) {
    reject_unknown(core, datagram,
                   inner ? Error{ErrorCode::malformed, "fragments of a message of another SA", {}, {}, {}}
                         : inner.error(),
                   core.find_sa(header.cookies));
    return;
  }
  on_message(core, Datagram{datagram.local, datagram.remote, **whole});
}

int tries_of(const Core& core, const IkeSa& sa) {
  const bool verifying = sa.state == State::mm_i_sent_auth && info(sa.policy->authentication).signs;
  return core.limits().retransmit_tries + (verifying ? core.limits().verification_tries : 0);
}

void answer_timeout(Core& core, IkeSa& sa, Exchange& exchange) {
  if (is_phase1(exchange.kind)) {
    phase1_timed_out(core, sa);
  } else {
    quick_mode_timed_out(core, sa, static_cast<QuickMode&>(exchange));
  }
}

}  // namespace

void on_message(Core& core, const Datagram& datagram) {
  auto header = wire::parse_header(datagram.data);
  if (!header) {
    reject_unknown(core, datagram, std::move(header.error()));
    return;
  }
  if (header->next_payload == wire::PayloadType::fragment) {
    on_fragment(core, datagram, *header);
    return;
  }
  Received message{datagram, *header, {}, {}, {}, {}};
  // What stands behind the message's own length does not count: some peers append zeros, and not always the
  // same.
  message.datagram.data = datagram.data.first(header->length);
  auto digest = crypto::hash(IkeHash::sha256, {message.datagram.data});
  if (!digest || digest->size() != message.digest.size()) return;
  std::copy(digest->begin(), digest->end(), message.digest.begin());
  if (IkeSa* sa = sa_for(core, *header)) {
    const IkeSaId id = sa->id;
    sa->request_bytes = message.datagram.data.size();
    dispatch(core, *sa, message);
    sa = core.find_sa(id);
    if (sa == nullptr || !sa->proved_at) return;
    follow_message(core, *sa, *std::exchange(sa->proved_at, std::nullopt));
  } else if (begins_phase1(header->exchange) && header->cookies.responder == Cookie{} &&
             header->message_id == MessageId{}) {
    if (!core.state().shutting_down) answer_phase1(core, message);
  } else {
    heed_stray(core, message);
    reject_unknown(core, datagram,
                   Error{ErrorCode::malformed,
                         "a " + std::string(wire::exchange_name(header->exchange)) +
                             " message for an SA that is not here",
                         "a message of a negotiation under way",
                         "harmless after a restart: the peer will notice and begin anew",
                         {}});
  }
}

void on_fragments_expired(IkeSa& sa) {
  sa.fragments_timer = TimerId{};
  sa.fragments.reset();
}

void on_retransmit_timer(Core& core, IkeSa& sa, Exchange& exchange) {
  exchange.retransmit_timer = TimerId{};
  if (exchange.tries >= tries_of(core, sa)) {
    answer_timeout(core, sa, exchange);
    return;
  }
  ++exchange.tries;
  Event event = core.event(EventId::retransmitting, sa);
  event.fields = {{"exchange", std::string(exchange_title(exchange.kind))},
                  {"try", std::to_string(exchange.tries)},
                  {"of", std::to_string(tries_of(core, sa))}};
  core.raise(std::move(event));
  const Milliseconds wait =
      std::min(core.limits().retransmit_first * (std::int64_t{1} << std::min(exchange.tries, 20)),
               core.limits().retransmit_ceiling);
  exchange.retransmit_timer = core.arm(wait, {TimerKind::retransmit, sa.id.value, exchange.id.value});
  send_datagram(core, sa, exchange.last_sent);
}

Result<void> send_clear(Core& core, IkeSa& sa, Exchange& exchange, wire::ExchangeType type,
                        const std::vector<wire::Payload>& payloads, Expect expect) {
  return send(core, sa, exchange, wire::encode(header_for(sa, type, exchange.id), payloads), expect);
}

Result<void> send_encrypted(Core& core, IkeSa& sa, Exchange& exchange, wire::ExchangeType type,
                            const std::vector<wire::Payload>& payloads, Expect expect) {
  const IkeCipherInfo& cipher = info(sa.policy->encryption);
  Bytes body = wire::encode_body(payloads);
  // RFC 2409 Appendix B: zeros up to the block size.
  body.resize((body.size() + cipher.block_bytes - 1) / cipher.block_bytes * cipher.block_bytes);
  auto ciphertext = crypto::encrypt(cipher.id, sa.keys.cipher_key, exchange.iv, body);
  if (!ciphertext) return fail(std::move(ciphertext.error()));
  exchange.iv.assign(ciphertext->end() - cipher.block_bytes, ciphertext->end());
  wire::Header header = header_for(sa, type, exchange.id);
  header.flags = wire::kFlagEncryption;
  return send(core, sa, exchange,
              wire::encode_encrypted(header, wire::type_of(payloads.front()), *ciphertext), expect);
}

void send_datagram(Core& core, const IkeSa& sa, Bytes datagram) {
  if (!sa.capabilities.fragmentation) {
    core.effect(SendDatagram{sa.local, sa.remote, std::move(datagram), false});
    return;
  }
  for (Bytes& part : fragments_of(datagram, sa.remote.address.family()))
    core.effect(SendDatagram{sa.local, sa.remote, std::move(part), false});
}

Result<void> parse_clear(Received& message) {
  const ByteView body = wire::body_of(message.header, message.datagram.data);
  auto parsed = wire::parse_body(message.header.next_payload, body, wire::Padding::none);
  if (!parsed) return fail(std::move(parsed.error()));
  message.body = std::move(*parsed);
  message.plaintext = to_bytes(body);
  return {};
}

Result<void> decrypt_message(const IkeSa& sa, ByteView iv, Received& message) {
  if (!sa.policy || sa.keys.cipher_key.empty()) {
    return fail(ErrorCode::malformed, "an encrypted message before keys were agreed on");
  }
  const IkeCipherInfo& cipher = info(sa.policy->encryption);
  const ByteView ciphertext = wire::body_of(message.header, message.datagram.data);
  if (ciphertext.empty() || ciphertext.size() % cipher.block_bytes != 0) {
    return reject(NotifyType::payload_malformed, ErrorCode::malformed,
                  "an encrypted message that is not whole blocks",
                  "a multiple of " + std::to_string(cipher.block_bytes) + " bytes");
  }
  auto plaintext = crypto::decrypt(cipher.id, sa.keys.cipher_key, iv, ciphertext);
  if (!plaintext) return fail(std::move(plaintext.error()));
  auto parsed = wire::parse_body(message.header.next_payload, *plaintext, wire::Padding::allowed);
  if (!parsed) {
    // Garbage after decryption: with the wrong key every message looks like this. With signatures no
    // configured key is wrong: libreswan, for one, refuses those in a message that nobody can read.
    const bool shared = sa.policy->authentication == AuthMethod::pre_share;
    return reject(
        NotifyType::payload_malformed, ErrorCode::wrong_key,
        "a message does not decrypt to valid payloads (IKE message failed its sanity check or is malformed)",
        shared ? "the same pre-shared key on both sides" : "the keys that were agreed on",
        shared ? "compare the pre-shared key configured here and at the peer"
               : "see the peer's log: it may have refused our proof of who we are");
  }
  message.body = std::move(*parsed);
  message.plaintext = std::move(*plaintext);
  const ByteView last = ciphertext.last(cipher.block_bytes);
  message.next_iv = to_bytes(last);
  return {};
}

Result<Bytes> first_iv(const IkeSa& sa, MessageId id) {
  return crypto::phase2_iv(sa.policy->hash, sa.policy->encryption, sa.last_phase1_block, id);
}

bool remembered(const IkeSa& sa, MessageId id) {
  return std::find(sa.seen_ids.begin(), sa.seen_ids.end(), id) != sa.seen_ids.end();
}

void remember(Core& core, IkeSa& sa, MessageId id) {
  if (remembered(sa, id)) return;
  if (sa.seen_ids.size() < core.limits().remembered_messages) {
    sa.seen_ids.push_back(id);
    return;
  }
  sa.seen_ids[sa.seen_oldest] = id;
  sa.seen_oldest = (sa.seen_oldest + 1) % sa.seen_ids.size();
}

}  // namespace oakgate::ike
