// The numbers of ISAKMP and its IPsec DOI that are not algorithms: payload, exchange, identity and attribute
// types. RFC 2408 sections 3.1 and 3.4-3.16, RFC 2407 sections 4.5 and 4.6, RFC 2409 Appendix A, RFC 3947
// section 3.2; configuration and XAUTH attributes, draft-dukes-ike-mode-cfg-02, draft-beaulieu-ike-xauth-02.
#pragma once

#include <cstdint>
#include <string_view>

namespace oakgate::wire {

enum class PayloadType : std::uint8_t {
  none = 0,
  sa = 1,
  proposal = 2,
  transform = 3,
  key_exchange = 4,
  identification = 5,
  certificate = 6,
  certificate_request = 7,
  hash = 8,
  signature = 9,
  nonce = 10,
  notification = 11,
  deletion = 12,
  vendor_id = 13,
  attributes = 14,  // draft-dukes-ike-mode-cfg-02
  nat_d = 20,
  nat_oa = 21,  // RFC 3947
  nat_d_draft = 130,
  nat_oa_draft = 131,
  fragment = 132,  // Cisco IKE fragmentation
};
[[nodiscard]] std::string_view payload_name(PayloadType type);  // "SA", "KE", "ID", ...; "payload" if unknown

enum class ExchangeType : std::uint8_t {
  base = 1,
  identity_protection = 2,
  authentication_only = 3,
  aggressive = 4,
  informational = 5,
  transaction = 6,
  quick = 32,
  new_group = 33,
};
[[nodiscard]] std::string_view exchange_name(ExchangeType type);  // "Main Mode", "Quick Mode", ...

inline constexpr std::uint8_t kVersion10 = 0x10;
inline constexpr std::uint8_t kFlagEncryption = 0x01;
inline constexpr std::uint8_t kFlagCommit = 0x02;
inline constexpr std::uint8_t kFlagAuthenticationOnly = 0x04;

inline constexpr std::uint32_t kDoiIsakmp = 0;
inline constexpr std::uint32_t kDoiIpsec = 1;
inline constexpr std::uint32_t kSituationIdentityOnly = 1;

// Protocol identifiers, RFC 2407 section 4.4.1.
inline constexpr std::uint8_t kProtocolIsakmp = 1;
inline constexpr std::uint8_t kProtocolAh = 2;
inline constexpr std::uint8_t kProtocolEsp = 3;
inline constexpr std::uint8_t kProtocolIpcomp = 4;

inline constexpr std::uint8_t kTransformKeyIke = 1;  // KEY_IKE, RFC 2407 section 4.4.2

// RFC 2409 Appendix A: attributes of a phase 1 transform.
namespace ike_attribute {
inline constexpr std::uint16_t encryption = 1, hash = 2, authentication = 3, group_description = 4,
                               group_type = 5, life_type = 11, life_duration = 12, prf = 13, key_length = 14;
}
// RFC 2407 section 4.5: attributes of a phase 2 transform.
namespace ipsec_attribute {
inline constexpr std::uint16_t life_type = 1, life_duration = 2, group_description = 3,
                               encapsulation_mode = 4, authentication = 5, key_length = 6, key_rounds = 7,
                               extended_sequence_number = 11;  // RFC 4304 section 2
}
inline constexpr std::uint16_t kEsn64 = 1;
inline constexpr std::uint16_t kLifeSeconds = 1;
inline constexpr std::uint16_t kLifeKilobytes = 2;
inline constexpr std::uint16_t kModeTunnel = 1;
inline constexpr std::uint16_t kModeTransport = 2;

// draft-dukes-ike-mode-cfg-02 section 3.3: of an attributes payload.
enum class ConfigurationType : std::uint8_t { request = 1, reply = 2, set = 3, ack = 4 };
// draft-beaulieu-ike-xauth-02 section 6.2.
namespace xauth_attribute {
inline constexpr std::uint16_t type = 16520, user_name = 16521, user_password = 16522, passcode = 16523,
                               message = 16524, challenge = 16525, domain = 16526, status = 16527,
                               next_pin = 16528, answer = 16529;
}
inline constexpr std::uint16_t kXauthFail = 0;
inline constexpr std::uint16_t kXauthOk = 1;
// "INTERNAL_IP4_ADDRESS", "XAUTH-USER-NAME", ...; "attribute" if unknown.
[[nodiscard]] std::string_view configuration_name(std::uint16_t attribute);

// RFC 2407 section 4.6.2.1.
enum class IdType : std::uint8_t {
  ipv4_addr = 1,
  fqdn = 2,
  user_fqdn = 3,
  ipv4_addr_subnet = 4,
  ipv6_addr = 5,
  ipv6_addr_subnet = 6,
  ipv4_addr_range = 7,
  ipv6_addr_range = 8,
  der_asn1_dn = 9,
  der_asn1_gn = 10,
  key_id = 11,
};
[[nodiscard]] std::string_view id_type_name(IdType type);  // "ID_IPV4_ADDR", ...

}  // namespace oakgate::wire
