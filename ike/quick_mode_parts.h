// What both ends of Quick Mode share: its hashes, what its messages say, the SAs that come of it, and the
// words of the two tables of steps, which stand in quick_mode_initiator.cc and quick_mode_responder.cc. RFC
// 2409 section 5.5.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ike/exchange.h"
#include "ike/transform_match.h"
#include "ike/transport.h"

namespace oakgate::ike {

[[nodiscard]] QuickMode& quick_of(Run& run);
[[nodiscard]] Pair& pair_of(Run& run);

// What is offered and taken: the tunnel's sets, as this moment allows them.
[[nodiscard]] TransformWishes wishes_of(Run& run, const Peer& peer, const Pair& pair);
// About the pair, once it is known.
[[nodiscard]] Event pair_event(Run& run, EventId id);

// ---- messages; `number` is that of HASH(1), HASH(2) and HASH(3)

// Past this the sender is known, and an error ends the exchange.
[[nodiscard]] Result<void> check_hash(Run& run, int number);
[[nodiscard]] Result<void> send_hashed(Run& run, int number, std::vector<wire::Payload> rest, Expect expect);
// SA, N [, KE], IDci, IDcr.
[[nodiscard]] std::vector<wire::Payload> negotiation_payloads(Run& run, wire::SaPayload sa,
                                                              const Bytes& nonce);

[[nodiscard]] Result<Bytes> read_nonce(const Run& run);
[[nodiscard]] Result<Bytes> read_public_value(const Run& run, const std::optional<DhGroup>& pfs);
[[nodiscard]] std::vector<wire::IdPayload> client_ids(const Run& run);
[[nodiscard]] Result<SelectorPair> read_selectors(const Run& run);

// Both raise the event and give the error back.
[[nodiscard]] Error proxy_error(const SelectorPair& offered, std::string expected);
[[nodiscard]] Result<void> refuse_selectors(Run& run, const SelectorPair& offered, Error error);
[[nodiscard]] Result<void> refuse_proposal(Run& run, Error error, ProposalReport report);

// ---- SAs

[[nodiscard]] Result<void> derive_and_install(Run& run, bool inbound, bool outbound);
// The outbound SAs that wait until the peer receives with its own; none if they are installed.
[[nodiscard]] Result<std::vector<SaSpec>> held_outbound(Run& run);
// The SA pair enters the books, with the outbound SAs that are held back.
void finish(Run& run, std::vector<SaSpec> outbound);

// ---- steps that stand in both tables

[[nodiscard]] Result<void> install_outbound(Run& run);
[[nodiscard]] Result<void> take_fourth_message(Run& run);  // CONNECTED (commit_bit.h)
[[nodiscard]] Result<void> complete(Run& run);

// ---- the tables

[[nodiscard]] std::span<const Step> quick_mode_initiator_steps();
[[nodiscard]] std::span<const Step> quick_mode_responder_steps();

namespace quick_mode_table {

using wire::PayloadType;
inline constexpr std::uint8_t kMany = 64;

inline constexpr std::array kOfferPayloads{
    PayloadRule{PayloadType::hash, 1, 1},           PayloadRule{PayloadType::sa, 1, 1},
    PayloadRule{PayloadType::nonce, 1, 1},          PayloadRule{PayloadType::key_exchange, 0, 1},
    PayloadRule{PayloadType::identification, 0, 2}, PayloadRule{PayloadType::notification, 0, kMany},
    PayloadRule{PayloadType::nat_oa, 0, 2},         PayloadRule{PayloadType::nat_oa_draft, 0, 2},
    PayloadRule{PayloadType::vendor_id, 0, kMany}};
inline constexpr std::array kConfirmPayloads{PayloadRule{PayloadType::hash, 1, 1},
                                             PayloadRule{PayloadType::notification, 0, kMany}};

inline constexpr Trigger kMessage = Trigger::message;
inline constexpr Trigger kJob = Trigger::job;
inline constexpr Trigger kWake = Trigger::wake;
inline constexpr PayloadType kHash = PayloadType::hash;
inline constexpr PayloadType kAny = PayloadType::none;
inline constexpr std::string_view kRfc = "RFC 2409 section 5.5";
inline constexpr std::string_view kCommit = "RFC 2408 section 3.1";

}  // namespace quick_mode_table

}  // namespace oakgate::ike
