#include "ike/transform_match.h"

#include <gtest/gtest.h>

namespace oakgate::ike {
namespace {

namespace attribute = wire::ipsec_attribute;
using wire::Attribute;

constexpr ProtocolSpis kOurs{Spi{0x11110000}, Spi{0x11111111}};
constexpr ProtocolSpis kTheirs{Spi{0x22220000}, Spi{0x22222222}};
const std::vector<TransformSet> kSets{
    {"strong", EspCipher::aes_256, Integrity::sha256, EncapsulationMode::tunnel},
    {"gcm", EspCipher::gcm_128, {}, EncapsulationMode::tunnel}};

TransformWishes wishes(std::optional<DhGroup> pfs = {}, const WeakWaiver* waiver = nullptr) {
  return {kSets, pfs, {Seconds(3600), Kilobytes{4608000}}, false, waiver};
}
wire::SaPayload offer_from(TransformWishes theirs) {
  return *offer_transforms(theirs, kTheirs);
}

TEST(OfferTransforms, OneProposalASetAsIosWritesThem) {
  const wire::SaPayload offer = *offer_transforms(wishes(DhGroup::modp2048), kOurs);
  ASSERT_EQ(offer.proposals.size(), 2U);
  EXPECT_EQ(offer.proposals[0].number, 1);
  EXPECT_EQ(offer.proposals[1].number, 2);
  EXPECT_EQ(to_hex(offer.proposals[0].spi), "11111111");
  EXPECT_EQ(offer.proposals[0].transforms.at(0).id, 12);
  EXPECT_EQ(offer.proposals[1].transforms.at(0).id, 20);
}

TEST(ChooseTransform, TakesTheFirstOfOurSetsAndAnswersWithOurSpi) {
  wire::SaPayload offer = offer_from(wishes());
  std::swap(offer.proposals[0], offer.proposals[1]);
  const auto chosen = choose_transform(wishes(), offer, kOurs);
  ASSERT_TRUE(chosen);
  EXPECT_EQ(chosen->set.name, "strong");
  EXPECT_EQ(chosen->peer_spis, (ProtocolSpis{{}, kTheirs.esp}));
  EXPECT_EQ(to_hex(chosen->reply.proposals.at(0).spi), "11111111");
  EXPECT_EQ(chosen->reply.proposals.at(0).number, 1) << "its own number";
}

TEST(ChooseTransform, AesWithoutKeyLengthMeans128Bits) {
  const std::vector<TransformSet> ours{
      {"aes", EspCipher::aes_128, Integrity::sha, EncapsulationMode::tunnel}};
  TransformWishes wanted = wishes();
  wanted.sets = ours;
  wire::SaPayload offer = offer_from(wanted);
  auto& list = offer.proposals[0].transforms[0].attributes;
  std::erase_if(list, [](const Attribute& a) { return a.type == attribute::key_length; });
  const auto chosen = choose_transform(wanted, offer, kOurs);
  ASSERT_TRUE(chosen) << chosen.error().text;
  EXPECT_EQ(chosen->reply.proposals[0].transforms, offer.proposals[0].transforms);
  EXPECT_FALSE(choose_transform(wishes(), offer, kOurs)) << "it does not mean 256";
}

// RFC 4868's 128 bits and IOS's 96 have one number: the peer's offer fits whichever this side was told to
// use.
TEST(ChooseTransform, TheCutOfSha256IsNotNegotiated) {
  const TransformSet plain{"s", EspCipher::aes_128, Integrity::sha256, EncapsulationMode::tunnel};
  const std::vector<TransformSet> full{plain};
  const std::vector<TransformSet> cut{with_sha256_96(plain)};
  TransformWishes theirs = wishes();
  theirs.sets = full;
  TransformWishes ours = wishes();
  ours.sets = cut;
  EXPECT_EQ(choose_transform(ours, offer_from(theirs), kOurs)->set.integrity, Integrity::sha256_96);
  EXPECT_EQ(choose_transform(theirs, offer_from(ours), kOurs)->set.integrity, Integrity::sha256);
}

// RFC 4304: attribute 11, whose only value is 1.
TEST(ChooseTransform, ExtendedSequenceNumbersAreInsistedOnByBothSides) {
  TransformWishes extended = wishes();
  extended.esn = true;
  const wire::SaPayload offer = offer_from(extended);
  for (const wire::Proposal& proposal : offer.proposals) {
    const Attribute& last = proposal.transforms.at(0).attributes.back();
    EXPECT_EQ(last.type, 11);
    EXPECT_EQ(last.number(), 1U);
  }
  const auto chosen = choose_transform(extended, offer, kOurs);
  ASSERT_TRUE(chosen) << chosen.error().text;
  EXPECT_TRUE(chosen->esn);
  const auto answered = check_chosen_transform(extended, chosen->reply);
  ASSERT_TRUE(answered);
  EXPECT_TRUE(answered->esn);
  EXPECT_FALSE(choose_transform(wishes(), offer_from(wishes()), kOurs)->esn);

  const auto refused = choose_transform(wishes(), offer, kOurs);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text.find("aes-256 esp-sha256-hmac esn"), std::string::npos)
      << refused.error().text;
  const ProposalReport report = compare_transforms(wishes(), offer);
  ASSERT_FALSE(report.empty());
  EXPECT_EQ(report[0].differences.at(0).attribute, "esn");
  EXPECT_EQ(report[0].differences.at(0).ours, "32-bit sequence numbers");
  EXPECT_FALSE(choose_transform(extended, offer_from(wishes()), kOurs));
  EXPECT_FALSE(check_chosen_transform(extended, offer_from(wishes())));
}

TEST(ChooseTransform, OtherValuesOfTheSequenceNumbersAttributeFitNothing) {
  TransformWishes extended = wishes();
  extended.esn = true;
  for (const std::uint16_t value : {0, 2, 0xffff}) {
    wire::SaPayload offer = offer_from(wishes());
    for (wire::Proposal& proposal : offer.proposals)
      proposal.transforms[0].attributes.push_back(Attribute::short_form(11, value));
    EXPECT_FALSE(choose_transform(wishes(), offer, kOurs)) << value;
    EXPECT_FALSE(choose_transform(extended, offer, kOurs)) << value;
  }
}

// Every cipher with every integrity algorithm finds itself in its own offer, and nothing else.
TEST(ChooseTransform, EveryAlgorithmIsTold) {
  std::vector<TransformSet> all;
  for (const EspCipherInfo& cipher : esp_ciphers()) {
    for (const IntegrityInfo& integrity : integrities()) {
      if (!integrity.configurable || (cipher.aead() && integrity.id != Integrity::md5)) continue;
      all.push_back({"s", cipher.id, cipher.aead() ? std::nullopt : std::optional(integrity.id)});
    }
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    TransformWishes theirs = wishes();
    theirs.sets = {&all[i], 1};
    TransformWishes ours = wishes();
    ours.sets = all;
    EXPECT_EQ(choose_transform(ours, offer_from(theirs), kOurs)->set, all[i]) << to_string(all[i]);
  }
}

TEST(ChooseTransform, PfsIsAgreedOnBothWays) {
  EXPECT_EQ(choose_transform(wishes(), offer_from(wishes(DhGroup::ecp256)), kOurs)->pfs, DhGroup::ecp256)
      << "a tunnel without pfs takes any group we allow";
  EXPECT_FALSE(choose_transform(wishes(DhGroup::modp2048), offer_from(wishes()), kOurs))
      << "one with pfs insists";
  EXPECT_EQ(choose_transform(wishes(DhGroup::modp2048), offer_from(wishes(DhGroup::ecp384)), kOurs)->pfs,
            DhGroup::ecp384);
}

TEST(ChooseTransform, AWeakGroupNeedsAWaiver) {
  const auto offer = offer_from(wishes(DhGroup::modp1024));
  EXPECT_FALSE(choose_transform(wishes(), offer, kOurs));
  const WeakWaiver waiver{{Weak::group2}, {}, "old"};
  EXPECT_TRUE(choose_transform(wishes({}, &waiver), offer, kOurs));
}

TEST(ChooseTransform, EncapsulationModeMustFitTheNat) {
  TransformWishes natted = wishes();
  natted.udp_encapsulation = true;
  EXPECT_FALSE(choose_transform(wishes(), offer_from(natted), kOurs));
  EXPECT_FALSE(choose_transform(natted, offer_from(wishes()), kOurs));
  EXPECT_TRUE(choose_transform(natted, offer_from(natted), kOurs));
}

TEST(ChooseTransform, EspBesideAhInOneProposalIsNotEspAlone) {
  wire::SaPayload offer = offer_from(wishes());
  offer.proposals.resize(1);
  wire::Proposal ah = offer.proposals[0];
  ah.protocol = wire::kProtocolAh;
  offer.proposals.push_back(ah);
  EXPECT_FALSE(choose_transform(wishes(), offer, kOurs));
}

TEST(ChooseTransform, RefusesReservedAndOddSpis) {
  for (const char* spi : {"000000ff", "00000000", "112233", "1122334455"}) {
    wire::SaPayload offer = offer_from(wishes());
    for (auto& proposal : offer.proposals) proposal.spi = *from_hex(spi);
    EXPECT_FALSE(choose_transform(wishes(), offer, kOurs)) << spi;
  }
}

TEST(ChooseTransform, TellsWhatWasOfferedAndWanted) {
  const std::vector<TransformSet> other{{"x", EspCipher::des3, Integrity::sha, EncapsulationMode::tunnel}};
  TransformWishes theirs = wishes(DhGroup::modp1024);
  theirs.sets = other;
  const auto refused = choose_transform(wishes(), offer_from(theirs), kOurs);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::no_proposal_chosen);
  EXPECT_NE(refused.error().text.find("esp-3des esp-sha-hmac group2"), std::string::npos)
      << refused.error().text;
  EXPECT_NE(refused.error().expected.find("esp-aes-256 esp-sha256-hmac"), std::string::npos)
      << refused.error().expected;
}

