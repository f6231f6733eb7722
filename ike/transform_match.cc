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

// The first form that calls an encapsulation mode in UDP so; null: it is none in UDP.
const NatForm* form_of_mode(std::uint64_t mode) {
  const auto table = nat_form_table();
  const auto found = std::find_if(table.begin(), table.end(), [mode](const NatForm& form) {
    return mode == form.udp_tunnel || mode == form.udp_transport;
  });
  return found == table.end() ? nullptr : &*found;
}

std::uint16_t plain_mode(EncapsulationMode mode) {
  return mode == EncapsulationMode::transport ? wire::kModeTransport : wire::kModeTunnel;
}

std::uint16_t mode_number(EncapsulationMode mode, const TransformWishes& wishes) {
  const NatForm* form = wishes.udp_encapsulation ? find_nat_form(wishes.nat_form) : nullptr;
  return form == nullptr || mode == EncapsulationMode::transport ? plain_mode(mode) : form->udp_tunnel;
}

// IOS: a set's transport mode is for traffic between the peers themselves, else it is not heeded. Through a
// NAT our selectors are not what the peer sees, and tunnel mode is what works.
EncapsulationMode mode_of(const TransformSet& set, const TransformWishes& wishes) {
  const bool transport = wishes.own_traffic && !wishes.udp_encapsulation;
  return transport ? set.mode : EncapsulationMode::tunnel;
}

// AH covers the addresses that a NAT changes.
bool possible(const TransformSet& set, const TransformWishes& wishes) {
  return !set.ah || !wishes.udp_encapsulation;
}

// RFC 3173 section 4.1: "The CPI SHOULD be sent as a 16-bit number".
Bytes spi_bytes(IpsecProtocol protocol, Spi spi) {
  ByteWriter writer;
  if (protocol == IpsecProtocol::comp) {
    writer.u16(static_cast<std::uint16_t>(spi.value));
  } else {
    writer.u32(spi.value);
  }
  return std::move(writer).take();
}

// What of a set is a protocol's: its transform identifier, and its authentication algorithm.
std::uint8_t transform_id(const TransformSet& set, IpsecProtocol protocol) {
  switch (protocol) {
    case IpsecProtocol::ah:
      return info(*set.ah).ah_wire;
    case IpsecProtocol::esp:
      return info(*set.cipher).wire;
    case IpsecProtocol::comp:
      return info(*set.compression).wire;
  }
  return 0;
}

std::optional<Integrity> integrity_of(const TransformSet& set, IpsecProtocol protocol) {
  if (protocol == IpsecProtocol::comp) return std::nullopt;
  return protocol == IpsecProtocol::ah ? set.ah : set.integrity;
}

// The transform of one protocol of a set.
Transform transform_of(const TransformSet& set, IpsecProtocol protocol, const TransformWishes& wishes) {
  Transform transform{1, transform_id(set, protocol), {}};
  auto& list = transform.attributes;
  add_life(list, attribute::life_type, attribute::life_duration, wire::kLifeSeconds,
           static_cast<std::uint64_t>(wishes.lifetime.time.count()));
  if (wishes.lifetime.kilobytes.value != 0) {
    add_life(list, attribute::life_type, attribute::life_duration, wire::kLifeKilobytes,
             wishes.lifetime.kilobytes.value);
  }
  list.push_back(
      Attribute::short_form(attribute::encapsulation_mode, mode_number(mode_of(set, wishes), wishes)));
  // RFC 3173 section 4.1: no attributes "that are not applicable to IPComp".
  if (protocol == IpsecProtocol::comp) return transform;
  const std::optional<Integrity> integrity = integrity_of(set, protocol);
  if (integrity) list.push_back(Attribute::short_form(attribute::authentication, info(*integrity).wire));
  if (protocol == IpsecProtocol::esp && info(*set.cipher).wire_key_bits != 0)
    list.push_back(Attribute::short_form(attribute::key_length, info(*set.cipher).wire_key_bits));
  if (wishes.pfs) {
    list.push_back(
        Attribute::short_form(attribute::group_description, static_cast<std::uint16_t>(*wishes.pfs)));
  }
  if (wishes.esn) list.push_back(Attribute::short_form(attribute::extended_sequence_number, wire::kEsn64));
  return transform;
}

