#include "ike/transform_match.h"

#include <algorithm>

#include "ike/attributes.h"

namespace oakgate::ike {

namespace {

using wire::Attribute;
using wire::Proposal;
using wire::SaPayload;
using wire::Transform;
namespace attribute = wire::ipsec_attribute;

constexpr std::size_t kDescribedTransforms = 8;
constexpr std::uint32_t kReservedSpis = 256;  // RFC 2406 section 2.1: 1-255 are reserved, 0 is local

std::uint16_t mode_number(EncapsulationMode mode, bool udp) {
  switch (mode) {
    case EncapsulationMode::tunnel:
      return udp ? wire::kModeUdpTunnel : wire::kModeTunnel;
  }
  return wire::kModeTunnel;
}

Bytes spi_bytes(Spi spi) {
  ByteWriter writer;
  writer.u32(spi.value);
  return std::move(writer).take();
}

std::optional<Spi> read_spi(const Bytes& raw) {
  ByteReader reader(raw);
  std::uint32_t value = 0;
  if (!reader.u32(value) || !reader.empty() || value < kReservedSpis) return std::nullopt;
  return Spi{value};
}

Transform transform_of(const TransformSet& set, const TransformWishes& wishes) {
  const EspCipherInfo& cipher = info(set.cipher);
  Transform transform{1, cipher.wire, {}};
  auto& list = transform.attributes;
  add_life(list, attribute::life_type, attribute::life_duration, wire::kLifeSeconds,
           static_cast<std::uint64_t>(wishes.lifetime.time.count()));
  if (wishes.lifetime.kilobytes.value != 0) {
    add_life(list, attribute::life_type, attribute::life_duration, wire::kLifeKilobytes,
             wishes.lifetime.kilobytes.value);
  }
  list.push_back(
      Attribute::short_form(attribute::encapsulation_mode, mode_number(set.mode, wishes.udp_encapsulation)));
  if (set.integrity)
    list.push_back(Attribute::short_form(attribute::authentication, info(*set.integrity).wire));
  if (cipher.wire_key_bits != 0)
    list.push_back(Attribute::short_form(attribute::key_length, cipher.wire_key_bits));
  if (wishes.pfs) {
    list.push_back(
        Attribute::short_form(attribute::group_description, static_cast<std::uint16_t>(*wishes.pfs)));
  }
  return transform;
}

struct OfferedTransform {
  std::optional<EspCipher> cipher;
  std::optional<std::uint64_t> authentication;
  std::uint64_t mode = 0;
  std::optional<std::uint64_t> group;
  OfferedLife life;
};

OfferedTransform read_transform(const Transform& transform) {
  const auto& list = transform.attributes;
  OfferedTransform offered;
  const std::uint64_t bits = find_attribute(list, attribute::key_length).value_or(0);
  offered.cipher = find_esp_cipher(transform.id, static_cast<std::uint16_t>(bits > 0xffff ? 0xffff : bits));
  offered.authentication = find_attribute(list, attribute::authentication);
  // RFC 2407 section 4.5: "If unspecified, the default value shall be assumed to be unspecified
  // (host-dependent)"; the field means tunnel.
  offered.mode = find_attribute(list, attribute::encapsulation_mode).value_or(wire::kModeTunnel);
  offered.group = find_attribute(list, attribute::group_description);
  offered.life = offered_life(list, attribute::life_type, attribute::life_duration);
  return offered;
}

bool matches(const TransformSet& set, const TransformWishes& wishes, const OfferedTransform& offered) {
  if (offered.cipher != set.cipher) return false;
  if (offered.mode != mode_number(set.mode, wishes.udp_encapsulation)) return false;
  // An AEAD has no authentication algorithm; some peers say so with the value 0.
  const std::uint64_t wanted = set.integrity ? info(*set.integrity).wire : 0;
  return offered.authentication.value_or(0) == wanted;
}

bool group_allowed(DhGroup group, const TransformWishes& wishes) {
  if (group == wishes.pfs) return true;
  const auto weak = info(group).weak;
  return !weak || (wishes.waiver != nullptr && wishes.waiver->covers(*weak));
}

struct Pfs {
  bool agreed = false;
  std::optional<DhGroup> group;
};

Pfs agree_on_pfs(const TransformWishes& wishes, const OfferedTransform& offered) {
  if (!offered.group) return {!wishes.pfs, {}};
  const auto group =
      *offered.group > 0xffff ? std::nullopt : find_dh_group(static_cast<std::uint32_t>(*offered.group));
  if (!group || !group_allowed(*group, wishes)) return {};
  return {true, group};
}

std::string describe_transform(const Proposal& proposal, const Transform& transform) {
  const OfferedTransform offered = read_transform(transform);
  if (proposal.protocol != wire::kProtocolEsp) return "protocol " + std::to_string(proposal.protocol);
  std::string text = offered.cipher ? std::string(info(*offered.cipher).name)
                                    : "esp transform " + std::to_string(transform.id);
  if (offered.authentication.value_or(0) != 0) {
    const auto wire_number = *offered.authentication;
    const auto known =
        wire_number > 0xffff ? std::nullopt : find_integrity(static_cast<std::uint16_t>(wire_number));
    text +=
        known ? " esp-" + std::string(info(*known).name) : " authentication " + std::to_string(wire_number);
  }
  if (offered.mode == wire::kModeTransport || offered.mode == wire::kModeUdpTransport) text += " transport";
  if (offered.mode == wire::kModeUdpTunnel) text += " udp-encapsulated";
  if (offered.group) text += " group" + std::to_string(*offered.group);
  return text;
}

std::string describe_offer(const SaPayload& offer) {
  std::string text;
  std::size_t shown = 0;
  for (const auto& proposal : offer.proposals) {
    for (const auto& transform : proposal.transforms) {
      if (++shown > kDescribedTransforms) return text + ", ...";
      text += (text.empty() ? "" : ", ") + describe_transform(proposal, transform);
    }
  }
  return text.empty() ? "nothing" : text;
}

std::string describe_wishes(const TransformWishes& wishes) {
  std::string text;
  for (const TransformSet& set : wishes.sets) text += (text.empty() ? "" : ", ") + to_string(set);
  if (wishes.udp_encapsulation) text += " udp-encapsulated";
  if (wishes.pfs) text += " with pfs " + std::string(info(*wishes.pfs).name);
  return text;
}

// Proposals with one number belong together (RFC 2408 section 4.2): with AH or IPComp beside it, ESP alone is
// not it.
bool stands_alone(const SaPayload& offer, const Proposal& proposal) {
  return std::count_if(offer.proposals.begin(), offer.proposals.end(),
                       [&](const Proposal& other) { return other.number == proposal.number; }) == 1;
}

std::optional<ChosenTransform> match(const TransformSet& set, const TransformWishes& wishes,
                                     const Proposal& proposal, const Transform& transform) {
  const auto spi = read_spi(proposal.spi);
  if (proposal.protocol != wire::kProtocolEsp || !spi) return std::nullopt;
  const OfferedTransform offered = read_transform(transform);
  if (!matches(set, wishes, offered)) return std::nullopt;
  const Pfs pfs = agree_on_pfs(wishes, offered);
  if (!pfs.agreed) return std::nullopt;
  return ChosenTransform{set,
                         pfs.group,
                         smaller_life(wishes.lifetime, offered.life),
                         shortened_life(wishes.lifetime, offered.life),
                         *spi,
                         {}};
}

}  // namespace

SaPayload offer_transforms(const TransformWishes& wishes, Spi our_spi) {
  SaPayload sa;
  for (const TransformSet& set : wishes.sets) {
    const auto number = static_cast<std::uint8_t>(sa.proposals.size() + 1);
    sa.proposals.push_back({number, wire::kProtocolEsp, spi_bytes(our_spi), {transform_of(set, wishes)}});
  }
  return sa;
}

Result<ChosenTransform> choose_transform(const TransformWishes& wishes, const SaPayload& offer, Spi our_spi) {
  for (const TransformSet& set : wishes.sets) {
    for (const Proposal& proposal : offer.proposals) {
      if (!stands_alone(offer, proposal)) continue;
      for (const Transform& transform : proposal.transforms) {
        auto chosen = match(set, wishes, proposal, transform);
        if (!chosen) continue;
        chosen->reply.doi = offer.doi;
        chosen->reply.proposals.push_back(
            {proposal.number, proposal.protocol, spi_bytes(our_spi), {transform}});
        return std::move(*chosen);
      }
    }
  }
  return reject(
      NotifyType::no_proposal_chosen, ErrorCode::no_proposal_chosen,
      "no transform set in common: the peer offers " + describe_offer(offer), describe_wishes(wishes),
      "add a transform set (and pfs group) that the peer offers to the tunnel, or give the peer one of ours");
}

Result<ChosenTransform> check_chosen_transform(const TransformWishes& wishes, const SaPayload& reply) {
  if (reply.proposals.size() != 1 || reply.proposals.front().transforms.size() != 1) {
    return reject(NotifyType::bad_proposal_syntax, ErrorCode::malformed,
                  "the peer's SA payload does not choose exactly one transform",
                  "one proposal, one transform");
  }
  const Proposal& proposal = reply.proposals.front();
  const Transform& transform = proposal.transforms.front();
  const SaPayload offer = offer_transforms(wishes, Spi{kReservedSpis});
  for (std::size_t i = 0; i < wishes.sets.size(); ++i) {
    // RFC 2408 section 4.2: the responder "MUST NOT" change attributes; numbers may differ (PIX), so content
    // decides. A peer that answers with its own, shorter life is taken at its word; everything else must be
    // what we offered.
    auto chosen = match(wishes.sets[i], wishes, proposal, transform);
    if (chosen && chosen->pfs == wishes.pfs) return std::move(*chosen);
  }
  return reject(NotifyType::bad_proposal_syntax, ErrorCode::no_proposal_chosen,
                "the peer chose " + describe_transform(proposal, transform) + ", which was not offered",
                describe_offer(offer));
}

}  // namespace oakgate::ike