TEST(ChooseTransform, LifeIsTheSmallerOfBoth) {
  TransformWishes theirs = wishes();
  theirs.lifetime = {Seconds(1200), Kilobytes{9000000}};
  const auto chosen = choose_transform(wishes(), offer_from(theirs), kOurs);
  EXPECT_EQ(chosen->lifetime, (Lifetime{Seconds(1200), Kilobytes{4608000}}));
}

TEST(CheckChosenTransform, TakesAnotherProposalNumberButNotAnotherContent) {
  wire::SaPayload reply = offer_from(wishes());
  reply.proposals.resize(1);
  reply.proposals[0].number = 9;  // a PIX answers with its own
  ASSERT_TRUE(check_chosen_transform(wishes(), reply));
  EXPECT_EQ(check_chosen_transform(wishes(), reply)->peer_spis.esp, kTheirs.esp);
  for (auto& one : reply.proposals[0].transforms[0].attributes) {
    if (one.type == attribute::key_length) one = Attribute::short_form(attribute::key_length, 128);
  }
  EXPECT_FALSE(check_chosen_transform(wishes(), reply)) << "aes-128 was not offered";
}

TEST(CheckChosenTransform, AGroupThatWasNotOfferedIsRefused) {
  wire::SaPayload reply = offer_from(wishes(DhGroup::ecp256));
  reply.proposals.resize(1);
  EXPECT_FALSE(check_chosen_transform(wishes(), reply));
  EXPECT_FALSE(check_chosen_transform(wishes(DhGroup::modp2048), reply));
  EXPECT_TRUE(check_chosen_transform(wishes(DhGroup::ecp256), reply));
}

