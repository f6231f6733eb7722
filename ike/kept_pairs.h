// SA pairs that outlive the daemon: what is remembered of each, and how a new run carries on with those that
// its data plane still has.
//
// Phase 1 is not kept: the cookies and keys of IKE SAs end with the process. So each pair is renewed under a
// new IKE SA soon after the start, make before break, and the peer is not told INITIAL-CONTACT as long as
// there is one (append_initial_contact); what could not be carried on with is deleted at the peer then.
#pragma once

#include <vector>

#include "ike/core.h"
#include "ike/kept_pair.h"

namespace oakgate::ike {

// Its SAs, without keys, limits and window, for the data plane to look for.
[[nodiscard]] std::vector<SaSpec> kept_sas(const KeptPair& pair);
// As `present`, what the data plane has found, says: `receives_only` and `lost` are set.
[[nodiscard]] std::vector<KeptPair> still_there(std::vector<KeptPair> pairs, std::vector<SaId> present);

// A new run's peer, not guarded yet: its pairs of an earlier run are in the books again, where its
// configuration still has them. What does not fit leaves the data plane.
void adopt_pairs(Core& core, Peer& peer, std::vector<KeptPair> kept);
// Of a peer that is not configured any more.
void drop_kept(Core& core, const std::vector<KeptPair>& kept);
// What EngineConfig::keep asks for; nothing without it.
void remember_pair(Core& core, const Peer& peer, const Pair& pair, const SaPair& sas);
void forget_pair(Core& core, const SaPair& sas);
// Every pair: `keep` has just been configured.
void remember_all(Core& core);
// `adopted_due`: the renewal, or, where `rekey` forbids it, at least an IKE SA.
void on_adopted_due(Core& core, SaPairId id);

}  // namespace oakgate::ike
