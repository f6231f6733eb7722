#include "daemon/decode/payload_json.h"

#include <fmt/format.h>

#include <algorithm>

#include "daemon/text.h"
#include "ike/attributes.h"
#include "ike/base/vendor_ids.h"

namespace oakgate::decode {

namespace {

using wire::Attribute;
using wire::PayloadType;
namespace ike1 = wire::ike_attribute;
namespace ipsec = wire::ipsec_attribute;

constexpr std::size_t kShownBytes = 32;  // of what has no words

struct Named {
  std::uint16_t number;
  std::string_view name;
};
constexpr Named kIkeAttributes[] = {
    {ike1::encryption, "encryption"},         {ike1::hash, "hash"},
    {ike1::authentication, "authentication"}, {ike1::group_description, "group"},
    {ike1::group_type, "group type"},         {ike1::life_type, "life type"},
    {ike1::life_duration, "life duration"},   {ike1::prf, "prf"},
    {ike1::key_length, "key length"}};
constexpr Named kIpsecAttributes[] = {{ipsec::life_type, "life type"},
                                      {ipsec::life_duration, "life duration"},
                                      {ipsec::group_description, "group"},
                                      {ipsec::encapsulation_mode, "mode"},
                                      {ipsec::authentication, "authentication"},
                                      {ipsec::key_length, "key length"},
                                      {ipsec::key_rounds, "key rounds"},
                                      {ipsec::extended_sequence_number, "extended sequence numbers"}};
// RFC 2407 section 4.5, RFC 3947 section 5.1, and the drafts before it.
constexpr Named kModes[] = {{1, "tunnel"},
                            {2, "transport"},
                            {3, "UDP-encapsulated tunnel"},
                            {4, "UDP-encapsulated transport"},
                            {61443, "UDP-encapsulated tunnel (draft)"},
                            {61444, "UDP-encapsulated transport (draft)"}};
constexpr Named kLifeTypes[] = {{wire::kLifeSeconds, "seconds"}, {wire::kLifeKilobytes, "kilobytes"}};
constexpr Named kProtocols[] = {{wire::kProtocolIsakmp, "ISAKMP"},
                                {wire::kProtocolAh, "AH"},
                                {wire::kProtocolEsp, "ESP"},
                                {wire::kProtocolIpcomp, "IPCOMP"}};

template <std::size_t N>
std::string name_in(const Named (&table)[N], std::uint64_t number) {
  for (const Named& row : table) {
    if (row.number == number) return std::string(row.name);
  }
  return std::to_string(number);
}

std::string hex_text(ByteView bytes) {
  const std::string shown = to_hex(bytes.first(std::min(bytes.size(), kShownBytes)));
  return bytes.size() > kShownBytes ? shown + "..." : shown;
}

std::string text_of(ByteView bytes) {
  return printable({static_cast<const char*>(static_cast<const void*>(bytes.data())), bytes.size()});
}

std::uint16_t key_bits(const std::vector<Attribute>& attributes, std::uint16_t type) {
  return static_cast<std::uint16_t>(ike::find_attribute(attributes, type).value_or(0));
}

std::string group_text(std::uint64_t number) {
  const auto group = find_dh_group(static_cast<std::uint32_t>(std::min<std::uint64_t>(number, UINT32_MAX)));
  return group ? std::string(info(*group).name) : fmt::format("group {}", number);
}

template <typename Algorithm>
std::string word(const std::optional<Algorithm>& algorithm, std::uint64_t number) {
  return algorithm ? std::string(info(*algorithm).name) : fmt::format("number {}", number);
}

std::string ike_value(const Attribute& attribute, std::uint64_t number, const wire::Transform& transform) {
  const auto small = static_cast<std::uint16_t>(std::min<std::uint64_t>(number, UINT16_MAX));
  switch (attribute.type) {
    case ike1::encryption:
      return word(find_ike_cipher(small, key_bits(transform.attributes, ike1::key_length)), number);
    case ike1::hash:
      return word(find_ike_hash(small), number);
    case ike1::authentication:
      return word(find_auth_method(small), number);
    case ike1::group_description:
      return group_text(number);
    case ike1::life_type:
      return name_in(kLifeTypes, number);
    default:
      return std::to_string(number);
  }
}

std::string ipsec_value(const Attribute& attribute, std::uint64_t number) {
  const auto small = static_cast<std::uint16_t>(std::min<std::uint64_t>(number, UINT16_MAX));
  switch (attribute.type) {
    case ipsec::authentication:
      return word(find_integrity(small), number);
    case ipsec::group_description:
      return group_text(number);
    case ipsec::encapsulation_mode:
      return name_in(kModes, number);
    case ipsec::life_type:
      return name_in(kLifeTypes, number);
    default:
      return std::to_string(number);
  }
}

std::string transform_name(std::uint8_t protocol, const wire::Transform& transform) {
  switch (protocol) {
    case wire::kProtocolIsakmp:
      if (transform.id == wire::kTransformKeyIke) return "KEY_IKE";
      break;
    case wire::kProtocolEsp:
      if (const auto cipher =
              find_esp_cipher(transform.id, key_bits(transform.attributes, ipsec::key_length)))
        return std::string(info(*cipher).name);
      break;
    case wire::kProtocolAh:
      for (const IntegrityInfo& row : integrities()) {
        if (row.ah_wire == transform.id && row.configurable) return fmt::format("ah-{}", row.name);
      }
      break;
    case wire::kProtocolIpcomp:
      if (const auto compression = find_compression(transform.id))
        return std::string(info(*compression).name);
      break;
    default:
      break;
  }
  return fmt::format("transform {}", transform.id);
}

Json attribute_json(std::uint8_t protocol, const Attribute& attribute, const wire::Transform& transform) {
  const bool ike = protocol == wire::kProtocolIsakmp;
  const auto number = attribute.number();
  std::string value = hex_text(attribute.value);
  if (number) value = ike ? ike_value(attribute, *number, transform) : ipsec_value(attribute, *number);
  return {{"name", ike ? name_in(kIkeAttributes, attribute.type) : name_in(kIpsecAttributes, attribute.type)},
          {"type", attribute.type},
          {"value", value}};
}

Json proposals_json(const wire::SaPayload& sa) {
  Json proposals = Json::array();
  for (const wire::Proposal& proposal : sa.proposals) {
    Json transforms = Json::array();
    for (const wire::Transform& transform : proposal.transforms) {
      Json attributes = Json::array();
      for (const Attribute& attribute : transform.attributes)
        attributes.push_back(attribute_json(proposal.protocol, attribute, transform));
      transforms.push_back({{"number", transform.number},
                            {"id", transform.id},
                            {"name", transform_name(proposal.protocol, transform)},
                            {"text", transform_text(proposal.protocol, transform)},
                            {"attributes", std::move(attributes)}});
    }
    proposals.push_back({{"number", proposal.number},
                         {"protocol", name_in(kProtocols, proposal.protocol)},
                         {"spi", to_hex(proposal.spi)},
                         {"transforms", std::move(transforms)}});
  }
  return proposals;
}

std::string id_text(const wire::IdPayload& id) {
  std::string value;
  const auto half = id.data.size() / 2;
  const auto address = [](ByteView bytes) {
    const auto parsed = IpAddress::from_bytes(bytes);
    return parsed ? parsed->to_string() : hex_text(bytes);
  };
  switch (id.type) {
    case wire::IdType::ipv4_addr:
    case wire::IdType::ipv6_addr:
      value = address(id.data);
      break;
    case wire::IdType::ipv4_addr_subnet:
    case wire::IdType::ipv6_addr_subnet:
      value = address(ByteView(id.data).first(half)) + "/" + address(ByteView(id.data).subspan(half));
      break;
    case wire::IdType::ipv4_addr_range:
    case wire::IdType::ipv6_addr_range:
      value = address(ByteView(id.data).first(half)) + "-" + address(ByteView(id.data).subspan(half));
      break;
    case wire::IdType::fqdn:
    case wire::IdType::user_fqdn:
    case wire::IdType::key_id:
      value = text_of(id.data);
      break;
    default:
      value = hex_text(id.data);
      break;
  }
  std::string text = fmt::format("{} {}", wire::id_type_name(id.type), value);
  if (id.protocol != 0 || id.port != 0) text += fmt::format(", protocol {} port {}", id.protocol, id.port);
  return text;
}

std::string notify_payload_text(const wire::NotifyPayload& notify) {
  std::string text = notify_text(notify.type);
  if (notify.protocol != 0) text += fmt::format(" about {}", name_in(kProtocols, notify.protocol));
  if (!notify.spi.empty()) text += fmt::format(", SPI 0x{}", hex_text(notify.spi));
  if (notify.type == NotifyType::responder_lifetime) {
    if (const auto attributes = wire::parse_attributes(notify.data)) {
      const wire::Transform life{0, 0, *attributes};
      for (const Attribute& one : *attributes) {
        const Json json = attribute_json(notify.protocol, one, life);
        text += fmt::format(", {} {}", json.value("name", ""), json.value("value", ""));
      }
      return text;
    }
  }
  if (!notify.data.empty()) text += fmt::format(", data {}", hex_text(notify.data));
  return text;
}

std::string delete_text(const wire::DeletePayload& deletion) {
  std::string text = fmt::format("{} SA", name_in(kProtocols, deletion.protocol));
  if (deletion.spis.size() != 1) text += "s";
  for (std::size_t i = 0; i < deletion.spis.size() && i < 8; ++i)
    text += fmt::format("{} 0x{}", i == 0 ? "" : ",", to_hex(deletion.spis[i]));
  return deletion.spis.size() > 8 ? text + ", ..." : text;
}

std::string vendor_text(const wire::VendorIdPayload& vendor) {
  const auto known = find_vendor_id(vendor.data);
  return known ? std::string(vendor_id_info(*known).name) : hex_text(vendor.data);
}

std::string configuration_text(const wire::AttributesPayload& attributes) {
  constexpr Named kTypes[] = {{1, "request"}, {2, "reply"}, {3, "set"}, {4, "acknowledgement"}};
  std::string text = fmt::format("{} {}:", name_in(kTypes, attributes.type), attributes.identifier);
  for (const Attribute& one : attributes.attributes) {
    // What an XAUTH reply answers is a password.
    text +=
        fmt::format(" {} ({}){}", wire::configuration_name(one.type), one.type, one.value.empty() ? "?" : "");
  }
  return text;
}

std::string sized(std::size_t size) {
  return fmt::format("{} bytes", size);
}

struct Words {
  std::string operator()(const wire::SaPayload& sa) const {
    std::string text = fmt::format("{} proposal{}", sa.proposals.size(), sa.proposals.size() == 1 ? "" : "s");
    if (sa.doi != wire::kDoiIpsec) text += fmt::format(", DOI {}", sa.doi);
    return text;
  }
  std::string operator()(const wire::KeyExchangePayload& ke) const { return sized(ke.data.size()); }
  std::string operator()(const wire::IdPayload& id) const { return id_text(id); }
  std::string operator()(const wire::CertificatePayload& cert) const {
    return fmt::format("encoding {}, {}", cert.encoding, sized(cert.data.size()));
  }
  std::string operator()(const wire::CertificateRequestPayload& request) const {
    return fmt::format("encoding {}, {}", request.encoding,
                       request.authority.empty() ? "any authority" : sized(request.authority.size()));
  }
  std::string operator()(const wire::HashPayload& hash) const { return sized(hash.data.size()); }
  std::string operator()(const wire::SignaturePayload& signature) const {
    return sized(signature.data.size());
  }
  std::string operator()(const wire::NoncePayload& nonce) const { return sized(nonce.data.size()); }
  std::string operator()(const wire::NotifyPayload& notify) const { return notify_payload_text(notify); }
  std::string operator()(const wire::DeletePayload& deletion) const { return delete_text(deletion); }
  std::string operator()(const wire::VendorIdPayload& vendor) const { return vendor_text(vendor); }
  std::string operator()(const wire::AttributesPayload& attributes) const {
    return configuration_text(attributes);
  }
  std::string operator()(const wire::NatDetectionPayload& nat) const { return hex_text(nat.hash); }
  std::string operator()(const wire::NatOriginalAddressPayload& nat) const {
    const auto address = IpAddress::from_bytes(nat.address);
    return address ? address->to_string() : hex_text(nat.address);
  }
  std::string operator()(const wire::FragmentPayload& fragment) const {
    return fmt::format("id {}, number {}{}, {}", fragment.id, fragment.number,
                       (fragment.flags & 1U) != 0 ? " (the last)" : "", sized(fragment.data.size()));
  }
  std::string operator()(const wire::UnknownPayload& unknown) const {
    return fmt::format("type {}, {}", static_cast<unsigned>(unknown.type), sized(unknown.body.size()));
  }
};

}  // namespace

std::string notify_text(NotifyType type) {
  const std::string_view name = notify_name(type);
  if (name != "notify type") return std::string(name);
  return fmt::format("notify type {}", static_cast<unsigned>(type));
}

std::string transform_text(std::uint8_t protocol, const wire::Transform& transform) {
  std::string text = transform_name(protocol, transform) + ":";
  std::string unit;
  for (const Attribute& attribute : transform.attributes) {
    const Json json = attribute_json(protocol, attribute, transform);
    const std::string name = json.value("name", ""), value = json.value("value", "");
    const bool ike = protocol == wire::kProtocolIsakmp;
    if (attribute.type == (ike ? ike1::life_type : ipsec::life_type)) {
      unit = value;  // stands before its duration
    } else if (attribute.type == (ike ? ike1::life_duration : ipsec::life_duration)) {
      text += fmt::format(" life {} {},", value, unit);
    } else if (attribute.type == (ike ? ike1::group_description : ipsec::group_description)) {
      text += fmt::format(" {},", value);  // its name says what it is
    } else if (attribute.type != (ike ? ike1::key_length : ipsec::key_length)) {
      text += fmt::format(" {} {},", name, value);
    }
  }
  text.pop_back();
  return text;
}

std::optional<Phase1Choice> phase1_choice(const wire::SaPayload& sa) {
  if (sa.proposals.size() != 1 || sa.proposals[0].protocol != wire::kProtocolIsakmp ||
      sa.proposals[0].transforms.size() != 1) {
    return std::nullopt;
  }
  const auto& attributes = sa.proposals[0].transforms[0].attributes;
  const auto number = [&](std::uint16_t type) {
    return static_cast<std::uint16_t>(ike::find_attribute(attributes, type).value_or(0));
  };
  const auto cipher = find_ike_cipher(number(ike1::encryption), number(ike1::key_length));
  const auto hash = find_ike_hash(number(ike1::hash));
  if (!cipher || !hash) return std::nullopt;
  return Phase1Choice{*cipher, *hash, find_auth_method(number(ike1::authentication))};
}

Json payload_json(const wire::Payload& payload) {
  Json json{{"payload", wire::payload_name(wire::type_of(payload))}, {"text", std::visit(Words{}, payload)}};
  if (const auto* sa = std::get_if<wire::SaPayload>(&payload)) json["proposals"] = proposals_json(*sa);
  return json;
}

}  // namespace oakgate::decode