// ---- AH, and AH with ESP in one proposal

const std::vector<TransformSet> kBundle{
    {"pix", EspCipher::aes_128, Integrity::sha, EncapsulationMode::tunnel, Integrity::sha}};
const std::vector<TransformSet> kAhAlone{{"ah", {}, {}, EncapsulationMode::tunnel, Integrity::sha256}};
const std::vector<TransformSet> kTransport{
    {"gre", EspCipher::aes_128, Integrity::sha, EncapsulationMode::transport}};

TransformWishes wishing(const std::vector<TransformSet>& sets) {
  TransformWishes wanted = wishes();
  wanted.sets = sets;
  return wanted;
}

TEST(OfferTransforms, AhAndEspAreTwoProposalsOfOneNumber) {
  const wire::SaPayload offer = *offer_transforms(wishing(kBundle), kOurs);
  ASSERT_EQ(offer.proposals.size(), 2U);
  EXPECT_EQ(offer.proposals[0].number, offer.proposals[1].number);
  EXPECT_EQ(offer.proposals[0].protocol, wire::kProtocolAh);
  EXPECT_EQ(to_hex(offer.proposals[0].spi), "11110000");
  EXPECT_EQ(offer.proposals[0].transforms.at(0).id, 3) << "AH_SHA";
  EXPECT_EQ(offer.proposals[1].protocol, wire::kProtocolEsp);
  EXPECT_EQ(to_hex(offer.proposals[1].spi), "11111111");
  for (const auto& proposal : offer.proposals) {
    for (const auto& one : proposal.transforms.at(0).attributes) {
      if (one.type == attribute::encapsulation_mode) {
        EXPECT_EQ(*one.number(), wire::kModeTunnel);
      }
    }
  }
  EXPECT_EQ(offer_transforms(wishing(kAhAlone), kOurs)->proposals.at(0).transforms.at(0).id, 5)
      << "AH_SHA2-256";
}

