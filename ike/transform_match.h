// Phase 2 proposals: RFC 2409 section 5.5, RFC 2407 section 4.5. Each of a tunnel's transform sets becomes a
// proposal with one transform, as IOS writes them; a set of AH and ESP becomes two with one number, which are
// ANDed (RFC 2408 section 4.2), and so is IPComp (RFC 3173 section 4.1). A peer's are compared by content,
// whatever their numbers and order: those with one number are one offer, of which every protocol must fit a
// set, and no protocol may be left over.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "ike/attributes.h"
#include "ike/base/nat_forms.h"
#include "ike/base/policy.h"
#include "ike/base/result.h"
#include "ike/proposal_report.h"
#include "ike/wire/payloads.h"

namespace oakgate::ike {

// What a tunnel wants, and what this moment allows.
struct TransformWishes {
  std::span<const TransformSet> sets;
  std::optional<DhGroup> pfs;
  Lifetime lifetime;
  bool udp_encapsulation = false;  // a NAT was found: RFC 3947 section 5.1
  const WeakWaiver* waiver = nullptr;
  bool own_traffic = false;  // the selectors are the two gateways: transport mode means what it says
  NatTraversal nat_form = NatTraversal::rfc;  // with udp_encapsulation: how its modes are numbered
  bool esn = false;                           // extended sequence numbers: asked for and insisted on
};
// Whether `selectors` are for the two gateways' own traffic, of whatever protocol and ports.
[[nodiscard]] bool own_traffic(const SelectorPair& selectors, const IpAddress& local,
                               const IpAddress& remote);

// The SPIs of one direction, one a protocol; 0: that protocol is not used.
struct ProtocolSpis {
  Spi ah;
  Spi esp;
  Spi comp{};  // the CPI
  [[nodiscard]] Spi of(IpsecProtocol protocol) const {
    return protocol == IpsecProtocol::ah ? ah : protocol == IpsecProtocol::esp ? esp : comp;
  }
  void set(IpsecProtocol protocol, Spi spi) {
    (protocol == IpsecProtocol::ah ? ah : protocol == IpsecProtocol::esp ? esp : comp) = spi;
  }
  // Of what carries the inner packets: ESP, or AH where that is alone.
  [[nodiscard]] Spi carrier() const { return esp != Spi{} ? esp : ah; }
  [[nodiscard]] bool has(Spi spi) const { return spi != Spi{} && (spi == ah || spi == esp || spi == comp); }
  friend auto operator<=>(const ProtocolSpis&, const ProtocolSpis&) = default;
};
// RFC 3173 section 3.3: CPIs from 256 to 61439 are negotiated; below are the well-known ones, above private
// ones.
inline constexpr std::uint32_t kFirstCpi = 256;
inline constexpr std::uint32_t kLastCpi = 61439;
// A DELETE's or a proposal's protocol; nothing if it is none of AH, ESP and IPComp.
[[nodiscard]] std::optional<IpsecProtocol> ipsec_protocol(std::uint8_t number);
[[nodiscard]] std::uint8_t protocol_number(IpsecProtocol protocol);
// Its SPI field there; nothing if it is none that an SA can have. A CPI has 2 bytes or 4, of which the upper
// two "MUST be ignored" (RFC 3173 section 4.1).
[[nodiscard]] std::optional<Spi> read_spi(IpsecProtocol protocol, const Bytes& raw);

// Sets that this moment does not allow are left out; ErrorCode::unsupported if none is left: AH covers the
// addresses, so it cannot pass a NAT (RFC 3947 section 1).
[[nodiscard]] Result<wire::SaPayload> offer_transforms(const TransformWishes& wishes,
                                                       const ProtocolSpis& our_spis);

struct ChosenTransform {
  TransformSet set;  // with the mode that was agreed on
  std::optional<DhGroup> pfs;
  Lifetime lifetime;       // the smaller of theirs and ours, in each unit
  OfferedLife shortened;   // responder: what of it the peer has to be told
  ProtocolSpis peer_spis;  // what we send with
  wire::SaPayload reply;   // responder: the chosen transforms as offered, with our SPIs
  bool esn = false;        // RFC 4304
};

// Responder. A tunnel without `pfs` takes any group we allow, or none; one with `pfs` insists on a group. A
// weak group needs the peer's waiver.
[[nodiscard]] Result<ChosenTransform> choose_transform(const TransformWishes& wishes,
                                                       const wire::SaPayload& offer,
                                                       const ProtocolSpis& our_spis);
// Why choose_transform found nothing.
[[nodiscard]] ProposalReport compare_transforms(const TransformWishes& wishes, const wire::SaPayload& offer);
// Initiator: exactly one transform a protocol, of a set we offered, with SPIs.
[[nodiscard]] Result<ChosenTransform> check_chosen_transform(const TransformWishes& wishes,
                                                             const wire::SaPayload& reply);

}  // namespace oakgate::ike