struct OfferedTransform {
  std::uint8_t id = 0;
  std::optional<EspCipher> cipher;
  std::optional<std::uint64_t> authentication;
  std::uint64_t mode = 0;
  std::optional<std::uint64_t> group;
  std::optional<std::uint64_t> esn;
  OfferedLife life;
};

OfferedTransform read_transform(const Transform& transform) {
  const auto& list = transform.attributes;
  OfferedTransform offered;
  offered.id = transform.id;
  const std::uint64_t bits = find_attribute(list, attribute::key_length).value_or(0);
  offered.cipher = find_esp_cipher(transform.id, static_cast<std::uint16_t>(bits > 0xffff ? 0xffff : bits));
  offered.authentication = find_attribute(list, attribute::authentication);
  // RFC 2407 section 4.5: "If unspecified, the default value shall be assumed to be unspecified
  // (host-dependent)"; the field means tunnel.
  offered.mode = find_attribute(list, attribute::encapsulation_mode).value_or(wire::kModeTunnel);
  offered.group = find_attribute(list, attribute::group_description);
  offered.esn = find_attribute(list, attribute::extended_sequence_number);
  offered.life = offered_life(list, attribute::life_type, attribute::life_duration);
  return offered;
}

// RFC 3173 section 4.1: what other protocols have among the attributes "MUST be ignored"; and "if the
// Encapsulation Mode is unspecified, the default value of Transport Mode is assumed". Peers behind a NAT say
// of IPComp that it is in UDP, or leave that to ESP.
bool matches_compression(const TransformSet& set, const TransformWishes& wishes, const Transform& transform) {
  const std::uint64_t mode =
      find_attribute(transform.attributes, attribute::encapsulation_mode).value_or(wire::kModeTransport);
  const EncapsulationMode wanted = mode_of(set, wishes);
  return transform.id == info(*set.compression).wire &&
         (mode == plain_mode(wanted) || mode == mode_number(wanted, wishes));
}

// RFC 4304 section 3: "any attribute value but the value for 64-bit sequence numbers" fits nothing.
bool matches_sequence_numbers(const TransformWishes& wishes, const OfferedTransform& offered) {
  return offered.esn == (wishes.esn ? std::optional<std::uint64_t>(wire::kEsn64) : std::nullopt);
}