TEST(ChooseTransform, ABundleIsTakenInAnyOrderAndNumbering) {
  for (const int chosen_number : {0, 1, 7, 255}) {
    const auto number = static_cast<std::uint8_t>(chosen_number);
    for (const bool swapped : {false, true}) {
      wire::SaPayload offer = *offer_transforms(wishing(kBundle), kTheirs);
      for (auto& one : offer.proposals) {
        one.number = number;
        one.transforms[0].number = 0;
        wire::Transform weak = one.transforms[0];
        weak.id = 250;
        one.transforms.insert(one.transforms.begin(), weak);
      }
      if (swapped) std::swap(offer.proposals[0], offer.proposals[1]);
      // Something else before it, with a number of its own.
      wire::Proposal other = offer.proposals[0];
      other.number = static_cast<std::uint8_t>(number + 1);
      offer.proposals.insert(offer.proposals.begin(), other);
      const auto chosen = choose_transform(wishing(kBundle), offer, kOurs);
      ASSERT_TRUE(chosen) << chosen.error().text;
      EXPECT_EQ(chosen->set, kBundle[0]);
      EXPECT_EQ(chosen->peer_spis, kTheirs);
      ASSERT_EQ(chosen->reply.proposals.size(), 2U);
      for (std::size_t i = 0; i < 2; ++i) {
        const wire::Proposal& answer = chosen->reply.proposals[i];
        EXPECT_EQ(answer.number, number);
        EXPECT_EQ(answer.protocol, offer.proposals[i + 1].protocol) << "in the order of the offer";
        EXPECT_EQ(answer.transforms.size(), 1U);
        EXPECT_EQ(to_hex(answer.spi), answer.protocol == wire::kProtocolAh ? "11110000" : "11111111");
      }
      const auto checked = check_chosen_transform(wishing(kBundle), chosen->reply);
      ASSERT_TRUE(checked) << checked.error().text;
      EXPECT_EQ(checked->peer_spis, kOurs);
    }
  }
}

TEST(ChooseTransform, EveryProtocolOfAnOfferMustFitAndNoneBeLeftOver) {
  const wire::SaPayload bundle = *offer_transforms(wishing(kBundle), kTheirs);
  const std::vector<TransformSet> esp{{"esp", EspCipher::aes_128, Integrity::sha, EncapsulationMode::tunnel}};
  EXPECT_FALSE(choose_transform(wishing(esp), bundle, kOurs)) << "AH would be left over";
  EXPECT_FALSE(choose_transform(wishing(kBundle), *offer_transforms(wishing(esp), kTheirs), kOurs));
  wire::SaPayload apart = bundle;
  apart.proposals[1].number = 2;
  EXPECT_FALSE(choose_transform(wishing(kBundle), apart, kOurs)) << "two numbers are an OR";
  wire::SaPayload third = bundle;
  third.proposals.push_back(third.proposals[1]);
  third.proposals.back().protocol = 4;  // IPComp
  EXPECT_FALSE(choose_transform(wishing(kBundle), third, kOurs));
  wire::SaPayload twice = bundle;
  twice.proposals[1] = twice.proposals[0];
  EXPECT_FALSE(choose_transform(wishing(kBundle), twice, kOurs)) << "AH twice";
  EXPECT_FALSE(check_chosen_transform(wishing(kBundle), apart));
  EXPECT_FALSE(check_chosen_transform(wishing(esp), bundle));
}

