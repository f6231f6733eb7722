#include "ike/transform_match.h"

#include <gtest/gtest.h>

namespace oakgate::ike {
namespace {

namespace attribute = wire::ipsec_attribute;
using wire::Attribute;

constexpr Spi kOurs{0x11111111};
constexpr Spi kTheirs{0x22222222};
const std::vector<TransformSet> kSets{
    {"strong", EspCipher::aes_256, Integrity::sha256, EncapsulationMode::tunnel},
    {"gcm", EspCipher::gcm_128, {}, EncapsulationMode::tunnel}};

TransformWishes wishes(std::optional<DhGroup> pfs = {}, const WeakWaiver* waiver = nullptr) {
  return {kSets, pfs, {Seconds(3600), Kilobytes{4608000}}, false, waiver};
}
wire::SaPayload offer_from(TransformWishes theirs) {
  return offer_transforms(theirs, kTheirs);
}

TEST(OfferTransforms, OneProposalASetAsIosWritesThem) {
  const wire::SaPayload offer = offer_transforms(wishes(DhGroup::modp2048), kOurs);
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
  EXPECT_EQ(chosen->peer_spi, kTheirs);
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
  EXPECT_EQ(check_chosen_transform(wishes(), reply)->peer_spi, kTheirs);
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

}  // namespace
}  // namespace oakgate::ike
