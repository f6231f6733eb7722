// ISAKMP payloads as plain structs: RFC 2408 sections 3.4 to 3.16, RFC 2407, draft-dukes-ike-mode-cfg, RFC
// 3947.
//
// A struct holds exactly what the wire says, nothing interpreted: parse(encode(x)) == x and, for well-formed
// bytes, encode(parse(b)) == b. Numbers are host order. Reserved fields must be zero on the wire and are not
// kept.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "ike/base/bytes.h"
#include "ike/base/notify_types.h"
#include "ike/base/types.h"
#include "ike/wire/numbers.h"

namespace oakgate::wire {

// RFC 2408 section 3.3. `basic`: the short form, whose value is exactly two bytes.
struct Attribute {
  std::uint16_t type = 0;
  bool basic = true;
  Bytes value;
  [[nodiscard]] static Attribute short_form(std::uint16_t type, std::uint16_t value);
  // Four bytes, the form old peers use for large life durations.
  [[nodiscard]] static Attribute long_form(std::uint16_t type, std::uint32_t value);
  // The value as a number in either form; nothing if it is empty or longer than 8 bytes (leading zeros
  // allowed).
  [[nodiscard]] std::optional<std::uint64_t> number() const;
  friend bool operator==(const Attribute&, const Attribute&) = default;
};

struct Transform {
  std::uint8_t number = 0;
  std::uint8_t id = 0;
  std::vector<Attribute> attributes;
  friend bool operator==(const Transform&, const Transform&) = default;
};

struct Proposal {
  std::uint8_t number = 0;
  std::uint8_t protocol = 0;
  Bytes spi;
  std::vector<Transform> transforms;
  friend bool operator==(const Proposal&, const Proposal&) = default;
};

struct SaPayload {
  std::uint32_t doi = kDoiIpsec;
  std::uint32_t situation = kSituationIdentityOnly;
  std::vector<Proposal> proposals;
  // The body as received, behind the generic header: HASH_I and HASH_R cover it byte for byte (SAi_b, RFC
  // 2409 section 5). Filled by the parser; the encoder ignores it; not part of equality.
  Bytes raw_body;
  friend bool operator==(const SaPayload& a, const SaPayload& b) {
    return a.doi == b.doi && a.situation == b.situation && a.proposals == b.proposals;
  }
};

struct KeyExchangePayload {
  Bytes data;
  friend bool operator==(const KeyExchangePayload&, const KeyExchangePayload&) = default;
};

struct IdPayload {
  IdType type{};
  std::uint8_t protocol = 0;
  std::uint16_t port = 0;
  Bytes data;
  // IDii_b / IDir_b: the body behind the generic header, as it goes into HASH_I, HASH_R.
  [[nodiscard]] Bytes body() const;
  friend bool operator==(const IdPayload&, const IdPayload&) = default;
};

struct CertificatePayload {
  std::uint8_t encoding = 0;
  Bytes data;
  friend bool operator==(const CertificatePayload&, const CertificatePayload&) = default;
};
struct CertificateRequestPayload {
  std::uint8_t encoding = 0;
  Bytes authority;  // may be empty: any
  friend bool operator==(const CertificateRequestPayload&, const CertificateRequestPayload&) = default;
};
struct HashPayload {
  Bytes data;
  friend bool operator==(const HashPayload&, const HashPayload&) = default;
};
struct SignaturePayload {
  Bytes data;
  friend bool operator==(const SignaturePayload&, const SignaturePayload&) = default;
};
struct NoncePayload {
  Bytes data;
  friend bool operator==(const NoncePayload&, const NoncePayload&) = default;
};
struct NotifyPayload {
  std::uint32_t doi = kDoiIpsec;
  std::uint8_t protocol = 0;
  NotifyType type{};
  Bytes spi;
  Bytes data;
  friend bool operator==(const NotifyPayload&, const NotifyPayload&) = default;
};
struct DeletePayload {
  std::uint32_t doi = kDoiIpsec;
  std::uint8_t protocol = 0;
  std::uint8_t spi_size = 4;
  std::vector<Bytes> spis;  // each spi_size bytes
  Bytes trailing;           // a reason string some peers append
  friend bool operator==(const DeletePayload&, const DeletePayload&) = default;
};
struct VendorIdPayload {
  Bytes data;
  friend bool operator==(const VendorIdPayload&, const VendorIdPayload&) = default;
};
struct AttributesPayload {
  std::uint8_t type = 0;
  std::uint16_t identifier = 0;
  std::vector<Attribute> attributes;
  friend bool operator==(const AttributesPayload&, const AttributesPayload&) = default;
};
// `type` says whether it is the RFC's payload or a draft's: nat_d or nat_d_draft.
struct NatDetectionPayload {
  PayloadType type = PayloadType::nat_d;
  Bytes hash;
  friend bool operator==(const NatDetectionPayload&, const NatDetectionPayload&) = default;
};
struct NatOriginalAddressPayload {
  PayloadType type = PayloadType::nat_oa;
  IdType id_type{};
  Bytes address;
  friend bool operator==(const NatOriginalAddressPayload&, const NatOriginalAddressPayload&) = default;
};
struct FragmentPayload {
  std::uint16_t id = 0;
  std::uint8_t number = 0;  // from 1
  std::uint8_t flags = 0;   // bit 0: the last one
  Bytes data;
  friend bool operator==(const FragmentPayload&, const FragmentPayload&) = default;
};
// A type we do not know: kept whole, so that it can be ignored, logged and re-encoded.
struct UnknownPayload {
  PayloadType type{};
  Bytes body;
  friend bool operator==(const UnknownPayload&, const UnknownPayload&) = default;
};

using Payload = std::variant<SaPayload, KeyExchangePayload, IdPayload, CertificatePayload,
                             CertificateRequestPayload, HashPayload, SignaturePayload, NoncePayload,
                             NotifyPayload, DeletePayload, VendorIdPayload, AttributesPayload,
                             NatDetectionPayload, NatOriginalAddressPayload, FragmentPayload, UnknownPayload>;

[[nodiscard]] PayloadType type_of(const Payload& payload);

}  // namespace oakgate::wire
