#include "ike/quick_mode.h"

#include <algorithm>
#include <array>
#include <limits>

#include "ike/attributes.h"
#include "ike/commit_bit.h"
#include "ike/crypto/keys.h"
#include "ike/dead_peers.h"
#include "ike/identities.h"
#include "ike/informational.h"
#include "ike/narrowed_pairs.h"
#include "ike/phase2_keys.h"
#include "ike/responder_lifetime.h"
#include "ike/sa_book.h"
#include "ike/transport.h"
#include "ike/tunnels.h"

namespace oakgate::ike {

namespace {

using wire::ExchangeType;
using wire::Payload;
using wire::PayloadType;

constexpr std::size_t kShortestNonce = 8;
constexpr std::size_t kLongestNonce = 256;
constexpr std::uint8_t kMany = 64;
constexpr Milliseconds kMessage3Late{1000};  // after it was sent; to renew as soon as that is rare
constexpr Milliseconds kFreshPhase1{60000};  // an SA as young as this is not taken for dead after one silence

QuickMode& quick_of(Run& run) {
  return static_cast<QuickMode&>(run.exchange);
}
Peer& peer_of(Run& run) {
  return *run.core.find_peer(run.sa.peer);
}
Pair& pair_of(Run& run) {
  return *run.core.find_pair(quick_of(run).reqid);
}

// A waiver that has ended allows no weak group, whatever else the peer may go on with.
TransformWishes wishes_of(Run& run, const Peer& peer, const Pair& pair) {
  const TunnelConfig& tunnel = peer.config.tunnels[pair.tunnel];
  const WeakWaiver& waiver = peer.config.waiver;
  const bool holds = !waiver.expired(run.core.now().wall);
  const IkeSa& sa = run.sa;
  const NatForm* form = sa.capabilities.nat_traversal;
  return {tunnel.transform_sets,
          tunnel.pfs,
          tunnel.lifetime,
          sa.nat.any(),
          holds ? &waiver : nullptr,
          own_traffic(pair.config.selectors, sa.local.address, sa.remote.address),
          form == nullptr ? NatTraversal::off : form->id};
}

Event pair_event(Run& run, EventId id) {
  Event event = run.core.event(id, run.sa);
  if (const Pair* pair = run.core.find_pair(quick_of(run).reqid)) {
    event.tunnel = tunnel_name(peer_of(run), *pair);
    event.fields.emplace_back("selectors", pair->config.selectors.to_string());
  }
  return event;
}

// ---- hashes

Result<Bytes> hash_for(const Run& run, int number, ByteView rest) {
  const auto prf = run.sa.policy->hash;
  const Exchange& exchange = run.exchange;
  if (number == 1) return crypto::hash_1(prf, run.sa.keys, exchange.id, rest);
  if (number == 2) return crypto::hash_2(prf, run.sa.keys, exchange.id, exchange.nonce_i, rest);
  return crypto::hash_3(prf, run.sa.keys, exchange.id, exchange.nonce_i, exchange.nonce_r);
}

// Past this the sender is known, and an error ends the exchange.
Result<void> check_hash(Run& run, int number) {
  auto expected = hash_for(run, number, run.message->behind_hash());
  if (!expected) return fail(std::move(expected.error()));
  if (!equal_constant_time(*expected, payload_of<wire::HashPayload>(run.message->body)->data)) {
    return fail(ErrorCode::not_authenticated,
                "a Quick Mode message whose HASH(" + std::to_string(number) + ") does not verify");
  }
  run.authenticated = true;
  run.sa.proved_at = run.message->datagram.remote;
  note_commit_bit(run);
  return {};
}

Result<void> send_hashed(Run& run, int number, std::vector<Payload> rest, Expect expect) {
  auto hash = hash_for(run, number, wire::encode_body(rest));
  if (!hash) return fail(std::move(hash.error()));
  rest.insert(rest.begin(), wire::HashPayload{std::move(*hash)});
  return send_encrypted(run.core, run.sa, run.exchange, ExchangeType::quick, rest, expect);
}

// SA, N [, KE], IDci, IDcr: a responder's are the peer's, byte for byte, as some compare them so.
std::vector<Payload> negotiation_payloads(Run& run, wire::SaPayload sa, const Bytes& nonce) {
  std::vector<Payload> payloads{std::move(sa), wire::NoncePayload{nonce}};
  if (run.exchange.key_exchange.ours) {
    payloads.emplace_back(wire::KeyExchangePayload{run.exchange.key_exchange.ours->public_value});
  }
  if (const auto& theirs = quick_of(run).peer_ids; !theirs.empty()) {
    payloads.insert(payloads.end(), theirs.begin(), theirs.end());
    return payloads;
  }
  const SelectorPair& selectors = pair_of(run).config.selectors;
  const bool ours = run.exchange.role == Role::initiator;
  payloads.emplace_back(client_id(ours ? selectors.local : selectors.remote));
  payloads.emplace_back(client_id(ours ? selectors.remote : selectors.local));
  return payloads;
}

// ---- what a message says

Result<Bytes> read_nonce(const Run& run) {
  const auto& nonce = *payload_of<wire::NoncePayload>(run.message->body);
  if (nonce.data.size() >= kShortestNonce && nonce.data.size() <= kLongestNonce) return nonce.data;
  return reject(NotifyType::payload_malformed, ErrorCode::malformed,
                "the nonce has " + std::to_string(nonce.data.size()) + " bytes", "8 to 256 bytes");
}

// The KE payload must be there exactly if a group was chosen.
Result<Bytes> read_public_value(const Run& run, const std::optional<DhGroup>& pfs) {
  const auto* ke = payload_of<wire::KeyExchangePayload>(run.message->body);
  if (!pfs && ke == nullptr) return Bytes{};
  if (pfs && ke != nullptr && ke->data.size() == info(*pfs).public_bytes) return ke->data;
  return reject(NotifyType::invalid_key_information, ErrorCode::malformed,
                ke == nullptr ? "PFS was chosen, but the KE payload is missing"
                              : "the KE payload does not fit the chosen group",
                pfs ? "a KE payload for " + std::string(info(*pfs).name) : "no KE payload");
}

std::vector<wire::IdPayload> client_ids(const Run& run) {
  std::vector<wire::IdPayload> ids;
  for (const auto* id : payloads_of<wire::IdPayload>(run.message->body)) ids.push_back(*id);
  return ids;
}

// Without client identities the traffic is the gateways' own (RFC 2409 section 5.5).
Result<SelectorPair> read_selectors(const Run& run) {
  const auto ids = payloads_of<wire::IdPayload>(run.message->body);
  SelectorPair pair{{Subnet::host(run.sa.local.address)}, {Subnet::host(run.sa.remote.address)}};
  if (ids.empty()) return pair;
  if (ids.size() != 2) {
    return reject(NotifyType::invalid_id_information, ErrorCode::malformed,
                  "one client identity without the other", "IDci and IDcr, or neither");
  }
  auto first = parse_client_id(*ids[0]);
  if (!first) return fail(std::move(first.error()));
  auto second = parse_client_id(*ids[1]);
  if (!second) return fail(std::move(second.error()));
  const bool ours = run.exchange.role == Role::initiator;
  return SelectorPair{ours ? *first : *second, ours ? *second : *first};
}

Error proxy_error(const SelectorPair& offered, std::string expected) {
  return {ErrorCode::proxy_id_mismatch,
          "proxy identities not supported: " + offered.to_string() + " (local === remote)",
          std::move(expected), "make `local` and `remote` the exact mirror of the peer's access list",
          NotifyType::invalid_id_information};
}

Result<void> refuse_selectors(Run& run, Error error) {
  Event event = pair_event(run, EventId::phase2_proxy_ids);
  event.error = error;
  run.core.raise(std::move(event));
  return fail(std::move(error));
}

Result<void> refuse_proposal(Run& run, Error error, ProposalReport report) {
  Event event = pair_event(run, EventId::phase2_no_proposal);
  event.proposals = std::move(report);
  event.error = error;
  run.core.raise(std::move(event));
  return fail(std::move(error));
}

// ---- initiator

// Message 1, once our key pair is there or none is needed.
Result<void> send_offer(Run& run) {
  QuickMode& quick = quick_of(run);
  if (run.job != nullptr) quick.key_exchange.ours = std::get<crypto::DhKeyPair>(std::move(*run.job->result));
  quick.nonce_i = run.core.random(run.core.limits().nonce_bytes);
  auto offer = offer_transforms(wishes_of(run, peer_of(run), pair_of(run)), quick.our_spis);
  if (!offer) return fail(std::move(offer.error()));
  return send_hashed(run, 1, negotiation_payloads(run, std::move(*offer), quick.nonce_i), Expect::answer);
}

void read_notifies(const Run& run, ChosenTransform& chosen) {
  for (const auto* notify : payloads_of<wire::NotifyPayload>(run.message->body)) {
    if (notify->type == NotifyType::responder_lifetime)
      chosen.lifetime = smaller_life(chosen.lifetime, told_life(*notify));
  }
}

Result<void> take_choice(Run& run) {
  QuickMode& quick = quick_of(run);
  if (auto verified = check_hash(run, 2); !verified) return verified;
  const TransformWishes wishes = wishes_of(run, peer_of(run), pair_of(run));
  const wire::SaPayload& reply = *payload_of<wire::SaPayload>(run.message->body);
  auto chosen = check_chosen_transform(wishes, reply);
  if (!chosen) return refuse_proposal(run, std::move(chosen.error()), compare_transforms(wishes, reply));
  auto nonce = read_nonce(run);
  if (!nonce) return fail(std::move(nonce.error()));
  auto theirs = read_public_value(run, chosen->pfs);
  if (!theirs) return fail(std::move(theirs.error()));
  auto selectors = read_selectors(run);
  if (!selectors) return fail(std::move(selectors.error()));
  const SelectorPair& ours = pair_of(run).config.selectors;
  // Exact proxy identities: a responder that narrows or widens them is refused.
  if (!selectors->same_traffic(ours)) return refuse_selectors(run, proxy_error(*selectors, ours.to_string()));
  read_notifies(run, *chosen);
  quick.nonce_r = std::move(*nonce);
  quick.chosen = std::move(*chosen);
  drop_unused_spis(run.core, quick);
  if (quick.chosen->pfs) {
    quick.key_exchange.theirs = std::move(*theirs);
    start_job(run, DhShared{quick.key_exchange.ours->clone(), quick.key_exchange.theirs});
  }
  return {};
}

Result<std::vector<SaSpec>> derive_sas(Run& run, bool inbound, bool outbound) {
  const Pair& pair = pair_of(run);
  return phase2_sas(run.sa, quick_of(run), pair, peer_of(run).config.tunnels[pair.tunnel], inbound, outbound);
}

Result<void> derive_and_install(Run& run, bool inbound, bool outbound) {
  QuickMode& quick = quick_of(run);
  if (run.job != nullptr) quick.key_exchange.shared = std::get<SecretBytes>(std::move(*run.job->result));
  if (inbound) quick.keyed_at = run.core.now().instant;
  auto sas = derive_sas(run, inbound, outbound);
  if (!sas) return fail(std::move(sas.error()));
  start_install(run, std::move(*sas));
  return {};
}

// A renewal holds its outbound SA back (tunnels.h), unless the peer is not any more where older ones send to
// (moved_peers.h).
bool renews(Run& run) {
  const Endpoint& peer = run.sa.remote;
  const auto& sas = pair_of(run).sas;
  return std::any_of(sas.begin(), sas.end(), [&](const SaPair& older) {
    return older.remote_gateway == peer.address &&
           (!older.encapsulation || older.encapsulation->remote_port == peer.port);
  });
}

Result<void> install_ours(Run& run) {
  quick_of(run).holds_outbound = renews(run) || quick_of(run).commit;
  return derive_and_install(run, true, !quick_of(run).holds_outbound);
}

Result<std::vector<SaSpec>> held_outbound(Run& run) {
  if (!quick_of(run).holds_outbound) return std::vector<SaSpec>{};
  return derive_sas(run, false, true);
}

// What was there when the exchange began ends soon. Each side deletes by that rule, the initiator first; an
// SA pair that was negotiated meanwhile is not meant, so two renewals at once never take each other's result
// away.
void retire_replaced(Core& core, const QuickMode& quick) {
  for (const SaPairId id : quick.replaces) {
    if (SaPair* old = find_sa_pair(core, id)) age(core, *old, quick.role);
  }
}

// The peer has brought up what our own offer, still without an answer, was to. It is not repeated: one that
// comes late would look like a renewal. If it did arrive, the answer still counts.
void withdraw_offer(Core& core, Pair& pair) {
  if (!pair.negotiating) return;
  const auto [sa_id, id] = *pair.negotiating;
  IkeSa* sa = core.find_sa(sa_id);
  if (sa == nullptr) return;
  const auto own = sa->quick_modes.find(id);
  if (own == sa->quick_modes.end() || own->second->state != State::qm_i_sent_sa) return;
  QuickMode& quick = *own->second;
  pair.negotiating.reset();
  quick.withdrawn = true;
  quick.tries = std::numeric_limits<int>::max();  // the timer ends it, and sends nothing
  core.cancel(quick.retransmit_timer);
  quick.retransmit_timer =
      core.arm(core.limits().half_open_life, {TimerKind::retransmit, sa->id.value, id.value});
}

// `outbound`: the SAs that are held back.
void finish(Run& run, std::vector<SaSpec> outbound) {
  Core& core = run.core;
  QuickMode& quick = quick_of(run);
  Peer& peer = peer_of(run);
  Pair& pair = pair_of(run);
  if (pair.negotiating == std::pair(run.sa.id, quick.id)) pair.negotiating.reset();
  if (quick.role == Role::responder) withdraw_offer(core, pair);
  SaPair fresh = phase2_pair(run.sa, quick, pair);
  fresh.id = SaPairId{core.next_id()};
  fresh.established_at = core.now().instant;
  fresh.keyed_at = quick.keyed_at;
  SaPair& kept = add_sa_pair(core, peer, pair, std::move(fresh), quick.replaces);
  quick.result = kept.id;
  if (!outbound.empty()) hold_outbound(core, pair, kept, std::move(outbound));
  Event event = pair_event(run, EventId::phase2_established);
  event.fields.emplace_back("algorithms", to_string(kept.set));
  event.fields.emplace_back("spi_in", std::to_string(kept.in.spi.value));
  event.fields.emplace_back("spi_out", std::to_string(kept.out.spi.value));
  event.fields.emplace_back("lifetime", std::to_string(kept.lifetime.time.count()));
  event.fields.emplace_back("role", quick.role == Role::initiator ? "initiator" : "responder");
  core.raise(std::move(event));
  const auto weak = weak_things(kept.set, kept.pfs);
  if (!weak.empty()) core.raise(weak_used_event(core, peer, tunnel_name(peer, pair), weak));
  // Secrets are not needed any more; the exchange stays a while to answer repetitions.
  quick.key_exchange = {};
  const TimerId forget = core.arm(core.limits().half_open_life,
                                  {TimerKind::exchange_forgotten, run.sa.id.value, quick.id.value});
  static_cast<void>(forget);
  retire_replaced(core, quick);
  heard_from_peer(core, run.sa);
  pair_is_up(core, peer, pair);
}

// Message 3, when what we receive with is in the data plane. It is repeated while the peer's CONNECTED is
// awaited: "the other option is to retransmit the last ISAKMP message" (RFC 2408 section 3.1).
Result<void> confirm(Run& run) {
  if (quick_of(run).commit) {
    if (auto sent = send_hashed(run, 3, {}, Expect::answer); !sent) return sent;
    await_connected(run, State::qm_i_awaiting_connected);
    return {};
  }
  auto held = held_outbound(run);
  if (!held) return fail(std::move(held.error()));
  if (auto sent = send_hashed(run, 3, {}, Expect::nothing); !sent) return sent;
  finish(run, std::move(*held));
  return {};
}

// What we send with, unless another SA pair is to.
Result<void> install_outbound(Run& run) {
  QuickMode& quick = quick_of(run);
  quick.holds_outbound = loses_collision(pair_of(run), quick.our_spis.carrier(),
                                         quick.chosen->peer_spis.carrier(), quick.replaces);
  // The peer may send as soon as it has sent message 3.
  const SaPair coming = phase2_pair(run.sa, quick, pair_of(run));
  if (pair_of(run).narrows) guard(run.core, peer_of(run), pair_of(run), &coming);
  return quick.holds_outbound ? Result<void>{} : derive_and_install(run, false, true);
}

Result<void> take_fourth_message(Run& run) {
  if (auto taken = take_connected_message(run); !taken) return taken;
  return install_outbound(run);
}

Result<void> complete(Run& run) {
  auto held = held_outbound(run);
  if (!held) return fail(std::move(held.error()));
  finish(run, std::move(*held));
  return {};
}

// ---- responder

// What the peer's offer is to replace: all but what we negotiated just now, whose message 3 it may not have
// had yet when it began (tunnels.h, "Collisions").
std::vector<SaPairId> replaced_by_call(Core& core, const Pair& pair) {
  std::vector<SaPairId> replaced;
  for (const SaPair& old : pair.sas) {
    const bool just_now = core.now().instant - old.established_at < kMessage3Late;
    if (old.negotiated_as == Role::responder || !just_now) replaced.push_back(old.id);
  }
  return replaced;
}

Result<void> take_offer(Run& run) {
  QuickMode& quick = quick_of(run);
  if (auto verified = check_hash(run, 1); !verified) return verified;
  Peer& peer = peer_of(run);
  auto selectors = read_selectors(run);
  if (!selectors) return fail(std::move(selectors.error()));
  const auto reqid = pair_for_offer(run.core, peer, *selectors);
  if (!reqid) return refuse_selectors(run, reqid.error());
  quick.reqid = *reqid;
  quick.peer_ids = client_ids(run);
  const Pair& pair = pair_of(run);
  quick.replaces = replaced_by_call(run.core, pair);
  if (!waiver_holds(run.core, peer)) {
    return reject(NotifyType::no_proposal_chosen, ErrorCode::weak_waiver_expired,
                  "the peer's allow_weak has ended");
  }
  const TransformWishes wishes = wishes_of(run, peer, pair);
  quick.our_spis = new_spis(run.core, wishes.sets);
  const wire::SaPayload& offer = *payload_of<wire::SaPayload>(run.message->body);
  auto chosen = choose_transform(wishes, offer, quick.our_spis);
  if (!chosen) return refuse_proposal(run, std::move(chosen.error()), compare_transforms(wishes, offer));
  auto nonce = read_nonce(run);
  if (!nonce) return fail(std::move(nonce.error()));
  auto theirs = read_public_value(run, chosen->pfs);
  if (!theirs) return fail(std::move(theirs.error()));
  quick.nonce_i = std::move(*nonce);
  quick.nonce_r = run.core.random(run.core.limits().nonce_bytes);
  quick.key_exchange.theirs = std::move(*theirs);
  quick.chosen = std::move(*chosen);
  drop_unused_spis(run.core, quick);
  run.core.raise(pair_event(run, EventId::phase2_started));
  if (quick.chosen->pfs) start_job(run, DhGenerate{*quick.chosen->pfs});
  return {};
}

Result<void> share(Run& run) {
  QuickMode& quick = quick_of(run);
  if (run.job == nullptr) return {};  // no PFS
  quick.key_exchange.ours = std::get<crypto::DhKeyPair>(std::move(*run.job->result));
  start_job(run, DhShared{quick.key_exchange.ours->clone(), quick.key_exchange.theirs});
  return {};
}

Result<void> install_inbound(Run& run) {
  return derive_and_install(run, true, false);
}

// Message 2. It is repeated until message 3 comes: the initiator has nothing left to wait for.
Result<void> send_answer(Run& run) {
  const QuickMode& quick = quick_of(run);
  auto payloads = negotiation_payloads(run, quick.chosen->reply, quick.nonce_r);
  const OfferedLife& shortened = quick.chosen->shortened;
  if (shortened.time || shortened.kilobytes) {
    // IPComp is never alone, and its life is not what ends first.
    const auto& chosen = quick.chosen->reply.proposals;
    const bool comp_first = chosen.front().protocol == wire::kProtocolIpcomp;
    const std::uint8_t protocol = (comp_first ? chosen.back() : chosen.front()).protocol;
    const Spi spi = quick.our_spis.of(ipsec_protocol(protocol).value_or(IpsecProtocol::esp));
    payloads.emplace_back(phase2_life_notice(protocol, spi, shortened));
  }
  return send_hashed(run, 2, std::move(payloads), Expect::answer);
}

Result<void> take_confirmation(Run& run) {
  if (auto verified = check_hash(run, 3); !verified) return verified;
  if (!quick_of(run).commit) return install_outbound(run);
  await_connected(run, State::qm_r_awaiting_connected);
  return {};
}

// ---- the tables

constexpr std::array kOfferPayloads{
    PayloadRule{PayloadType::hash, 1, 1},           PayloadRule{PayloadType::sa, 1, 1},
    PayloadRule{PayloadType::nonce, 1, 1},          PayloadRule{PayloadType::key_exchange, 0, 1},
    PayloadRule{PayloadType::identification, 0, 2}, PayloadRule{PayloadType::notification, 0, kMany},
    PayloadRule{PayloadType::nat_oa, 0, 2},         PayloadRule{PayloadType::nat_oa_draft, 0, 2},
    PayloadRule{PayloadType::vendor_id, 0, kMany}};
constexpr std::array kConfirmPayloads{PayloadRule{PayloadType::hash, 1, 1},
                                      PayloadRule{PayloadType::notification, 0, kMany}};

constexpr Trigger kMessage = Trigger::message;
constexpr Trigger kJob = Trigger::job;
constexpr Trigger kWake = Trigger::wake;
constexpr PayloadType kHash = PayloadType::hash;
constexpr PayloadType kAny = PayloadType::none;
constexpr std::string_view kRfc = "RFC 2409 section 5.5";
constexpr std::string_view kCommit = "RFC 2408 section 3.1";

constexpr std::array kInitiator{
    Step{State::qm_i_generating, kJob, false, kAny, {}, send_offer, State::qm_i_sent_sa, kRfc},
    Step{State::qm_i_sent_sa, kMessage, true, kHash, kOfferPayloads, take_choice, State::qm_i_sharing, kRfc},
    Step{State::qm_i_sharing, kJob, false, kAny, {}, install_ours, State::qm_i_installing, kRfc},
    Step{State::qm_i_installing, kJob, false, kAny, {}, confirm, State::done, kRfc},
    Step{State::qm_i_awaiting_connected, kMessage, true, kHash, kConfirmPayloads, take_fourth_message,
         State::qm_i_installing_out, kCommit},
    Step{State::qm_i_awaiting_connected,
         kWake,
         false,
         kAny,
         {},
         install_outbound,
         State::qm_i_installing_out,
         kCommit},
    Step{State::qm_i_installing_out, kJob, false, kAny, {}, complete, State::done, kRfc},
};
constexpr std::array kResponder{
    Step{State::qm_r_start, kMessage, true, kHash, kOfferPayloads, take_offer, State::qm_r_generating, kRfc},
    Step{State::qm_r_generating, kJob, false, kAny, {}, share, State::qm_r_sharing, kRfc},
    Step{State::qm_r_sharing, kJob, false, kAny, {}, install_inbound, State::qm_r_installing_in, kRfc},
    Step{State::qm_r_installing_in, kJob, false, kAny, {}, send_answer, State::qm_r_sent_sa, kRfc},
    Step{State::qm_r_sent_sa, kMessage, true, kHash, kConfirmPayloads, take_confirmation,
         State::qm_r_installing_out, kRfc},
    Step{State::qm_r_awaiting_connected, kMessage, true, kHash, kConfirmPayloads, take_fourth_message,
         State::qm_r_installing_out, kCommit},
    Step{State::qm_r_awaiting_connected,
         kWake,
         false,
         kAny,
         {},
         install_outbound,
         State::qm_r_installing_out,
         kCommit},
    Step{State::qm_r_installing_out, kJob, false, kAny, {}, complete, State::done, kRfc},
};

std::unique_ptr<QuickMode> new_exchange(Core& core, Role role, MessageId id) {
  auto quick = std::make_unique<QuickMode>();
  quick->kind = ExchangeKind::quick_mode;
  quick->role = role;
  quick->state = role == Role::initiator ? State::qm_i_generating : State::qm_r_start;
  quick->id = id;
  quick->begun_at = core.now().instant;
  quick->soft_percent = renewal_percent(core, role);
  return quick;
}

MessageId new_message_id(Core& core, const IkeSa& sa) {
  MessageId id;
  do {
    id = MessageId{core.rng().u32()};
  } while (id == MessageId{} || remembered(sa, id));
  return id;
}

// SAs that were installed for an exchange that came to nothing.
void take_back(Core& core, const IkeSa& sa, QuickMode& quick) {
  if (quick.result || quick.our_spis == ProtocolSpis{}) return;
  core.effect(RemoveSas{phase2_ids(sa, quick)});
  release_spis(core, quick.our_spis);
  quick.our_spis = {};
}

// Message 3 did not come, or not so that it could be read. The peer may have sent it and believe in SAs that
// are taken back here.
std::vector<SaId> inbound_ids(const IkeSa& sa, const QuickMode& quick) {
  std::vector<SaId> ids = phase2_ids(sa, quick);
  std::erase_if(ids, [&](const SaId& id) { return id.destination != sa.local.address; });
  return ids;
}

}  // namespace

std::span<const Step> quick_mode_steps(Role role) {
  if (role == Role::initiator) return kInitiator;
  return kResponder;
}

void start_quick_mode(Core& core, IkeSa& sa, Peer& peer, Pair& pair) {
  auto fresh = new_exchange(core, Role::initiator, new_message_id(core, sa));
  QuickMode& quick = *fresh;
  remember(core, sa, quick.id);
  auto iv = first_iv(sa, quick.id);
  if (!iv) {
    pair_failed(core, peer, pair, iv.error());
    return;
  }
  quick.iv = std::move(*iv);
  quick.reqid = pair.config.reqid;
  quick.our_spis = new_spis(core, peer.config.tunnels[pair.tunnel].transform_sets);
  for (const SaPair& old : pair.sas) quick.replaces.push_back(old.id);
  pair.negotiating = std::pair(sa.id, quick.id);
  sa.quick_modes.emplace(quick.id, std::move(fresh));
  Run run{core, sa, quick};
  core.raise(pair_event(run, EventId::phase2_started));
  if (const auto pfs = peer.config.tunnels[pair.tunnel].pfs) start_job(run, DhGenerate{*pfs});
  run_from_start(core, sa, quick);
}

void answer_quick_mode(Core& core, IkeSa& sa, Received& message) {
  if (sa.quick_modes.size() >= core.limits().exchanges_per_sa) {
    Event event = core.event(EventId::limit_reached, sa);
    event.error = Error{ErrorCode::in_use,
                        "too many phase 2 exchanges under one IKE SA",
                        "at most " + std::to_string(core.limits().exchanges_per_sa),
                        {},
                        {}};
    core.raise(std::move(event));
    return;
  }
  const MessageId id = message.header.message_id;
  auto fresh = new_exchange(core, Role::responder, id);
  QuickMode& quick = *fresh;
  auto iv = first_iv(sa, id);
  if (!iv) return;
  quick.iv = std::move(*iv);
  sa.quick_modes.emplace(id, std::move(fresh));
  run_message(core, sa, quick, message);
  if (quick.state == State::qm_r_start && !quick.failed) {
    forget_quick_mode(core, sa, id);  // HASH(1) did not verify: as if nothing had come
  } else {
    remember(core, sa, id);
  }
}

void quick_mode_failed(Core& core, IkeSa& sa, QuickMode& quick, Error error) {
  quick.failed = true;
  Run run{core, sa, quick};
  if (error.notify) {
    ByteWriter spi;
    if (quick.chosen) spi.u32(quick.chosen->peer_spis.carrier().value);
    notify_protected(core, sa, *error.notify, std::move(spi).take());
  }
  take_back(core, sa, quick);
  Event event = pair_event(run, EventId::phase2_failed);
  event.error = error;
  core.raise(std::move(event));
  remember(core, sa, quick.id);
  const Reqid reqid = quick.reqid;
  const MessageId id = quick.id;
  forget_quick_mode(core, sa, id);
  Peer* peer = core.find_peer(sa.peer);
  Pair* pair = core.find_pair(reqid);
  if (peer == nullptr) return;
  if (pair == nullptr) {
    set_error(core, *peer, error);
  } else if (pair->negotiating == std::pair(sa.id, id)) {
    pair->negotiating.reset();
    pair_failed(core, *peer, *pair, error);
  } else if (pair->sas.empty()) {
    set_error(core, *peer, *pair, error);
  }
}

void quick_mode_timed_out(Core& core, IkeSa& sa, QuickMode& quick) {
  if (quick.withdrawn) {
    abandon_quick_mode(core, sa, quick);
    return;
  }
  if (awaits_connected(quick)) {
    on_connected_due(core, sa, quick.id);
    return;
  }
  Error error{ErrorCode::no_answer,
              sa.peer + " (" + sa.remote.address.to_string() + ") does not answer in Quick Mode",
              quick.role == Role::initiator ? "message 2 of Quick Mode" : "message 3 of Quick Mode",
              "see the peer's log: it may have dropped its IKE SA, or refuse without a word",
              {}};
  if (quick.role == Role::responder) send_delete(core, sa, inbound_ids(sa, quick));
  // The peer knows this IKE SA as long as it says anything else under it.
  const bool forgotten = quick.role == Role::initiator && sa.watch.heard < quick.begun_at;
  const bool fresh = core.now().instant - *sa.established_at < kFreshPhase1;
  if (!forgotten || fresh) {
    quick_mode_failed(core, sa, quick, std::move(error));
    if (forgotten && core.find_sa(sa.id) != nullptr) delete_ike_sa(core, sa, "no answer in Quick Mode");
    return;
  }
  // An SA that worked once and is silent now is most likely forgotten at the peer: begin anew with phase 1.
  delete_ike_sa(core, sa, "no answer in Quick Mode");
}

void quick_mode_repeated(Core& core, const QuickMode& quick) {
  if (quick.role == Role::initiator && quick.result) hold_outbound_longer(core, *quick.result);
}

void abandon_quick_mode(Core& core, IkeSa& sa, QuickMode& quick) {
  take_back(core, sa, quick);
  const MessageId id = quick.id;
  const Reqid reqid = quick.reqid;
  forget_quick_mode(core, sa, id);
  Pair* pair = core.find_pair(reqid);
  Peer* peer = core.find_peer(sa.peer);
  if (peer == nullptr || pair == nullptr || pair->negotiating != std::pair(sa.id, id)) return;
  pair->negotiating.reset();
  if (sa.xauth_refused) {
    // It would be asked for again, and again.
    pair_failed(core, *peer, *pair, *sa.xauth_refused);
    return;
  }
  pair->wanted = true;
  // Soon, but not within this call: its SA is just being taken apart.
  core.cancel(pair->retry_timer);
  pair->retry_timer = core.arm(Milliseconds{0}, {TimerKind::pair_retry_due, reqid.value, 0});
}

}  // namespace oakgate::ike
