// Narrowed pairs: where a tunnel says `accept: subset`, a peer may begin Quick Mode for proxy identities that
// lie within the configured ones. What it asks for then is a selector pair of its own, with its own reqid and
// policy, besides the one it is a part of; as its policy is the narrower one, its traffic is its own.
//
//   made      by the peer's message 1, unless a pair with just this traffic is there already, which serves
//   guarded   from the moment its SAs are complete on: before, its traffic is the wider pair's
//   renewed   by either side, as every pair. We never begin one, nor begin it again once it has no SA
//   gone      with its last SA; its traffic is the wider pair's again, and as guarded as ever
//
// A peer takes nothing that another pair has by the configuration: where that pair decides and not the wider
// one, the offer is refused.
#pragma once

#include "ike/core.h"

namespace oakgate::ike {

// The pair that an offer is about: of this very traffic, or made now. An error says why there is none, for
// the peer as INVALID-ID-INFORMATION.
// `reqid`: that one's, if it is new and the reqid free.
[[nodiscard]] Result<Reqid> pair_for_offer(Core& core, Peer& peer, const SelectorPair& offered,
                                           std::optional<Reqid> reqid = {});

// It has lost an SA, or an exchange about it: at the end of the call it goes if nothing is left of it. No
// effect on configured pairs.
void narrowed_may_go(Core& core, Reqid reqid);
void forget_unused_narrowed(Core& core);

// Those that a new configuration gives to another pair.
[[nodiscard]] std::vector<Reqid> narrowed_out_of_place(Core& core, const Peer& peer);

// Whether the pair, or a narrowed one of it, has an SA.
[[nodiscard]] bool is_served(const Peer& peer, const Pair& pair);

}  // namespace oakgate::ike
