#include "ike/base/notify_types.h"

#include <array>
#include <utility>

namespace oakgate {

namespace {

using Row = std::pair<NotifyType, std::string_view>;
constexpr auto kNames = std::to_array<Row>({
    {NotifyType::invalid_payload_type, "INVALID-PAYLOAD-TYPE"},
    {NotifyType::doi_not_supported, "DOI-NOT-SUPPORTED"},
    {NotifyType::situation_not_supported, "SITUATION-NOT-SUPPORTED"},
    {NotifyType::invalid_cookie, "INVALID-COOKIE"},
    {NotifyType::invalid_major_version, "INVALID-MAJOR-VERSION"},
    {NotifyType::invalid_minor_version, "INVALID-MINOR-VERSION"},
    {NotifyType::invalid_exchange_type, "INVALID-EXCHANGE-TYPE"},
    {NotifyType::invalid_flags, "INVALID-FLAGS"},
    {NotifyType::invalid_message_id, "INVALID-MESSAGE-ID"},
    {NotifyType::invalid_protocol_id, "INVALID-PROTOCOL-ID"},
    {NotifyType::invalid_spi, "INVALID-SPI"},
    {NotifyType::invalid_transform_id, "INVALID-TRANSFORM-ID"},
    {NotifyType::attributes_not_supported, "ATTRIBUTES-NOT-SUPPORTED"},
    {NotifyType::no_proposal_chosen, "NO-PROPOSAL-CHOSEN"},
    {NotifyType::bad_proposal_syntax, "BAD-PROPOSAL-SYNTAX"},
    {NotifyType::payload_malformed, "PAYLOAD-MALFORMED"},
    {NotifyType::invalid_key_information, "INVALID-KEY-INFORMATION"},
    {NotifyType::invalid_id_information, "INVALID-ID-INFORMATION"},
    {NotifyType::invalid_cert_encoding, "INVALID-CERT-ENCODING"},
    {NotifyType::invalid_certificate, "INVALID-CERTIFICATE"},
    {NotifyType::cert_type_unsupported, "CERT-TYPE-UNSUPPORTED"},
    {NotifyType::invalid_cert_authority, "INVALID-CERT-AUTHORITY"},
    {NotifyType::invalid_hash_information, "INVALID-HASH-INFORMATION"},
    {NotifyType::authentication_failed, "AUTHENTICATION-FAILED"},
    {NotifyType::invalid_signature, "INVALID-SIGNATURE"},
    {NotifyType::address_notification, "ADDRESS-NOTIFICATION"},
    {NotifyType::notify_sa_lifetime, "NOTIFY-SA-LIFETIME"},
    {NotifyType::certificate_unavailable, "CERTIFICATE-UNAVAILABLE"},
    {NotifyType::unsupported_exchange_type, "UNSUPPORTED-EXCHANGE-TYPE"},
    {NotifyType::unequal_payload_lengths, "UNEQUAL-PAYLOAD-LENGTHS"},
    {NotifyType::connected, "CONNECTED"},
    {NotifyType::responder_lifetime, "RESPONDER-LIFETIME"},
    {NotifyType::replay_status, "REPLAY-STATUS"},
    {NotifyType::initial_contact, "INITIAL-CONTACT"},
    {NotifyType::r_u_there, "R-U-THERE"},
    {NotifyType::r_u_there_ack, "R-U-THERE-ACK"},
});

}  // namespace

std::string_view notify_name(NotifyType type) {
  for (const auto& [known, name] : kNames) {
    if (known == type) return name;
  }
  return "notify type";
}

}  // namespace oakgate