TEST(ChooseTransform, TheProtocolsOfABundleAgreeOnTheGroupAndTheShortestLife) {
  TransformWishes theirs = wishing(kBundle);
  theirs.pfs = DhGroup::modp2048;
  wire::SaPayload offer = *offer_transforms(theirs, kTheirs);
  ASSERT_EQ(choose_transform(wishing(kBundle), offer, kOurs)->pfs, DhGroup::modp2048);
  for (auto& one : offer.proposals[1].transforms[0].attributes) {
    if (one.type == attribute::group_description) one = Attribute::short_form(one.type, 20);
    if (one.type == attribute::life_duration && one.number() == 3600)
      one = Attribute::short_form(one.type, 600);
  }
  EXPECT_FALSE(choose_transform(wishing(kBundle), offer, kOurs)) << "group 14 and group 20";
  // The peer's AH offers both.
  offer.proposals[0].transforms.push_back(offer.proposals[0].transforms[0]);
  for (auto& one : offer.proposals[0].transforms[1].attributes) {
    if (one.type == attribute::group_description) one = Attribute::short_form(one.type, 20);
  }
  const auto chosen = choose_transform(wishing(kBundle), offer, kOurs);
  ASSERT_TRUE(chosen);
  EXPECT_EQ(chosen->pfs, DhGroup::ecp384);
  EXPECT_EQ(chosen->lifetime.time, Seconds(600));
}

TEST(ChooseTransform, AhsTransformAndAttributeMustBothFit) {
  wire::SaPayload offer = *offer_transforms(wishing(kAhAlone), kTheirs);
  ASSERT_TRUE(choose_transform(wishing(kAhAlone), offer, kOurs));
  EXPECT_EQ(choose_transform(wishing(kAhAlone), offer, kOurs)->peer_spis, (ProtocolSpis{kTheirs.ah, {}}));
  wire::SaPayload other = offer;
  other.proposals[0].transforms[0].id = 3;
  EXPECT_FALSE(choose_transform(wishing(kAhAlone), other, kOurs));
  // RFC 2407 section 4.5: "must be specified for AH".
  std::erase_if(offer.proposals[0].transforms[0].attributes,
                [](const auto& one) { return one.type == attribute::authentication; });
  const auto refused = choose_transform(wishing(kAhAlone), offer, kOurs);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text.find("ah transform 5"), std::string::npos) << refused.error().text;
}

TEST(OfferTransforms, AhCannotPassANat) {
  TransformWishes natted = wishing(kBundle);
  natted.udp_encapsulation = true;
  const auto refused = offer_transforms(natted, kOurs);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text.find("AH cannot pass"), std::string::npos);
  EXPECT_FALSE(choose_transform(natted, *offer_transforms(wishing(kBundle), kTheirs), kOurs));
  std::vector<TransformSet> both = kBundle;
  both.push_back(kSets[0]);
  natted.sets = both;
  ASSERT_TRUE(offer_transforms(natted, kOurs));
  EXPECT_EQ(offer_transforms(natted, kOurs)->proposals.size(), 1U) << "the set without AH is offered";
}

