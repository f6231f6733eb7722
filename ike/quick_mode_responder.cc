#include <array>

#include "ike/attributes.h"
#include "ike/commit_bit.h"
#include "ike/narrowed_pairs.h"
#include "ike/phase2_keys.h"
#include "ike/quick_mode_parts.h"
#include "ike/responder_lifetime.h"
#include "ike/tunnels.h"

namespace oakgate::ike {

namespace {

using namespace quick_mode_table;

constexpr Milliseconds kMessage3Late{1000};  // after it was sent; to renew as soon as that is rare

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
  if (!reqid) return refuse_selectors(run, *selectors, reqid.error());
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

}  // namespace

std::span<const Step> quick_mode_responder_steps() {
  return kResponder;
}

}  // namespace oakgate::ike
