#include <algorithm>
#include <array>
#include <limits>

#include "ike/commit_bit.h"
#include "ike/phase2_keys.h"
#include "ike/quick_mode_parts.h"
#include "ike/responder_lifetime.h"
#include "ike/transport.h"
#include "ike/tunnels.h"

namespace oakgate::ike {

namespace {

using namespace quick_mode_table;

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
  if (!selectors->same_traffic(ours))
    return refuse_selectors(run, *selectors, proxy_error(*selectors, ours.to_string()));
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

}  // namespace

std::span<const Step> quick_mode_initiator_steps() {
  return kInitiator;
}

}  // namespace oakgate::ike
