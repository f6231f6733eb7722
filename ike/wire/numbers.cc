#include "ike/wire/numbers.h"

#include <algorithm>
#include <iterator>

namespace oakgate::wire {

namespace {

template <typename Type>
struct Name {
  Type type;
  std::string_view name;
};

// RFC 2408 section 3.1 abbreviates payloads so; drafts' and Cisco's as Wireshark and IOS have them.
constexpr Name<PayloadType> kPayloadNames[] = {
    {PayloadType::none, "none"},
    {PayloadType::sa, "SA"},
    {PayloadType::proposal, "P"},
    {PayloadType::transform, "T"},
    {PayloadType::key_exchange, "KE"},
    {PayloadType::identification, "ID"},
    {PayloadType::certificate, "CERT"},
    {PayloadType::certificate_request, "CR"},
    {PayloadType::hash, "HASH"},
    {PayloadType::signature, "SIG"},
    {PayloadType::nonce, "NONCE"},
    {PayloadType::notification, "N"},
    {PayloadType::deletion, "D"},
    {PayloadType::vendor_id, "VID"},
    {PayloadType::attributes, "ATTR"},
    {PayloadType::nat_d, "NAT-D"},
    {PayloadType::nat_oa, "NAT-OA"},
    {PayloadType::nat_d_draft, "NAT-D (draft)"},
    {PayloadType::nat_oa_draft, "NAT-OA (draft)"},
    {PayloadType::fragment, "FRAG"},
};

constexpr Name<ExchangeType> kExchangeNames[] = {
    {ExchangeType::base, "Base"},
    {ExchangeType::identity_protection, "Main Mode"},
    {ExchangeType::authentication_only, "Authentication Only"},
    {ExchangeType::aggressive, "Aggressive Mode"},
    {ExchangeType::informational, "Informational"},
    {ExchangeType::transaction, "Transaction"},
    {ExchangeType::quick, "Quick Mode"},
    {ExchangeType::new_group, "New Group Mode"},
};

constexpr Name<IdType> kIdTypeNames[] = {
    {IdType::ipv4_addr, "ID_IPV4_ADDR"},
    {IdType::fqdn, "ID_FQDN"},
    {IdType::user_fqdn, "ID_USER_FQDN"},
    {IdType::ipv4_addr_subnet, "ID_IPV4_ADDR_SUBNET"},
    {IdType::ipv6_addr, "ID_IPV6_ADDR"},
    {IdType::ipv6_addr_subnet, "ID_IPV6_ADDR_SUBNET"},
    {IdType::ipv4_addr_range, "ID_IPV4_ADDR_RANGE"},
    {IdType::ipv6_addr_range, "ID_IPV6_ADDR_RANGE"},
    {IdType::der_asn1_dn, "ID_DER_ASN1_DN"},
    {IdType::der_asn1_gn, "ID_DER_ASN1_GN"},
    {IdType::key_id, "ID_KEY_ID"},
};

constexpr Name<std::uint16_t> kConfigurationNames[] = {
    {1, "INTERNAL_IP4_ADDRESS"},
    {2, "INTERNAL_IP4_NETMASK"},
    {3, "INTERNAL_IP4_DNS"},
    {4, "INTERNAL_IP4_NBNS"},
    {5, "INTERNAL_ADDRESS_EXPIRY"},
    {6, "INTERNAL_IP4_DHCP"},
    {7, "APPLICATION_VERSION"},
    {8, "INTERNAL_IP6_ADDRESS"},
    {9, "INTERNAL_IP6_NETMASK"},
    {10, "INTERNAL_IP6_DNS"},
    {11, "INTERNAL_IP6_NBNS"},
    {12, "INTERNAL_IP6_DHCP"},
    {13, "INTERNAL_IP4_SUBNET"},
    {14, "SUPPORTED_ATTRIBUTES"},
    {15, "INTERNAL_IP6_SUBNET"},
    {xauth_attribute::type, "XAUTH-TYPE"},
    {xauth_attribute::user_name, "XAUTH-USER-NAME"},
    {xauth_attribute::user_password, "XAUTH-USER-PASSWORD"},
    {xauth_attribute::passcode, "XAUTH-PASSCODE"},
    {xauth_attribute::message, "XAUTH-MESSAGE"},
    {xauth_attribute::challenge, "XAUTH-CHALLENGE"},
    {xauth_attribute::domain, "XAUTH-DOMAIN"},
    {xauth_attribute::status, "XAUTH-STATUS"},
    {xauth_attribute::next_pin, "XAUTH-NEXT-PIN"},
    {xauth_attribute::answer, "XAUTH-ANSWER"},
};

template <typename Table, typename Type>
std::string_view find_name(const Table& table, Type type, std::string_view otherwise) {
  const auto* row =
      std::find_if(std::begin(table), std::end(table), [type](const auto& r) { return r.type == type; });
  return row == std::end(table) ? otherwise : row->name;
}

}  // namespace

std::string_view payload_name(PayloadType type) {
  return find_name(kPayloadNames, type, "payload");
}
std::string_view exchange_name(ExchangeType type) {
  return find_name(kExchangeNames, type, "exchange");
}
std::string_view configuration_name(std::uint16_t attribute) {
  return find_name(kConfigurationNames, attribute, "attribute");
}
std::string_view id_type_name(IdType type) {
  return find_name(kIdTypeNames, type, "ID type");
}

}  // namespace oakgate::wire
