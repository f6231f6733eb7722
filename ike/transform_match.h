// Phase 2 proposals: RFC 2409 section 5.5, RFC 2407 section 4.5. Each of a tunnel's transform sets becomes a
// proposal with one transform, as IOS writes them; a peer's are compared by content, whatever their numbers
// and order.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "ike/attributes.h"
#include "ike/base/policy.h"
#include "ike/base/result.h"
#include "ike/wire/payloads.h"

namespace oakgate::ike {

// What a tunnel wants, and what this moment allows.
struct TransformWishes {
  std::span<const TransformSet> sets;
  std::optional<DhGroup> pfs;
  Lifetime lifetime;
  bool udp_encapsulation = false;  // a NAT was found: RFC 3947 section 5.1
  const WeakWaiver* waiver = nullptr;
};

[[nodiscard]] wire::SaPayload offer_transforms(const TransformWishes& wishes, Spi our_spi);

struct ChosenTransform {
  TransformSet set;
  std::optional<DhGroup> pfs;
  Lifetime lifetime;      // the smaller of theirs and ours, in each unit
  OfferedLife shortened;  // responder: what of it the peer has to be told
  Spi peer_spi;           // what we send with
  wire::SaPayload reply;  // responder: the chosen transform as offered, with our SPI
};

// Responder. A tunnel without `pfs` takes any group we allow, or none; one with `pfs` insists on a group. A
// weak group needs the peer's waiver.
[[nodiscard]] Result<ChosenTransform> choose_transform(const TransformWishes& wishes,
                                                       const wire::SaPayload& offer, Spi our_spi);
// Initiator: exactly one transform, one of those we offered, with a SPI.
[[nodiscard]] Result<ChosenTransform> check_chosen_transform(const TransformWishes& wishes,
                                                             const wire::SaPayload& reply);

}  // namespace oakgate::ike