bool matches(const TransformSet& set, IpsecProtocol protocol, const TransformWishes& wishes,
             const OfferedTransform& offered) {
  if (offered.mode != mode_number(mode_of(set, wishes), wishes)) return false;
  if (!matches_sequence_numbers(wishes, offered)) return false;
  if (protocol == IpsecProtocol::ah) {
    return offered.id == info(*set.ah).ah_wire && offered.authentication == info(*set.ah).wire;
  }
  if (offered.cipher != set.cipher) return false;
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

std::string describe_authentication(std::string_view prefix, std::uint64_t number) {
  const auto known = number > 0xffff ? std::nullopt : find_integrity(static_cast<std::uint16_t>(number));
  return known ? std::string(prefix) + std::string(info(*known).name)
               : std::string(prefix) + "authentication-" + std::to_string(number);
}

std::string describe_compression(std::uint8_t number) {
  const auto known = find_compression(number);
  return known ? std::string(info(*known).name) : "ipcomp transform " + std::to_string(number);
}

std::string sequence_number_words(const std::optional<std::uint64_t>& esn) {
  if (!esn) return "32-bit sequence numbers";
  return *esn == wire::kEsn64 ? "esn" : "esn " + std::to_string(*esn);
}

std::string describe_transform(const Proposal& proposal, const Transform& transform) {
  const OfferedTransform offered = read_transform(transform);
  const auto protocol = ipsec_protocol(proposal.protocol);
  if (!protocol) return "protocol " + std::to_string(proposal.protocol);
  std::string text;
  if (protocol == IpsecProtocol::comp) return describe_compression(transform.id);
  if (protocol == IpsecProtocol::ah) {
    text = offered.authentication ? describe_authentication("ah-", *offered.authentication)
                                  : "ah transform " + std::to_string(transform.id);
  } else {
    text = offered.cipher ? std::string(info(*offered.cipher).name)
                          : "esp transform " + std::to_string(transform.id);
    if (offered.authentication.value_or(0) != 0)
      text += " " + describe_authentication("esp-", *offered.authentication);
  }
  const NatForm* form = form_of_mode(offered.mode);
  const bool transport =
      form == nullptr ? offered.mode == wire::kModeTransport : offered.mode == form->udp_transport;
  if (transport) text += " transport";
  if (form != nullptr) text += " udp-encapsulated";
  if (offered.group) text += " group" + std::to_string(*offered.group);
  if (offered.esn) text += " " + sequence_number_words(offered.esn);
  return text;
}

bool has_compression(const std::vector<const Proposal*>& group) {
  return std::any_of(group.begin(), group.end(),
                     [](const Proposal* one) { return one->protocol == wire::kProtocolIpcomp; });
}

// There are but 61184 CPIs: with all of them in use there is no more IPComp.
bool has_spis(const TransformSet& set, const ProtocolSpis& our_spis) {
  return !set.compression || our_spis.comp != Spi{};
}

// RFC 2408 section 4.2: proposals with one number belong together, all of them or none.
using Group = std::vector<const Proposal*>;
std::vector<Group> groups_of(const SaPayload& offer) {
  std::vector<Group> groups;
  for (const Proposal& proposal : offer.proposals) {
    const auto found = std::find_if(groups.begin(), groups.end(), [&](const Group& group) {
      return group.front()->number == proposal.number;
    });
    if (found == groups.end()) {
      groups.push_back({&proposal});
    } else {
      found->push_back(&proposal);
    }
  }
  return groups;
}

std::string describe_offer(const SaPayload& offer) {
  std::string text;
  std::size_t shown = 0;
  for (const Group& group : groups_of(offer)) {
    for (const Proposal* proposal : group) {
      for (const auto& transform : proposal->transforms) {
        if (++shown > kDescribedTransforms) return text + ", ...";
        const bool anded = proposal != group.front() && &transform == &proposal->transforms.front();
        text += (text.empty() ? "" : anded ? " and " : ", ") + describe_transform(*proposal, transform);
      }
    }
  }
  return text.empty() ? "nothing" : text;
}

std::string describe_wishes(const TransformWishes& wishes) {
  std::string text;
  for (const TransformSet& set : wishes.sets) text += (text.empty() ? "" : ", ") + to_string(set);
  if (wishes.udp_encapsulation) text += " udp-encapsulated";
  if (wishes.pfs) text += " with pfs " + std::string(info(*wishes.pfs).name);
  if (wishes.esn) text += " with esn";
  return text;
}

// A transform of one proposal that fits, and what else it settles.
struct Candidate {
  const Proposal* proposal = nullptr;
  const Transform* transform = nullptr;
  Spi spi;
  std::optional<DhGroup> pfs;
  OfferedLife life;
};

// Those that fit a set's protocol, the first of each group of PFS: so their number is bounded by that of the
// groups, whatever was sent.
std::vector<Candidate> candidates(const TransformSet& set, IpsecProtocol protocol,
                                  const TransformWishes& wishes, const Group& group) {
  std::vector<Candidate> found;
  for (const Proposal* proposal : group) {
    const auto spi = read_spi(protocol, proposal->spi);
    if (ipsec_protocol(proposal->protocol) != protocol || !spi) continue;
    for (const Transform& transform : proposal->transforms) {
      const OfferedTransform offered = read_transform(transform);
      if (protocol == IpsecProtocol::comp) {
        if (!found.empty() || !matches_compression(set, wishes, transform)) continue;
        found.push_back({proposal, &transform, *spi, {}, offered.life});
        continue;
      }
      if (!matches(set, protocol, wishes, offered)) continue;
      const Pfs pfs = agree_on_pfs(wishes, offered);
      const bool had = std::any_of(found.begin(), found.end(),
                                   [&](const Candidate& other) { return other.pfs == pfs.group; });
      if (!pfs.agreed || had) continue;
      found.push_back({proposal, &transform, *spi, pfs.group, offered.life});
    }
  }
  return found;
}

// In the order in which they stand in the packet.
std::vector<IpsecProtocol> protocols_of(const TransformSet& set) {
  std::vector<IpsecProtocol> all;
  if (set.ah) all.push_back(IpsecProtocol::ah);
  if (set.cipher) all.push_back(IpsecProtocol::esp);
  if (set.compression) all.push_back(IpsecProtocol::comp);
  return all;
}

OfferedLife shortest(const std::vector<Candidate>& parts) {
  OfferedLife life;
  const auto take = [](auto& kept, const auto& other) {
    if (other && (!kept || *other < *kept)) kept = other;
  };
  for (const Candidate& part : parts) {
    take(life.time, part.life.time);
    take(life.kilobytes, part.life.kilobytes);
  }
  return life;
}

ChosenTransform chosen_of(const TransformSet& set, const TransformWishes& wishes, const SaPayload& offer,
                          const std::vector<Candidate>& parts, const ProtocolSpis& our_spis) {
  ChosenTransform chosen{set, parts.front().pfs, {}, {}, {}, {}, false};
  chosen.set.mode = mode_of(set, wishes);
  chosen.esn = wishes.esn;
  chosen.reply.doi = offer.doi;
  for (const Candidate& part : parts) {
    const IpsecProtocol protocol = *ipsec_protocol(part.proposal->protocol);
    chosen.peer_spis.set(protocol, part.spi);
    chosen.reply.proposals.push_back({part.proposal->number,
                                      part.proposal->protocol,
                                      spi_bytes(protocol, our_spis.of(protocol)),
                                      {*part.transform}});
  }
  const OfferedLife life = shortest(parts);
  chosen.lifetime = smaller_life(wishes.lifetime, life);
  chosen.shortened = shortened_life(wishes.lifetime, life);
  // In the order of the offer, as it was sent.
  std::sort(chosen.reply.proposals.begin(), chosen.reply.proposals.end(),
            [&](const Proposal& a, const Proposal& b) {
              const auto place = [&](const Proposal& one) {
                return std::find_if(offer.proposals.begin(), offer.proposals.end(),
                                    [&](const Proposal& other) {
                                      return other.number == one.number && other.protocol == one.protocol;
                                    });
              };
              return place(a) < place(b);
            });
  return chosen;
}

// One set against one offer.
std::optional<ChosenTransform> match(const TransformSet& set, const TransformWishes& wishes,
                                     const SaPayload& offer, const Group& group,
                                     const ProtocolSpis& our_spis) {
  const std::vector<IpsecProtocol> protocols = protocols_of(set);
  if (group.size() != protocols.size() || !possible(set, wishes)) return std::nullopt;
  for (const Candidate& first : candidates(set, protocols.front(), wishes, group)) {
    std::vector<Candidate> parts{first};
    for (std::size_t i = 1; i < protocols.size(); ++i) {
      // RFC 2409 section 5.5: one KE payload serves them all, so they agree on the group; IPComp has none.
      const auto others = candidates(set, protocols[i], wishes, group);
      const auto other = std::find_if(others.begin(), others.end(), [&](const Candidate& one) {
        return protocols[i] == IpsecProtocol::comp || one.pfs == first.pfs;
      });
      if (other != others.end()) parts.push_back(*other);
    }
    if (parts.size() != protocols.size()) continue;
    return chosen_of(set, wishes, offer, parts, our_spis);
  }
  return std::nullopt;
}

// ---- what differs, for people

std::string protocol_word(IpsecProtocol protocol) {
  return protocol == IpsecProtocol::ah ? "ah" : protocol == IpsecProtocol::esp ? "esp" : "ipcomp";
}

std::string protocol_words(const Group& group) {
  // As protocols_of has them, whatever their order.
  std::vector<std::uint8_t> numbers;
  for (const Proposal* proposal : group) numbers.push_back(proposal->protocol);
  std::sort(numbers.begin(), numbers.end());
  std::string text;
  for (const std::uint8_t number : numbers) {
    const auto protocol = ipsec_protocol(number);
    text += (text.empty() ? "" : " ") + (protocol ? protocol_word(*protocol) : std::to_string(number));
  }
  return text;
}

std::string mode_word(std::uint64_t mode) {
  switch (mode) {
    case wire::kModeTunnel:
      return "tunnel";
    case wire::kModeTransport:
      return "transport";
    default:
      break;
  }
  const NatForm* form = form_of_mode(mode);
  if (form == nullptr) return std::to_string(mode);
  return std::string(mode == form->udp_tunnel ? "tunnel" : "transport") + " udp-encapsulated" +
         (form->id == NatTraversal::rfc ? "" : " as in the drafts");
}

// One transform of a protocol the set has, too.
void compare_transform(ProposalComparison& one, const TransformSet& set, IpsecProtocol protocol,
                       const TransformWishes& wishes, const Transform& transform) {
  const OfferedTransform offered = read_transform(transform);
  if (protocol == IpsecProtocol::comp) {
    compare(one, "compression", describe_compression(transform.id), std::string(info(*set.compression).name));
    if (transform.id == info(*set.compression).wire && !matches_compression(set, wishes, transform))
      one.differences.push_back({"mode", "another for IPComp", mode_word(plain_mode(mode_of(set, wishes)))});
    return;
  }
  const bool ah = protocol == IpsecProtocol::ah;
  const std::string prefix = ah ? "ah-" : "esp-";
  const std::uint64_t authentication = offered.authentication.value_or(0);
  if (!ah) {
    compare(one, "cipher",
            offered.cipher ? std::string(info(*offered.cipher).name)
                           : "esp transform " + std::to_string(offered.id),
            std::string(info(*set.cipher).name));
  }
  const std::optional<Integrity> wanted = ah ? set.ah : set.integrity;
  compare(one, ah ? "ah" : "integrity",
          authentication == 0 ? "none" : describe_authentication(prefix, authentication),
          wanted ? prefix + std::string(info(*wanted).name) : "none");
  compare(one, "mode", mode_word(offered.mode), mode_word(mode_number(mode_of(set, wishes), wishes)));
  if (!matches_sequence_numbers(wishes, offered)) {
    one.differences.push_back(
        {"esn", sequence_number_words(offered.esn), wishes.esn ? "esn" : "32-bit sequence numbers"});
  }
  if (!agree_on_pfs(wishes, offered).agreed) {
    one.differences.push_back({"pfs", offered.group ? "group" + std::to_string(*offered.group) : "none",
                               wishes.pfs ? std::string(info(*wishes.pfs).name) : "any strong group"});
  }
}

ProposalComparison compare_group(const TransformSet& set, const TransformWishes& wishes, const Group& group) {
  ProposalComparison one;
  SaPayload alone;
  for (const Proposal* proposal : group) alone.proposals.push_back(*proposal);
  one.offered = describe_offer(alone);
  one.wanted = set.name + " (" + to_string(set) + ")";
  std::string ours;
  for (const IpsecProtocol protocol : protocols_of(set))
    ours += std::string(ours.empty() ? "" : " ") + protocol_word(protocol);
  compare(one, "protocols", protocol_words(group), std::move(ours));
  if (!possible(set, wishes)) one.differences.push_back({"mode", "a NAT between us", "no NAT: AH"});
  for (const Proposal* proposal : group) {
    const auto protocol = ipsec_protocol(proposal->protocol);
    const auto wanted = protocols_of(set);
    const bool has = protocol && std::find(wanted.begin(), wanted.end(), *protocol) != wanted.end();
    if (!has || proposal->transforms.empty()) continue;
    // Of several transforms the one that comes closest.
    std::optional<ProposalComparison> closest;
    const std::size_t shown = std::min(proposal->transforms.size(), kDescribedTransforms);
    for (std::size_t i = 0; i < shown; ++i) {
      const Transform& transform = proposal->transforms[i];
      ProposalComparison with = one;
      compare_transform(with, set, *protocol, wishes, transform);
      if (!closest || with.differences.size() < closest->differences.size()) closest = std::move(with);
    }
    one = std::move(*closest);
  }
  return one;
}

}  // namespace