TEST(OfferTransforms, TransportModeIsForTheGatewaysOwnTraffic) {
  const auto mode = [](const TransformWishes& wanted) {
    const wire::SaPayload offer = *offer_transforms(wanted, kOurs);
    for (const auto& one : offer.proposals.at(0).transforms.at(0).attributes) {
      if (one.type == attribute::encapsulation_mode) return *one.number();
    }
    return std::uint64_t{0};
  };
  TransformWishes wanted = wishing(kTransport);
  EXPECT_EQ(mode(wanted), wire::kModeTunnel);
  wanted.own_traffic = true;
  EXPECT_EQ(mode(wanted), wire::kModeTransport);
  const auto chosen = choose_transform(wanted, *offer_transforms(wanted, kTheirs), kOurs);
  ASSERT_TRUE(chosen);
  EXPECT_EQ(chosen->set.mode, EncapsulationMode::transport);
  EXPECT_FALSE(choose_transform(wishing(kTransport), *offer_transforms(wanted, kTheirs), kOurs));
  wanted.udp_encapsulation = true;
  EXPECT_EQ(mode(wanted), find_nat_form(NatTraversal::rfc)->udp_tunnel);
  EXPECT_EQ(choose_transform(wanted, *offer_transforms(wanted, kTheirs), kOurs)->set.mode,
            EncapsulationMode::tunnel);
}

TEST(CompareTransforms, NamesEachAttributeThatDiffers) {
  const std::vector<TransformSet> other{
      {"pix", EspCipher::des3, Integrity::sha, EncapsulationMode::tunnel, Integrity::sha}};
  TransformWishes theirs = wishing(other);
  theirs.pfs = DhGroup::modp1024;
  const wire::SaPayload offer = *offer_transforms(theirs, kTheirs);
  ASSERT_FALSE(choose_transform(wishes(), offer, kOurs));
  const ProposalReport report = compare_transforms(wishes(), offer);
  ASSERT_EQ(report.size(), 2U) << "one offer against two sets";
  EXPECT_EQ(report[0].offered, "ah-sha-hmac group2 and esp-3des esp-sha-hmac group2");
  EXPECT_EQ(report[0].wanted, "strong (esp-aes-256 esp-sha256-hmac)");
  const std::vector<AttributeDifference> expected{{"protocols", "ah esp", "esp"},
                                                  {"cipher", "esp-3des", "esp-aes-256"},
                                                  {"integrity", "esp-sha-hmac", "esp-sha256-hmac"},
                                                  {"pfs", "group2", "any strong group"}};
  EXPECT_EQ(report[0].differences, expected);
}

TEST(CompareTransforms, TakesTheClosestTransformAndIsBounded) {
  wire::SaPayload offer = offer_from(wishes());
  offer.proposals.resize(1);
  wire::Transform far = offer.proposals[0].transforms[0];
  far.id = 3;
  far.attributes.push_back(Attribute::short_form(attribute::group_description, 2));
  wire::Transform near = offer.proposals[0].transforms[0];
  near.attributes.push_back(Attribute::short_form(attribute::group_description, 2));
  offer.proposals[0].transforms = {far, near};
  TransformWishes one = wishes();
  one.sets = one.sets.first(1);
  const ProposalReport report = compare_transforms(one, offer);
  ASSERT_EQ(report.size(), 1U);
  const std::vector<AttributeDifference> expected{{"pfs", "group2", "any strong group"}};
  EXPECT_EQ(report[0].differences, expected);
  for (int i = 0; i < 200; ++i) {
    offer.proposals.push_back(offer.proposals[0]);
    offer.proposals.back().number = static_cast<std::uint8_t>(i + 10);
  }
  EXPECT_LE(compare_transforms(wishes(), offer).size(), kReportedComparisons);
}

TEST(OwnTraffic, IsBetweenTheTwoAddressesOfAnyProtocol) {
  const IpAddress a = *IpAddress::parse("192.0.2.1");
  const IpAddress b = *IpAddress::parse("192.0.2.2");
  EXPECT_TRUE(own_traffic({{Subnet::host(a), 47}, {Subnet::host(b), 47}}, a, b));
  EXPECT_FALSE(own_traffic({{Subnet::host(b)}, {Subnet::host(a)}}, a, b));
  EXPECT_FALSE(own_traffic({{*Subnet::parse("192.0.2.0/24")}, {Subnet::host(b)}}, a, b));
}

}  // namespace
}  // namespace oakgate::ike
