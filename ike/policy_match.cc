#include "ike/policy_match.h"

#include <algorithm>

#include "ike/attributes.h"

namespace oakgate::ike {

namespace {

using wire::Attribute;
using wire::SaPayload;
using wire::Transform;
namespace attribute = wire::ike_attribute;

constexpr std::size_t kDescribedTransforms = 8;  // of a peer's offer, in an error text

enum class KeyLength : std::uint8_t { said, left_out };

Transform transform_of(const IsakmpPolicy& policy, KeyLength key_length, std::size_t number) {
  Transform transform{static_cast<std::uint8_t>(number), wire::kTransformKeyIke, {}};
  auto& list = transform.attributes;
  const IkeCipherInfo& cipher = info(policy.encryption);
  list.push_back(Attribute::short_form(attribute::encryption, cipher.wire));
  if (cipher.wire_key_bits != 0 && key_length == KeyLength::said)
    list.push_back(Attribute::short_form(attribute::key_length, cipher.wire_key_bits));
  list.push_back(Attribute::short_form(attribute::hash, info(policy.hash).wire));
  list.push_back(
      Attribute::short_form(attribute::group_description, static_cast<std::uint16_t>(policy.group)));
  list.push_back(
      Attribute::short_form(attribute::authentication, wire_number(policy.authentication, policy.hash)));
  add_life(list, attribute::life_type, attribute::life_duration, wire::kLifeSeconds,
           static_cast<std::uint64_t>(policy.lifetime.count()));
  return transform;
}

struct OfferedPolicy {
  std::optional<IkeCipher> encryption;
  std::optional<IkeHash> hash;
  std::optional<DhGroup> group;
  std::uint64_t authentication = 0;
  OfferedLife life;
};

OfferedPolicy read_transform(const Transform& transform) {
  const auto number = [&](std::uint16_t type) {
    return find_attribute(transform.attributes, type).value_or(0);
  };
  const auto narrow = [](std::uint64_t value) {
    return static_cast<std::uint16_t>(value > 0xffff ? 0 : value);
  };
  OfferedPolicy offered;
  offered.encryption =
      find_ike_cipher(narrow(number(attribute::encryption)), narrow(number(attribute::key_length)));
  offered.hash = find_ike_hash(narrow(number(attribute::hash)));
  offered.group = find_dh_group(narrow(number(attribute::group_description)));
  offered.authentication = number(attribute::authentication);
  offered.life = offered_life(transform.attributes, attribute::life_type, attribute::life_duration);
  return offered;
}

bool matches(const IsakmpPolicy& policy, const Transform& transform) {
  const OfferedPolicy offered = read_transform(transform);
  return transform.id == wire::kTransformKeyIke && offered.encryption == policy.encryption &&
         offered.hash == policy.hash && offered.group == policy.group &&
         offered.authentication == wire_number(policy.authentication, policy.hash);
}

ChosenPolicy chosen(const IsakmpPolicy& policy, const Transform& transform) {
  ChosenPolicy result{policy, false, {}};
  const OfferedLife life = read_transform(transform).life;
  // Without a life in the offer nothing is agreed on, and both sides keep their own: nothing to tell.
  result.shortened = life.time && policy.lifetime < *life.time;
  result.policy.lifetime = smaller_life(Lifetime{policy.lifetime, Kilobytes{0}}, life).time;
  return result;
}

std::string describe_offer(const SaPayload& offer) {
  std::string text;
  std::size_t shown = 0;
  for (const auto& proposal : offer.proposals) {
    for (const auto& transform : proposal.transforms) {
      if (++shown > kDescribedTransforms) return text + ", ...";
      text += (text.empty() ? "" : ", ") + describe_policy_transform(transform);
    }
  }
  return text.empty() ? "nothing" : text;
}

Result<void> check_sa(const SaPayload& sa) {
  // RFC 2408 section 5.4: DOI and situation are checked before any proposal.
  if (sa.doi != wire::kDoiIpsec && sa.doi != wire::kDoiIsakmp) {
    return reject(NotifyType::doi_not_supported, ErrorCode::unsupported,
                  "the SA payload names DOI " + std::to_string(sa.doi), "DOI 1 (IPsec)");
  }
  if (sa.situation != wire::kSituationIdentityOnly) {
    return reject(NotifyType::situation_not_supported, ErrorCode::unsupported,
                  "the SA payload asks for situation " + std::to_string(sa.situation), "SIT_IDENTITY_ONLY");
  }
  return {};
}

}  // namespace

SaPayload offer_policies(std::span<const IsakmpPolicy> policies) {
  SaPayload sa;
  wire::Proposal proposal{1, wire::kProtocolIsakmp, {}, {}};
  auto& transforms = proposal.transforms;
  for (const IsakmpPolicy& policy : policies)
    transforms.push_back(transform_of(policy, KeyLength::said, transforms.size() + 1));
  // RFC 3602 section 5.3 says that Key Length "MUST be specified"; for a peer that wants none, and takes the
  // cipher for 128 bits then, such policies follow once more behind all others.
  for (const IsakmpPolicy& policy : policies) {
    const IkeCipherInfo& cipher = info(policy.encryption);
    if (cipher.wire_key_bits != 0 && find_ike_cipher(cipher.wire, 0) == cipher.id)
      transforms.push_back(transform_of(policy, KeyLength::left_out, transforms.size() + 1));
  }
  sa.proposals.push_back(std::move(proposal));
  return sa;
}

Result<ChosenPolicy> choose_policy(std::span<const IsakmpPolicy> policies, const SaPayload& offer) {
  if (auto checked = check_sa(offer); !checked) return fail(std::move(checked.error()));
  for (const IsakmpPolicy& policy : policies) {
    for (const auto& proposal : offer.proposals) {
      if (proposal.protocol != wire::kProtocolIsakmp) continue;
      for (const auto& transform : proposal.transforms) {
        if (!matches(policy, transform)) continue;
        ChosenPolicy result = chosen(policy, transform);
        result.reply.doi = offer.doi;
        result.reply.proposals.push_back({proposal.number, proposal.protocol, proposal.spi, {transform}});
        return result;
      }
    }
  }
  return reject(NotifyType::no_proposal_chosen, ErrorCode::no_proposal_chosen,
                "no offers accepted: the peer offers " + describe_offer(offer), describe(policies),
                "add an isakmp policy that the peer offers to isakmp_policies, or give the peer one of ours");
}

ProposalReport compare_policies(std::span<const IsakmpPolicy> policies, const SaPayload& offer) {
  ProposalReport report;
  std::size_t looked_at = 0;
  for (const auto& proposal : offer.proposals) {
    for (const auto& transform : proposal.transforms) {
      const OfferedPolicy offered = read_transform(transform);
      const auto number = [&](std::uint16_t type) {
        return std::to_string(find_attribute(transform.attributes, type).value_or(0));
      };
      for (const IsakmpPolicy& policy : policies) {
        if (++looked_at > kReportedComparisons) return report;
        ProposalComparison one;
        one.offered = describe_policy_transform(transform);
        one.wanted = describe({&policy, 1});
        compare(one, "encryption",
                offered.encryption ? std::string(info(*offered.encryption).name)
                                   : number(attribute::encryption) + "/" + number(attribute::key_length),
                std::string(info(policy.encryption).name));
        compare(one, "hash", offered.hash ? std::string(info(*offered.hash).name) : number(attribute::hash),
                std::string(info(policy.hash).name));
        compare(one, "group", "group" + number(attribute::group_description),
                std::string(info(policy.group).name));
        if (offered.authentication != wire_number(policy.authentication, policy.hash)) {
          const auto method = offered.authentication > 0xffff
                                  ? std::nullopt
                                  : find_auth_method(static_cast<std::uint16_t>(offered.authentication));
          one.differences.push_back(
              {"authentication",
               method ? std::string(info(*method).name) : std::to_string(offered.authentication),
               std::string(info(policy.authentication).name)});
        }
        if (!one.differences.empty()) report.push_back(std::move(one));
      }
    }
  }
  return report;
}

Result<ChosenPolicy> check_chosen_policy(std::span<const IsakmpPolicy> policies, const SaPayload& reply) {
  if (auto checked = check_sa(reply); !checked) return fail(std::move(checked.error()));
  if (reply.proposals.size() != 1 || reply.proposals.front().transforms.size() != 1 ||
      reply.proposals.front().protocol != wire::kProtocolIsakmp) {
    return reject(NotifyType::bad_proposal_syntax, ErrorCode::malformed,
                  "the peer's SA payload does not choose exactly one transform",
                  "one proposal, one transform");
  }
  const Transform& transform = reply.proposals.front().transforms.front();
  for (const IsakmpPolicy& policy : policies) {
    if (matches(policy, transform)) return chosen(policy, transform);
  }
  return reject(NotifyType::bad_proposal_syntax, ErrorCode::no_proposal_chosen,
                "the peer chose " + describe_policy_transform(transform) + ", which was not offered",
                describe(policies));
}

std::string describe_policy_transform(const Transform& transform) {
  const OfferedPolicy offered = read_transform(transform);
  const auto number = [&](std::uint16_t type) {
    return std::to_string(find_attribute(transform.attributes, type).value_or(0));
  };
  std::string text;
  if (offered.encryption) {
    text += info(*offered.encryption).name;
  } else {
    text += "encryption " + number(attribute::encryption);
    if (find_attribute(transform.attributes, attribute::key_length))
      text += "/" + number(attribute::key_length);
  }
  text += " " + (offered.hash ? std::string(info(*offered.hash).name) : "hash " + number(attribute::hash));
  text += " group" + number(attribute::group_description) + " ";
  const auto method = offered.authentication > 0xffff
                          ? std::nullopt
                          : find_auth_method(static_cast<std::uint16_t>(offered.authentication));
  text +=
      method ? std::string(info(*method).name) : "authentication " + std::to_string(offered.authentication);
  return text;
}

std::string describe(std::span<const IsakmpPolicy> policies) {
  std::string text;
  for (const IsakmpPolicy& policy : policies) {
    text += (text.empty() ? "" : ", ") +
            ("policy " + std::to_string(policy.number) + " (" + to_string(policy) + ")");
  }
  return text;
}

}  // namespace oakgate::ike