bool own_traffic(const SelectorPair& selectors, const IpAddress& local, const IpAddress& remote) {
  return selectors.local.subnet == Subnet::host(local) && selectors.remote.subnet == Subnet::host(remote);
}

std::optional<IpsecProtocol> ipsec_protocol(std::uint8_t number) {
  if (number == wire::kProtocolAh) return IpsecProtocol::ah;
  if (number == wire::kProtocolEsp) return IpsecProtocol::esp;
  if (number == wire::kProtocolIpcomp) return IpsecProtocol::comp;
  return std::nullopt;
}

std::uint8_t protocol_number(IpsecProtocol protocol) {
  switch (protocol) {
    case IpsecProtocol::ah:
      return wire::kProtocolAh;
    case IpsecProtocol::esp:
      return wire::kProtocolEsp;
    case IpsecProtocol::comp:
      return wire::kProtocolIpcomp;
  }
  return 0;
}

std::optional<Spi> read_spi(IpsecProtocol protocol, const Bytes& raw) {
  ByteReader reader(raw);
  std::uint32_t value = 0;
  std::uint16_t low = 0;
  if (protocol == IpsecProtocol::comp && raw.size() == 2) {
    if (!reader.u16(low)) return std::nullopt;
    value = low;
  } else if (!reader.u32(value) || !reader.empty()) {
    return std::nullopt;
  }
  if (protocol == IpsecProtocol::comp) value &= 0xffffU;
  if (value < kReservedSpis) return std::nullopt;
  return Spi{value};
}

