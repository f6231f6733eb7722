#include "ike/informational.h"

#include <algorithm>
#include <array>

#include "ike/commit_bit.h"
#include "ike/crypto/keys.h"
#include "ike/dead_peers.h"
#include "ike/moved_peers.h"
#include "ike/phase1.h"
#include "ike/quick_mode.h"
#include "ike/responder_lifetime.h"
#include "ike/sa_book.h"
#include "ike/transport.h"
#include "ike/tunnels.h"

namespace oakgate::ike {

namespace {

using wire::Payload;
using wire::PayloadType;

constexpr std::uint8_t kMany = 64;
constexpr int kClearNotifies = 3;  // an SA
constexpr std::size_t kCookiesBytes = 16;
constexpr std::size_t kLongestReason = 128;

std::string type_text(NotifyType type) {
  return std::string(notify_name(type)) + " (" + std::to_string(static_cast<unsigned>(type)) + ")";
}

void raise_notify(Core& core, const IkeSa& sa, const wire::NotifyPayload& notify, bool authenticated) {
  Event event = core.event(EventId::notify_received, sa);
  event.fields = {{"type", type_text(notify.type)}, {"authenticated", authenticated ? "yes" : "no"}};
  event.authenticated = authenticated;
  core.raise(std::move(event));
}

// What a refusal by the peer means to us: it depends on what we tried.
enum class Tried : std::uint8_t { key, encryption, certificate, quick_mode };
struct Refusal {
  NotifyType type;
  Tried tried;
  ErrorCode code;
  std::string_view expected;
  std::string_view remedy;
};
constexpr std::string_view kAuthentication = "that it takes our authentication";
constexpr std::string_view kCompareKeys = "compare the pre-shared key configured here and at the peer";
constexpr std::string_view kCompareRsaKeys =
    "compare the public keys of both sides (`oakgate pki show key`), and see `skeyid`";
constexpr std::string_view kOurPolicies = "that it takes one of our isakmp policies";
constexpr std::string_view kGivePolicy =
    "give the peer one of our isakmp policies, or configure one of its here";
constexpr std::string_view kOurIdentity = "that it takes our identity";
constexpr std::string_view kSetIdentity = "set the identity that the peer expects of this gateway";
constexpr std::string_view kCertificate = "that it takes our certificate and signature";
constexpr std::string_view kCompareTrust =
    "see the peer's log: whether it trusts our certificate's authority, and has its CRL and the right time; "
    "see `send_certificate`";
constexpr auto kRefusals = std::to_array<Refusal>({
    {NotifyType::no_proposal_chosen, Tried::key, ErrorCode::no_proposal_chosen, kOurPolicies, kGivePolicy},
    {NotifyType::no_proposal_chosen, Tried::certificate, ErrorCode::no_proposal_chosen, kOurPolicies,
     kGivePolicy},
    {NotifyType::no_proposal_chosen, Tried::quick_mode, ErrorCode::no_proposal_chosen,
     "that it takes one of the tunnel's transform sets",
     "give the peer one of our transform sets, or configure one of its here; compare pfs"},
    {NotifyType::invalid_id_information, Tried::key, ErrorCode::identity_mismatch, kOurIdentity,
     kSetIdentity},
    {NotifyType::invalid_id_information, Tried::certificate, ErrorCode::identity_mismatch, kOurIdentity,
     kSetIdentity},
    {NotifyType::invalid_id_information, Tried::quick_mode, ErrorCode::proxy_id_mismatch,
     "that it takes the tunnel's `local` and `remote`",
     "make `local` and `remote` the exact mirror of the peer's access list"},
    {NotifyType::authentication_failed, Tried::key, ErrorCode::wrong_key, kAuthentication, kCompareKeys},
    {NotifyType::invalid_hash_information, Tried::key, ErrorCode::wrong_key, kAuthentication, kCompareKeys},
    {NotifyType::payload_malformed, Tried::key, ErrorCode::wrong_key, kAuthentication,
     "compare the pre-shared keys: a message that decrypts to garbage looks malformed"},
    {NotifyType::invalid_key_information, Tried::key, ErrorCode::wrong_key, kAuthentication, kCompareKeys},
    {NotifyType::no_proposal_chosen, Tried::encryption, ErrorCode::no_proposal_chosen, kOurPolicies,
     kGivePolicy},
    {NotifyType::invalid_id_information, Tried::encryption, ErrorCode::identity_mismatch, kOurIdentity,
     kSetIdentity},
    {NotifyType::authentication_failed, Tried::encryption, ErrorCode::wrong_key, kAuthentication,
     kCompareRsaKeys},
    {NotifyType::invalid_hash_information, Tried::encryption, ErrorCode::wrong_key, kAuthentication,
     kCompareRsaKeys},
    {NotifyType::payload_malformed, Tried::encryption, ErrorCode::wrong_key, kAuthentication,
     kCompareRsaKeys},
    {NotifyType::invalid_key_information, Tried::encryption, ErrorCode::wrong_key, kAuthentication,
     kCompareRsaKeys},
    {NotifyType::authentication_failed, Tried::certificate, ErrorCode::peer_refused, kCertificate,
     kCompareTrust},
    {NotifyType::invalid_signature, Tried::certificate, ErrorCode::peer_refused, kCertificate, kCompareTrust},
    {NotifyType::invalid_certificate, Tried::certificate, ErrorCode::peer_refused, kCertificate,
     kCompareTrust},
    {NotifyType::invalid_cert_authority, Tried::certificate, ErrorCode::peer_refused, kCertificate,
     kCompareTrust},
    {NotifyType::certificate_unavailable, Tried::certificate, ErrorCode::peer_refused, kCertificate,
     kCompareTrust},
});

Error refusal_error(NotifyType type, Tried tried) {
  Error error{ErrorCode::peer_refused,
              "the peer refused with " + type_text(type),
              "that it goes on with the negotiation",
              "see the peer's log for its reason",
              {}};
  for (const Refusal& refusal : kRefusals) {
    if (refusal.type != type || refusal.tried != tried) continue;
    error.code = refusal.code;
    error.expected = refusal.expected;
    error.remedy = refusal.remedy;
  }
  return error;
}

Tried tried_in_phase1(const IkeSa& sa) {
  if (!sa.policy) return Tried::key;
  const AuthMethodInfo& method = info(sa.policy->authentication);
  return method.signs ? Tried::certificate : method.encrypts ? Tried::encryption : Tried::key;
}

// Which of our Quick Modes a refusal is about: the one whose SPI it names, else the only one under way.
QuickMode* refused_exchange(IkeSa& sa, const wire::NotifyPayload& notify) {
  QuickMode* candidate = nullptr;
  int under_way = 0;
  for (const auto& [id, quick] : sa.quick_modes) {
    if (quick->role != Role::initiator || quick->state == State::done) continue;
    ByteReader reader(notify.spi);
    std::uint32_t spi = 0;
    if (notify.spi.size() == 4 && reader.u32(spi) && quick->our_spis.has(Spi{spi})) return quick.get();
    candidate = quick.get();
    ++under_way;
  }
  return under_way == 1 ? candidate : nullptr;
}

void take_notify(Core& core, IkeSa& sa, MessageId id, const wire::NotifyPayload& notify) {
  const bool dpd = notify.type == NotifyType::r_u_there || notify.type == NotifyType::r_u_there_ack;
  if (!dpd) raise_notify(core, sa, notify, true);  // a sign of life every minute is no news
  if (notify.type == NotifyType::r_u_there) {
    answer_probe(core, sa, notify);
  } else if (notify.type == NotifyType::r_u_there_ack) {
    take_probe_answer(core, sa, notify);
  } else if (notify.type == NotifyType::invalid_spi && take_invalid_spi(core, sa, notify)) {
    return;
  } else if (notify.type == NotifyType::initial_contact) {
    on_initial_contact(core, sa);
  } else if (notify.type == NotifyType::connected) {
    take_connected(core, sa, id, notify);
  } else if (notify.type == NotifyType::responder_lifetime) {
    take_responder_lifetime(core, sa, notify);
  } else if (is_error(notify.type)) {
    if (QuickMode* quick = refused_exchange(sa, notify)) {
      quick_mode_failed(core, sa, *quick, refusal_error(notify.type, Tried::quick_mode));
    }
  }
}

void take_delete(Core& core, IkeSa& sa, const wire::DeletePayload& deletion) {
  Event event = core.event(EventId::delete_received, sa);
  const auto ipsec = ipsec_protocol(deletion.protocol);
  event.fields = {{"protocol", deletion.protocol == wire::kProtocolIsakmp
                                   ? "ISAKMP"
                                   : std::string(ipsec ? protocol_name(*ipsec) : "other")},
                  {"count", std::to_string(deletion.spis.size())}};
  // CISCO-DELETE-REASON: a text behind the SPIs.
  if (!deletion.trailing.empty()) {
    const auto size = static_cast<std::ptrdiff_t>(std::min(deletion.trailing.size(), kLongestReason));
    event.fields.emplace_back("reason",
                              std::string(deletion.trailing.begin(), deletion.trailing.begin() + size));
  }
  core.raise(std::move(event));
  Peer* peer = core.find_peer(sa.peer);
  for (const Bytes& raw : deletion.spis) {
    if (deletion.protocol == wire::kProtocolIsakmp) {
      // The SA named may be an older one of the same peer. Its exchanges go with it.
      if (raw.size() != kCookiesBytes) continue;
      CookiePair cookies;
      std::copy(raw.begin(), raw.begin() + 8, cookies.initiator.begin());
      std::copy(raw.begin() + 8, raw.end(), cookies.responder.begin());
      IkeSa* named = core.find_sa(cookies);
      if (named == nullptr || named->peer != sa.peer) continue;
      Event gone = core.event(EventId::phase1_deleted, *named);
      gone.fields = {{"by", "peer"}, {"reason", "DELETE received"}};
      core.raise(std::move(gone));
      remove_ike_sa(core, *named);
    } else if (peer != nullptr && ipsec) {
      const auto spi = read_spi(*ipsec, raw);
      if (!spi) continue;
      on_peer_deleted(core, *peer, *ipsec, *spi);
      take_delete_of_waiting(core, sa, *spi);
    }
  }
}

// Before phase 1 is done, under its keys: nobody but the one we exchanged keys with has them, and if that one
// refuses, nobody else can go on.
void take_refusal(Core& core, IkeSa& sa, const wire::Body& body) {
  // It has the same keys, so another form of SKEYID would not help.
  if (sa.phase1 != nullptr && sa.phase1->encrypted != nullptr) sa.phase1->encrypted->proved = true;
  for (const auto* notify : payloads_of<wire::NotifyPayload>(body)) {
    raise_notify(core, sa, *notify, false);
    if (!is_error(notify->type)) continue;
    phase1_failed(core, sa, refusal_error(notify->type, tried_in_phase1(sa)));
    return;
  }
}

// HASH(1) first, then what it covers.
Result<void> take_informational(Run& run) {
  const Received& message = *run.message;
  auto expected =
      crypto::hash_1(run.sa.policy->hash, run.sa.keys, message.header.message_id, message.behind_hash());
  if (!expected) return fail(std::move(expected.error()));
  if (!equal_constant_time(*expected, payload_of<wire::HashPayload>(message.body)->data)) {
    return fail(ErrorCode::not_authenticated, "an Informational message whose HASH(1) does not verify");
  }
  if (!run.sa.established()) {
    take_refusal(run.core, run.sa, message.body);
    return {};
  }
  run.authenticated = true;
  remember(run.core, run.sa, message.header.message_id);
  follow_message(run.core, run.sa, message.datagram.remote);
  for (const auto* notify : payloads_of<wire::NotifyPayload>(message.body))
    take_notify(run.core, run.sa, message.header.message_id, *notify);
  for (const auto* deletion : payloads_of<wire::DeletePayload>(message.body))
    take_delete(run.core, run.sa, *deletion);
  return {};
}

constexpr std::array kPayloads{
    PayloadRule{PayloadType::hash, 1, 1}, PayloadRule{PayloadType::notification, 0, kMany},
    PayloadRule{PayloadType::deletion, 0, kMany}, PayloadRule{PayloadType::vendor_id, 0, kMany}};
constexpr std::array kSteps{Step{State::informational, Trigger::message, true, PayloadType::hash, kPayloads,
                                 take_informational, State::done, "RFC 2409 section 5.7"}};

// In clear: all it can do is explain a silence.
void take_hint(Core& core, IkeSa& sa, Received& message) {
  if (!parse_clear(message)) return;
  for (const auto* notify : payloads_of<wire::NotifyPayload>(message.body)) {
    raise_notify(core, sa, *notify, false);
    if (notify->type == NotifyType::invalid_spi && sa.established()) probe_on_hint(core, sa);
    if (sa.phase1 == nullptr || sa.established() || !is_error(notify->type)) continue;
    sa.phase1->hint = std::make_unique<Error>(refusal_error(notify->type, tried_in_phase1(sa)));
    sa.phase1->hint->text += " (unauthenticated)";
    phase1_hint(core, sa, *sa.phase1->hint);
  }
}

}  // namespace

std::span<const Step> informational_steps() {
  return kSteps;
}

Bytes cookies_spi(const IkeSa& sa) {
  Bytes spi(sa.cookies.initiator.begin(), sa.cookies.initiator.end());
  spi.insert(spi.end(), sa.cookies.responder.begin(), sa.cookies.responder.end());
  return spi;
}

void on_informational(Core& core, IkeSa& sa, Received& message) {
  const MessageId id = message.header.message_id;
  if (!message.header.encrypted()) {
    take_hint(core, sa, message);
    return;
  }
  // Before phase 1 is done, its last block is the one that was exchanged last.
  const bool early = !sa.established();
  Bytes awaited = early ? Bytes{} : connected_iv(sa, message);
  if ((remembered(sa, id) && awaited.empty()) ||
      (early && (sa.phase1 == nullptr || sa.keys.cipher_key.empty())))
    return;
  auto iv = !awaited.empty() ? Result<Bytes>(std::move(awaited))
            : early          ? crypto::phase2_iv(sa.policy->hash, sa.policy->encryption, sa.phase1->iv, id)
                             : first_iv(sa, id);
  if (!iv) return;
  Exchange once;
  once.kind = ExchangeKind::informational;
  once.state = State::informational;
  once.id = id;
  once.iv = std::move(*iv);
  run_message(core, sa, once, message);
}

Bytes send_informational(Core& core, IkeSa& sa, std::vector<Payload> payloads) {
  Exchange once;
  once.kind = ExchangeKind::informational;
  do {
    once.id = MessageId{core.rng().u32()};
  } while (once.id == MessageId{} || remembered(sa, once.id));
  remember(core, sa, once.id);
  auto iv = first_iv(sa, once.id);
  auto hash = crypto::hash_1(sa.policy->hash, sa.keys, once.id, wire::encode_body(payloads));
  if (!iv || !hash) return {};  // OpenSSL is out of memory: a notification more or less does not matter then
  once.iv = std::move(*iv);
  payloads.insert(payloads.begin(), wire::HashPayload{std::move(*hash)});
  // Informational messages are not answered, so they are not repeated either.
  const auto sent =
      send_encrypted(core, sa, once, wire::ExchangeType::informational, payloads, Expect::nothing);
  static_cast<void>(sent);
  return std::move(once.last_sent);
}

Bytes notify_protected(Core& core, IkeSa& sa, NotifyType type, Bytes spi) {
  if (sa.last_phase1_block.empty()) return {};
  Event event = core.event(EventId::notify_sent, sa);
  event.fields = {{"type", type_text(type)}};
  core.raise(std::move(event));
  const std::uint8_t protocol = spi.empty() ? wire::kProtocolIsakmp : wire::kProtocolEsp;
  std::vector<Payload> payloads;
  payloads.emplace_back(wire::NotifyPayload{wire::kDoiIpsec, protocol, type, std::move(spi), {}});
  return send_informational(core, sa, std::move(payloads));
}

void notify_in_clear(Core& core, IkeSa& sa, NotifyType type) {
  if (sa.established() || sa.notifies_sent >= kClearNotifies) return;
  ++sa.notifies_sent;
  wire::Header header;
  header.cookies = sa.cookies;
  header.exchange = wire::ExchangeType::informational;
  header.message_id = MessageId{core.rng().u32()};
  const std::array<Payload, 1> payloads{
      wire::NotifyPayload{wire::kDoiIpsec, wire::kProtocolIsakmp, type, {}, {}}};
  Bytes datagram = wire::encode(header, payloads);
  // Nobody is sent more than he seems to have sent.
  if (datagram.size() > sa.request_bytes) return;
  Event event = core.event(EventId::notify_sent, sa);
  event.fields = {{"type", type_text(type)}};
  event.authenticated = false;
  core.raise(std::move(event));
  send_datagram(core, sa, std::move(datagram));
}

// IPComp's SA goes with what is over it, and has no DELETE of its own.
void send_delete(Core& core, IkeSa& sa, const std::vector<SaId>& inbound) {
  std::vector<Payload> payloads;
  for (const IpsecProtocol protocol : {IpsecProtocol::esp, IpsecProtocol::ah}) {
    const auto number = protocol == IpsecProtocol::ah ? wire::kProtocolAh : wire::kProtocolEsp;
    wire::DeletePayload deletion{wire::kDoiIpsec, number, 4, {}, {}};
    for (const SaId& id : inbound) {
      if (id.protocol != protocol) continue;
      ByteWriter spi;
      spi.u32(id.spi.value);
      deletion.spis.push_back(std::move(spi).take());
    }
    if (!deletion.spis.empty()) payloads.emplace_back(std::move(deletion));
  }
  send_informational(core, sa, std::move(payloads));
}

void send_delete_isakmp(Core& core, IkeSa& sa) {
  send_informational(core, sa,
                     {wire::DeletePayload{wire::kDoiIpsec,
                                          wire::kProtocolIsakmp,
                                          static_cast<std::uint8_t>(kCookiesBytes),
                                          {cookies_spi(sa)},
                                          {}}});
}

void on_initial_contact(Core& core, IkeSa& sa) {
  Peer* peer = core.find_peer(sa.peer);
  if (peer == nullptr) return;
  core.raise(core.event(EventId::initial_contact, sa));
  // What was there before the peer began this negotiation is of a life it no longer remembers. What was
  // established meanwhile is not meant: both sides may have begun at once.
  const std::vector<IkeSaId> ids = peer->ike_sas;
  for (const IkeSaId id : ids) {
    IkeSa* older = core.find_sa(id);
    if (older == nullptr || older == &sa || !older->established()) continue;
    if (*older->established_at < sa.begun_at) remove_ike_sa(core, *older);
  }
  remove_sa_pairs_older_than(core, *peer, sa.begun_at, "peer", "INITIAL-CONTACT");
}

Event weak_used_event(Core& core, const Peer& peer, std::string tunnel, const std::vector<Weak>& weak) {
  Event event = core.event(EventId::weak_used, peer, std::move(tunnel));
  std::string words;
  for (const Weak word : weak) words += (words.empty() ? "" : " ") + std::string(weak_word(word));
  event.fields = {{"algorithms", words}, {"reason", peer.config.waiver.reason}};
  if (peer.config.waiver.until) {
    const std::chrono::year_month_day date(*peer.config.waiver.until);
    const auto two = [](unsigned value) { return (value < 10 ? "0" : "") + std::to_string(value); };
    event.fields.emplace_back("until", std::to_string(static_cast<int>(date.year())) + "-" +
                                           two(static_cast<unsigned>(date.month())) + "-" +
                                           two(static_cast<unsigned>(date.day())));
  }
  return event;
}

}  // namespace oakgate::ike
