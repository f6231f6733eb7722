#include "ike/quick_mode_parts.h"

#include <algorithm>
#include <limits>
#include <string>

#include "ike/commit_bit.h"
#include "ike/crypto/keys.h"
#include "ike/dead_peers.h"
#include "ike/identities.h"
#include "ike/informational.h"
#include "ike/narrowed_pairs.h"
#include "ike/phase2_keys.h"
#include "ike/quick_mode.h"
#include "ike/sa_book.h"
#include "ike/transport.h"
#include "ike/tunnels.h"

namespace oakgate::ike {

namespace {

using wire::ExchangeType;
using wire::Payload;

constexpr std::size_t kShortestNonce = 8;
constexpr std::size_t kLongestNonce = 256;

Result<Bytes> hash_for(const Run& run, int number, ByteView rest) {
  const auto prf = run.sa.policy->hash;
  const Exchange& exchange = run.exchange;
  if (number == 1) return crypto::hash_1(prf, run.sa.keys, exchange.id, rest);
  if (number == 2) return crypto::hash_2(prf, run.sa.keys, exchange.id, exchange.nonce_i, rest);
  return crypto::hash_3(prf, run.sa.keys, exchange.id, exchange.nonce_i, exchange.nonce_r);
}

Result<std::vector<SaSpec>> derive_sas(Run& run, bool inbound, bool outbound) {
  const Pair& pair = pair_of(run);
  return phase2_sas(run.sa, quick_of(run), pair, peer_of(run).config.tunnels[pair.tunnel], inbound, outbound);
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
  const auto own = own_quick_mode(core, pair);
  if (!own || own->quick->state != State::qm_i_sent_sa) return;
  QuickMode& quick = *own->quick;
  pair.negotiating.reset();
  quick.withdrawn = true;
  quick.tries = std::numeric_limits<int>::max();  // the timer ends it, and sends nothing
  core.cancel(quick.retransmit_timer);
  quick.retransmit_timer =
      core.arm(core.limits().half_open_life, {TimerKind::retransmit, own->sa->id.value, quick.id.value});
}

}  // namespace

QuickMode& quick_of(Run& run) {
  return static_cast<QuickMode&>(run.exchange);
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
          form == nullptr ? NatTraversal::off : form->id,
          tunnel.esn};
}

Event pair_event(Run& run, EventId id) {
  Event event = run.core.event(id, run.sa);
  if (const Pair* pair = run.core.find_pair(quick_of(run).reqid)) {
    event.tunnel = tunnel_name(peer_of(run), *pair);
    event.fields.emplace_back("selectors", pair->config.selectors.to_string());
  }
  return event;
}

// ---- messages

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

Result<void> refuse_selectors(Run& run, const SelectorPair& offered, Error error) {
  Event event = pair_event(run, EventId::phase2_proxy_ids);
  event.fields.emplace_back("offered", offered.to_string());
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

// ---- SAs

Result<void> derive_and_install(Run& run, bool inbound, bool outbound) {
  QuickMode& quick = quick_of(run);
  if (run.job != nullptr) quick.key_exchange.shared = std::get<SecretBytes>(std::move(*run.job->result));
  if (inbound) quick.keyed_at = run.core.now().instant;
  auto sas = derive_sas(run, inbound, outbound);
  if (!sas) return fail(std::move(sas.error()));
  start_install(run, std::move(*sas));
  return {};
}

Result<std::vector<SaSpec>> held_outbound(Run& run) {
  if (!quick_of(run).holds_outbound) return std::vector<SaSpec>{};
  return derive_sas(run, false, true);
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
  // The exchange stays a while to answer repetitions (Exchange::retire).
  const TimerId forget = core.arm(core.limits().half_open_life,
                                  {TimerKind::exchange_forgotten, run.sa.id.value, quick.id.value});
  static_cast<void>(forget);
  retire_replaced(core, quick);
  heard_from_peer(core, run.sa);
  pair_is_up(core, peer, pair);
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

}  // namespace oakgate::ike
