// Tunnels: when a selector pair is negotiated, what follows when that worked or failed, how SA pairs age and
// are replaced. Phase 2's bookkeeping; the messages are in quick_mode.cc.
#pragma once

#include <string_view>
#include <vector>

#include "ike/core.h"

namespace oakgate::ike {

enum class Why : std::uint8_t { traffic, configuration, command, rekey, retry };

// Starts what is missing: phase 1, or this pair's Quick Mode. Nothing happens if it is under way already.
void want_pair(Core& core, Peer& peer, Pair& pair, Why why);
// Every `on-start` pair of a peer that should be up and is not.
void start_configured(Core& core, Peer& peer);
// If such a pair cannot even begin (no address, say), the peer's `last_error` tells why.
void say_what_is_missing(Core& core, Peer& peer);
// Tells the data plane what to guard, if that has changed. A narrowed pair is guarded while it has SAs;
// `coming` is its first, about to be installed.
void guard(Core& core, Peer& peer, Pair& pair, const SaPair* coming = nullptr);

// Phase 1 with a peer is there: the wanted pairs go on.
void phase1_ready(Core& core, Peer& peer);
// Phase 1 failed: every pair that waited for it fails.
void phase1_lost(Core& core, Peer& peer, const Error& error);

// A new SA pair carries; what it replaces, that is what was there when its negotiation began, ages.
//
// Collisions: both sides may negotiate the same selector pair at once, so that each SA pair was not there
// when the other began. Of these the one with the lower SPI stays (the lower of its two, as a number: both
// ends see the same), the other ages as if replaced: its initiator deletes it after Limits::old_sa_grace, its
// responder after twice that time if the initiator has not. So one is left at both ends, whatever rule the
// peer has. Our own offer is repeated no more if it has no answer yet when the peer's is complete.
[[nodiscard]] bool loses_collision(const Pair& pair, Spi in, Spi out, const std::vector<SaPairId>& replaces);
SaPair& add_sa_pair(Core& core, Peer& peer, Pair& pair, SaPair fresh, const std::vector<SaPairId>& replaces);

// It is deleted after the grace; `deleter` is our role in the exchange that makes it superfluous: the
// initiator deletes first.
void age(Core& core, SaPair& sas, Role deleter);

// Make before break. Many responders receive with the new SA only once message 3 is there, and message 3 may
// be late or lost. So the initiator of a renewal goes on sending with the old SA for Limits::switch_delay
// after message 3, and after each repetition of it; at once when no older pair is left to send with. An SA
// pair that lost a collision does not send unless it is the only one left.
void hold_outbound(Core& core, Pair& pair, SaPair& sas, std::vector<SaSpec> outbound);
// The peer has asked for message 3 again.
void hold_outbound_longer(Core& core, SaPairId id);
void on_phase2_switch_due(Core& core, SaPairId id);
// All that wait for it begin to send at once.
void send_with_held(Core& core, Pair& pair);
void on_outbound_installed(Core& core, SaPairId id, const Result<void>& result);
void pair_is_up(Core& core, Peer& peer, Pair& pair);
void pair_failed(Core& core, Peer& peer, Pair& pair, const Error& error);
// Takes an SA pair out of the data plane and the books; sends nothing.
void remove_sa_pair(Core& core, Pair& pair, SaPairId id, std::string_view by, std::string_view reason);
// The same, telling the peer first if an IKE SA is there.
void delete_sa_pair(Core& core, Peer& peer, Pair& pair, SaPairId id, std::string_view reason);
// All SA pairs of a peer.
void remove_sa_pairs(Core& core, Peer& peer, std::string_view by, std::string_view reason);
// Those that were established before `before`.
void remove_sa_pairs_older_than(Core& core, Peer& peer, Instant before, std::string_view by,
                                std::string_view reason);
// The peer deleted the SA it receives with, that is the one we send with.
void on_peer_deleted(Core& core, Peer& peer, IpsecProtocol protocol, Spi outbound);

// Negotiates what is to replace it.
void renew(Core& core, const SaPair& sas);
// A life that the peer has told us of afterwards. A longer one changes nothing.
void shorten_life(Core& core, SaPair& sas, Seconds life);
// Whether an IKE SA with the peer would be of use: a tunnel is there, wanted, or begins by itself.
[[nodiscard]] bool needs_phase1(const Peer& peer);
// The peer has no SA for what we send with: likewise. Whether there was one.
bool on_peer_lost(Core& core, Peer& peer, Spi outbound);

// From timers and the data plane.
void on_pair_retry_due(Core& core, Peer& peer, Pair& pair);
void on_phase2_rekey_due(Core& core, SaPairId id);
// The answer to CountTraffic: an idle SA pair is not renewed where `rekey` says so.
void on_traffic_counted(Core& core, SaPairId id, const Result<std::uint64_t>& packets);
void on_phase2_soft_limit(Core& core, SaPairId id);  // of kilobytes
void on_phase2_expired(Core& core, SaPairId id);
void on_phase2_replaced(Core& core, SaPairId id);

[[nodiscard]] SaPair* find_sa_pair(Core& core, SaPairId id);
[[nodiscard]] std::string tunnel_name(const Peer& peer, const Pair& pair);
// Whether the peer's waiver holds; if not, says so in `last_error` and an event.
[[nodiscard]] bool waiver_holds(Core& core, Peer& peer);
// The same error, its text naming the peer: `last_error` and the answer to `up` stand alone, without a log
// line's prefix.
[[nodiscard]] Error about(const Peer& peer, Error error);
void set_error(Core& core, Peer& peer, const Error& error);
void set_error(Core& core, Peer& peer, Pair& pair, const Error& error);

}  // namespace oakgate::ike