Result<SaPayload> offer_transforms(const TransformWishes& wishes, const ProtocolSpis& our_spis) {
  SaPayload sa;
  std::uint8_t number = 0;
  for (const TransformSet& set : wishes.sets) {
    if (!possible(set, wishes) || !has_spis(set, our_spis)) continue;
    ++number;
    for (const IpsecProtocol protocol : protocols_of(set)) {
      sa.proposals.push_back({number,
                              protocol_number(protocol),
                              spi_bytes(protocol, our_spis.of(protocol)),
                              {transform_of(set, protocol, wishes)}});
    }
  }
  if (!sa.proposals.empty()) return sa;
  return fail(ErrorCode::unsupported,
              "there is a NAT between the peers, and AH cannot pass it: it covers the addresses",
              "a transform set without AH, or a path without NAT",
              "add a transform set like [esp-aes-256, esp-sha256-hmac] to the tunnel, here and at the peer");
}

Result<ChosenTransform> choose_transform(const TransformWishes& wishes, const SaPayload& offer,
                                         const ProtocolSpis& our_spis) {
  const std::vector<Group> groups = groups_of(offer);
  for (const TransformSet& set : wishes.sets) {
    if (!has_spis(set, our_spis)) continue;
    for (const Group& group : groups) {
      if (auto chosen = match(set, wishes, offer, group, our_spis)) return std::move(*chosen);
    }
  }
  return reject(
      NotifyType::no_proposal_chosen, ErrorCode::no_proposal_chosen,
      "no transform set in common: the peer offers " + describe_offer(offer), describe_wishes(wishes),
      "add a transform set (and pfs group) that the peer offers to the tunnel, or give the peer one of ours");
}

