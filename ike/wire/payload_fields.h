// The field list of each payload: what stands on the wire, in its order. FieldReader and FieldWriter
// (fields.h) run over the same list. RFC 2408 sections 3.4 to 3.16; the IPsec DOI's layouts are RFC 2407
// sections 4.6.1 (SA) and 4.6.2 (ID); attributes payload draft-dukes-ike-mode-cfg-02 section 3.2; NAT
// payloads RFC 3947 sections 3.2 and 5.2; the fragment payload is Cisco's.
#pragma once

#include "ike/wire/fields.h"
#include "ike/wire/message.h"

namespace oakgate::wire {

template <typename P, typename... Of>
concept OneOf = (std::same_as<std::remove_const_t<P>, Of> || ...);

// RFC 2408 sections 3.5, 3.14: "the SPI Size may be from zero (0) to sixteen (16)".
inline constexpr std::size_t kMaxSpiBytes = 16;
inline constexpr Flaw kSpiTooLong{NotifyType::invalid_spi, "a SPI longer than 16 bytes", "0 to 16 bytes"};

// RFC 2407 section 4.2: with secrecy or integrity, labels of variable layout follow the situation.
inline constexpr std::uint32_t kSituationsWithLabels = 0x02 | 0x04;

template <typename Io, OneOf<Header> P>
[[nodiscard]] bool fields(Io& io, P& p) {
  return io.cookie(p.cookies.initiator) && io.cookie(p.cookies.responder) && io.number(p.next_payload) &&
         io.number(p.version) && io.number(p.exchange) && io.number(p.flags) && io.number(p.message_id) &&
         io.number(p.length);
}

template <typename Io, OneOf<Transform> P>
[[nodiscard]] bool fields(Io& io, P& p) {
  return io.number(p.number) && io.number(p.id) && io.reserved(2) &&
         io.attributes_to_end(p.attributes, kMaxAttributes);
}

template <typename Io, OneOf<Proposal> P>
[[nodiscard]] bool fields(Io& io, P& p) {
  std::uint8_t spi_size = 0;
  std::uint8_t transforms = 0;
  return io.number(p.number) && io.number(p.protocol) && io.count(spi_size, p.spi.size()) &&
         io.count(transforms, p.transforms.size()) && io.check(spi_size <= kMaxSpiBytes, kSpiTooLong) &&
         io.bytes(p.spi, spi_size) &&
         io.chain(p.transforms, PayloadType::transform, kMaxTransforms,
                  [](auto& inner, auto& transform) { return fields(inner, transform); }) &&
         io.check(p.transforms.size() == transforms,
                  {NotifyType::bad_proposal_syntax, "the number of transforms is not what the proposal says",
                   "as many transforms as announced"});
}

template <typename Io, OneOf<SaPayload> P>
[[nodiscard]] bool fields(Io& io, P& p) {
  return io.number(p.doi) &&
         io.check(p.doi == kDoiIpsec || p.doi == kDoiIsakmp,
                  {NotifyType::doi_not_supported, "a domain of interpretation we do not know",
                   "the IPsec DOI, 1", ErrorCode::unsupported}) &&
         io.number(p.situation) &&
         io.check((p.situation & kSituationsWithLabels) == 0,
                  {NotifyType::situation_not_supported, "a situation with secrecy or integrity labels",
                   "SIT_IDENTITY_ONLY", ErrorCode::unsupported}) &&
         io.chain(p.proposals, PayloadType::proposal, kMaxProposals,
                  [](auto& inner, auto& proposal) { return fields(inner, proposal); });
}

template <typename Io,
          OneOf<KeyExchangePayload, HashPayload, SignaturePayload, NoncePayload, VendorIdPayload> P>
[[nodiscard]] bool fields(Io& io, P& p) {
  return io.rest(p.data);
}

template <typename Io, OneOf<IdPayload> P>
[[nodiscard]] bool fields(Io& io, P& p) {
  return io.number(p.type) && io.number(p.protocol) && io.number(p.port) && io.rest(p.data);
}

template <typename Io, OneOf<CertificatePayload> P>
[[nodiscard]] bool fields(Io& io, P& p) {
  return io.number(p.encoding) && io.rest(p.data);
}

template <typename Io, OneOf<CertificateRequestPayload> P>
[[nodiscard]] bool fields(Io& io, P& p) {
  return io.number(p.encoding) && io.rest(p.authority);
}

template <typename Io, OneOf<NotifyPayload> P>
[[nodiscard]] bool fields(Io& io, P& p) {
  std::uint8_t spi_size = 0;
  return io.number(p.doi) && io.number(p.protocol) && io.count(spi_size, p.spi.size()) && io.number(p.type) &&
         io.check(spi_size <= kMaxSpiBytes, kSpiTooLong) && io.bytes(p.spi, spi_size) && io.rest(p.data);
}

template <typename Io, OneOf<DeletePayload> P>
[[nodiscard]] bool fields(Io& io, P& p) {
  std::uint16_t count = 0;
  return io.number(p.doi) && io.number(p.protocol) && io.number(p.spi_size) &&
         io.check(p.spi_size <= kMaxSpiBytes, kSpiTooLong) && io.count(count, p.spis.size()) &&
         io.check(count <= kMaxDeletedSpis,
                  {NotifyType::payload_malformed, "too many SPIs to delete", "256 at most"}) &&
         io.repeat(p.spis, count, [&p](auto& inner, auto& spi) { return inner.bytes(spi, p.spi_size); }) &&
         io.rest(p.trailing);
}

template <typename Io, OneOf<AttributesPayload> P>
[[nodiscard]] bool fields(Io& io, P& p) {
  return io.number(p.type) && io.reserved(1) && io.number(p.identifier) &&
         io.attributes_to_end(p.attributes, kMaxAttributes);
}

template <typename Io, OneOf<NatDetectionPayload> P>
[[nodiscard]] bool fields(Io& io, P& p) {
  return io.rest(p.hash);
}

template <typename Io, OneOf<NatOriginalAddressPayload> P>
[[nodiscard]] bool fields(Io& io, P& p) {
  return io.number(p.id_type) && io.reserved(3) && io.rest(p.address);
}

template <typename Io, OneOf<FragmentPayload> P>
[[nodiscard]] bool fields(Io& io, P& p) {
  return io.number(p.id) && io.number(p.number) && io.number(p.flags) && io.rest(p.data);
}

template <typename Io, OneOf<UnknownPayload> P>
[[nodiscard]] bool fields(Io& io, P& p) {
  return io.rest(p.body);
}

}  // namespace oakgate::wire
