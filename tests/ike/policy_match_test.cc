#include "ike/policy_match.h"

#include <gtest/gtest.h>

#include "ike/attributes.h"

namespace oakgate::ike {
namespace {

namespace attribute = wire::ike_attribute;
using wire::Attribute;

IsakmpPolicy policy(std::uint16_t number, IkeCipher cipher, IkeHash hash, DhGroup group, Seconds life) {
  return {number, cipher, hash, group, AuthMethod::pre_share, life};
}
const std::vector<IsakmpPolicy> kOurs{
    policy(10, IkeCipher::aes_256, IkeHash::sha256, DhGroup::modp2048, Seconds(86400)),
    policy(20, IkeCipher::des3, IkeHash::sha, DhGroup::modp1024, Seconds(3600))};

// What a PIX sends for 3DES, SHA, group 2 with its life in four bytes, attributes in its own order.
wire::SaPayload pix_offer(std::uint32_t seconds) {
  wire::Transform transform{0, wire::kTransformKeyIke, {}};
  transform.attributes = {Attribute::short_form(attribute::hash, 2),
                          Attribute::short_form(attribute::encryption, 5),
                          Attribute::short_form(attribute::group_description, 2),
                          Attribute::short_form(attribute::authentication, 1),
                          Attribute::short_form(attribute::life_type, 1),
                          Attribute::long_form(attribute::life_duration, seconds)};
  wire::SaPayload sa;
  sa.proposals = {{0, wire::kProtocolIsakmp, {}, {transform}}};
  return sa;
}

TEST(ChoosePolicy, MatchesByContentWhateverNumbersAndOrder) {
  const auto chosen = choose_policy(kOurs, pix_offer(1800));
  ASSERT_TRUE(chosen);
  EXPECT_EQ(chosen->policy.number, 20);
  EXPECT_EQ(chosen->policy.lifetime, Seconds(1800)) << "the smaller life wins";
  EXPECT_EQ(chosen->reply, pix_offer(1800)) << "the transform goes back as it was offered";
}

TEST(ChoosePolicy, ALongerLifeIsAcceptedAndOursApplies) {
  EXPECT_EQ(choose_policy(kOurs, pix_offer(0xffffffff))->policy.lifetime, Seconds(3600));
}

TEST(ChoosePolicy, OurPriorityDecidesNotTheirs) {
  wire::SaPayload offer = offer_policies(kOurs);
  std::swap(offer.proposals[0].transforms[0], offer.proposals[0].transforms[1]);
  EXPECT_EQ(choose_policy(kOurs, offer)->policy.number, 10);
}

TEST(ChoosePolicy, NothingInCommonTellsBothSides) {
  const auto refused = choose_policy({kOurs.data(), 1}, pix_offer(1800));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().notify, NotifyType::no_proposal_chosen);
  EXPECT_NE(refused.error().text.find("3des sha group2 pre-share"), std::string::npos)
      << refused.error().text;
  EXPECT_NE(refused.error().expected.find("policy 10 (aes-256 sha256 group14 pre-share)"), std::string::npos);
}

TEST(ChoosePolicy, EveryDifferenceMatters) {
  const wire::SaPayload good = pix_offer(1800);
  for (std::size_t i = 0; i < 4; ++i) {
    wire::SaPayload offer = good;
    offer.proposals[0].transforms[0].attributes[i].value = {0, 99};
    EXPECT_FALSE(choose_policy(kOurs, offer)) << i;
  }
  wire::SaPayload offer = good;
  offer.proposals[0].transforms[0].id = 2;
  EXPECT_FALSE(choose_policy(kOurs, offer));
  offer = good;
  offer.proposals[0].protocol = wire::kProtocolEsp;
  EXPECT_FALSE(choose_policy(kOurs, offer));
  offer = good;
  offer.situation = 4;
  EXPECT_EQ(choose_policy(kOurs, offer).error().notify, NotifyType::situation_not_supported);
  offer = good;
  offer.doi = 7;
  EXPECT_EQ(choose_policy(kOurs, offer).error().notify, NotifyType::doi_not_supported);
}

// AES without Key Length: what some old peers send for 128 bits. It goes back as it came.
TEST(ChoosePolicy, AesWithoutKeyLengthMeans128Bits) {
  const std::vector<IsakmpPolicy> ours{
      policy(10, IkeCipher::aes_128, IkeHash::sha, DhGroup::modp2048, Seconds(86400))};
  wire::SaPayload offer = offer_policies(ours);
  offer.proposals[0].transforms.resize(1);
  auto& attributes = offer.proposals[0].transforms[0].attributes;
  ASSERT_EQ(attributes[1], Attribute::short_form(attribute::key_length, 128));
  attributes.erase(attributes.begin() + 1);
  const auto chosen = choose_policy(ours, offer);
  ASSERT_TRUE(chosen) << chosen.error().text;
  EXPECT_EQ(chosen->policy.encryption, IkeCipher::aes_128);
  EXPECT_EQ(chosen->reply, offer);
  EXPECT_FALSE(choose_policy({kOurs.data(), 1}, offer)) << "it does not mean 256";
  EXPECT_TRUE(check_chosen_policy(ours, offer)) << "nor does it matter in an answer";
}

// A peer that wants no Key Length finds a transform without one behind all others.
TEST(OfferPolicies, AesOf128BitsIsOfferedWithoutItsKeyLengthToo) {
  const std::vector<IsakmpPolicy> ours{
      policy(10, IkeCipher::aes_128, IkeHash::sha, DhGroup::modp2048, Seconds(86400)), kOurs[0], kOurs[1]};
  const auto transforms = offer_policies(ours).proposals.at(0).transforms;
  ASSERT_EQ(transforms.size(), 4U);
  EXPECT_EQ(transforms[3].number, 4);
  EXPECT_EQ(find_attribute(transforms[0].attributes, attribute::key_length), 128U);
  EXPECT_EQ(find_attribute(transforms[1].attributes, attribute::key_length), 256U);
  EXPECT_FALSE(find_attribute(transforms[3].attributes, attribute::key_length));
  EXPECT_EQ(find_attribute(transforms[3].attributes, attribute::encryption), 7U);
}

// A value that only looks right when it is cut to 16 bits must not match.
TEST(ChoosePolicy, OversizedValuesDoNotWrap) {
  wire::SaPayload offer = pix_offer(1800);
  offer.proposals[0].transforms[0].attributes[1] = Attribute::long_form(attribute::encryption, 0x10005);
  EXPECT_FALSE(choose_policy(kOurs, offer));
}

TEST(CheckChosenPolicy, TakesOneOfOursAndNothingElse) {
  wire::SaPayload reply = offer_policies(kOurs);
  EXPECT_FALSE(check_chosen_policy(kOurs, reply)) << "two transforms are no choice";
  reply.proposals[0].transforms.pop_back();
  EXPECT_EQ(check_chosen_policy(kOurs, reply)->policy.number, 10);
  reply.proposals[0].transforms[0].attributes[0].value = {0, 1};  // DES was not offered
  EXPECT_FALSE(check_chosen_policy(kOurs, reply));
  EXPECT_FALSE(check_chosen_policy(kOurs, wire::SaPayload{}));
}

TEST(OfferedLife, ReadsPairsInEitherForm) {
  std::vector<Attribute> list;
  add_life(list, 1, 2, wire::kLifeSeconds, 3600);
  add_life(list, 1, 2, wire::kLifeKilobytes, 4608000);
  EXPECT_EQ(list[3].value, *from_hex("00465000")) << "the form IOS uses for 4,608,000 kB";
  const OfferedLife life = offered_life(list, 1, 2);
  EXPECT_EQ(life.time, Seconds(3600));
  EXPECT_EQ(life.kilobytes, Kilobytes{4608000});
  list[1] = {2, false,
             *from_hex("01000000000000000e10")};  // too long for a number: the longest life there is
  EXPECT_EQ(offered_life(list, 1, 2).time, Seconds(0xffffffff));
  list[1] = Attribute::short_form(2, 0);
  EXPECT_FALSE(offered_life(list, 1, 2).time) << "zero would end at once";
}

TEST(SmallerLife, AppliesEachUnitAlone) {
  const Lifetime ours{Seconds(3600), Kilobytes{0}};
  const Lifetime life = smaller_life(ours, {Seconds(28800), Kilobytes{1000}});
  EXPECT_EQ(life.time, Seconds(3600));
  EXPECT_EQ(life.kilobytes, Kilobytes{1000}) << "no limit of ours: theirs applies";
}

TEST(ComparePolicies, NamesEachAttributeThatDiffers) {
  const IsakmpPolicy ours{
      10, IkeCipher::aes_256, IkeHash::sha256, DhGroup::modp2048, AuthMethod::pre_share, Seconds(86400)};
  const IsakmpPolicy theirs{
      1, IkeCipher::des3, IkeHash::sha256, DhGroup::modp1024, AuthMethod::rsa_sig, Seconds(86400)};
  const ProposalReport report = compare_policies({&ours, 1}, offer_policies({&theirs, 1}));
  ASSERT_EQ(report.size(), 1U);
  EXPECT_EQ(report[0].offered, "3des sha256 group2 rsa-sig");
  const std::vector<AttributeDifference> expected{{"encryption", "3des", "aes-256"},
                                                  {"group", "group2", "group14"},
                                                  {"authentication", "rsa-sig", "pre-share"}};
  EXPECT_EQ(report[0].differences, expected);
  const std::vector<IsakmpPolicy> many(200, theirs);
  EXPECT_EQ(compare_policies({&ours, 1}, offer_policies(many)).size(), kReportedComparisons);
}

}  // namespace
}  // namespace oakgate::ike