ProposalReport compare_transforms(const TransformWishes& wishes, const SaPayload& offer) {
  ProposalReport report;
  std::size_t looked_at = 0;
  for (const Group& group : groups_of(offer)) {
    for (const TransformSet& set : wishes.sets) {
      if (++looked_at > kReportedComparisons) return report;
      ProposalComparison one = compare_group(set, wishes, group);
      if (!one.differences.empty()) report.push_back(std::move(one));
    }
  }
  return report;
}

Result<ChosenTransform> check_chosen_transform(const TransformWishes& wishes, const SaPayload& reply) {
  const std::vector<Group> groups = groups_of(reply);
  const bool one_each = std::all_of(reply.proposals.begin(), reply.proposals.end(),
                                    [](const Proposal& one) { return one.transforms.size() == 1; });
  // strongSwan answers an offer of IPComp as it makes one: its choice, and the same again without IPComp
  // behind it. It has taken the first.
  const bool chosen_first = groups.size() == 2 && has_compression(groups.front());
  if ((groups.size() != 1 && !chosen_first) || !one_each) {
    return reject(NotifyType::bad_proposal_syntax, ErrorCode::malformed,
                  "the peer's SA payload does not choose exactly one transform",
                  "proposals of one number, one transform each");
  }
  for (const TransformSet& set : wishes.sets) {
    // RFC 2408 section 4.2: the responder "MUST NOT" change attributes; numbers may differ (PIX), so content
    // decides. A peer that answers with its own, shorter life is taken at its word; everything else must be
    // what we offered.
    auto chosen = match(set, wishes, reply, groups.front(), {});
    if (chosen && chosen->pfs == wishes.pfs) return std::move(*chosen);
  }
  return reject(NotifyType::bad_proposal_syntax, ErrorCode::no_proposal_chosen,
                "the peer chose " + describe_offer(reply) + ", which was not offered",
                describe_wishes(wishes));
}

}  // namespace oakgate::ike
