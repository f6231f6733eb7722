// IPComp in phase 2 proposals: RFC 3173 section 4.1, RFC 2407 section 4.4.5. The rest of the matching is in
// transform_match_test.cc.
#include <gtest/gtest.h>

#include "ike/transform_match.h"

namespace oakgate::ike {
namespace {

namespace attribute = wire::ipsec_attribute;
using wire::Attribute;
using wire::Proposal;

constexpr ProtocolSpis kOurs{Spi{0x11110000}, Spi{0x11111111}, Spi{0x1234}};
constexpr ProtocolSpis kTheirs{Spi{0x22220000}, Spi{0x22222222}, Spi{0x2345}};

TransformSet compressing() {
  TransformSet set{"comp", EspCipher::aes_128, Integrity::sha, EncapsulationMode::tunnel};
  set.compression = Compression::deflate;
  return set;
}
const TransformSet kPlain{"plain", EspCipher::aes_128, Integrity::sha, EncapsulationMode::tunnel};
const std::vector<TransformSet> kSets{compressing()};
const std::vector<TransformSet> kPlainSets{kPlain};
const std::vector<TransformSet> kBoth{compressing(), kPlain};

TransformWishes wishes(const std::vector<TransformSet>& sets, std::optional<DhGroup> pfs = {}) {
  return {sets, pfs, {Seconds(3600), Kilobytes{4608000}}};
}
wire::SaPayload offer(const std::vector<TransformSet>& sets = kSets, std::optional<DhGroup> pfs = {}) {
  return *offer_transforms(wishes(sets, pfs), kTheirs);
}
Proposal& ipcomp_of(wire::SaPayload& sa) {
  return *std::find_if(sa.proposals.begin(), sa.proposals.end(),
                       [](const Proposal& one) { return one.protocol == wire::kProtocolIpcomp; });
}
void put_mode(Proposal& proposal, std::optional<std::uint16_t> mode) {
  auto& list = proposal.transforms.at(0).attributes;
  std::erase_if(list, [](const Attribute& one) { return one.type == attribute::encapsulation_mode; });
  if (mode) list.push_back(Attribute::short_form(attribute::encapsulation_mode, *mode));
}

TEST(IpcompProposal, IsAndedWithItsProtectionAndHasNoAttributesOfOthers) {
  const wire::SaPayload sa = offer(kBoth, DhGroup::modp2048);
  ASSERT_EQ(sa.proposals.size(), 3U);
  EXPECT_EQ(sa.proposals[0].number, 1);
  EXPECT_EQ(sa.proposals[0].protocol, wire::kProtocolEsp);
  const Proposal& comp = sa.proposals[1];
  EXPECT_EQ(comp.number, 1);
  EXPECT_EQ(comp.protocol, wire::kProtocolIpcomp);
  EXPECT_EQ(to_hex(comp.spi), "2345") << "the CPI SHOULD have 2 bytes";
  EXPECT_EQ(comp.transforms.at(0).id, 2) << "IPCOMP_DEFLATE";
  const auto& list = comp.transforms.at(0).attributes;
  EXPECT_EQ(find_attribute(list, attribute::encapsulation_mode), wire::kModeTunnel)
      << "MUST, for tunnel mode";
  EXPECT_EQ(find_attribute(list, attribute::life_duration), 3600U);
  for (const std::uint16_t foreign :
       {attribute::authentication, attribute::key_length, attribute::group_description})
    EXPECT_FALSE(find_attribute(list, foreign)) << foreign;
  EXPECT_EQ(sa.proposals[2].number, 2);
}

TEST(IpcompProposal, IsChosenWithBothSpis) {
  const auto chosen = choose_transform(wishes(kBoth), offer(), kOurs);
  ASSERT_TRUE(chosen) << chosen.error().text;
  EXPECT_EQ(chosen->set.name, "comp");
  EXPECT_EQ(chosen->set.compression, Compression::deflate);
  EXPECT_EQ(chosen->peer_spis, (ProtocolSpis{{}, kTheirs.esp, kTheirs.comp}));
  ASSERT_EQ(chosen->reply.proposals.size(), 2U);
  EXPECT_EQ(to_hex(chosen->reply.proposals[0].spi), "11111111");
  EXPECT_EQ(to_hex(chosen->reply.proposals[1].spi), "1234");
  EXPECT_TRUE(check_chosen_transform(wishes(kBoth), chosen->reply));
}

TEST(IpcompProposal, WithAhAndEspAllThreeAreOneOffer) {
  TransformSet all = compressing();
  all.ah = Integrity::sha;
  const std::vector<TransformSet> sets{all};
  wire::SaPayload sa = offer(sets, DhGroup::modp2048);
  ASSERT_EQ(sa.proposals.size(), 3U);
  std::rotate(sa.proposals.begin(), sa.proposals.begin() + 2, sa.proposals.end());
  const auto chosen = choose_transform(wishes(sets, DhGroup::modp2048), sa, kOurs);
  ASSERT_TRUE(chosen) << chosen.error().text;
  EXPECT_EQ(chosen->peer_spis, kTheirs);
  EXPECT_EQ(chosen->pfs, DhGroup::modp2048) << "of AH and ESP: IPComp has no group";
  EXPECT_EQ(chosen->reply.proposals[0].protocol, wire::kProtocolIpcomp) << "in the order of the offer";
  TransformSet ah_alone = all;
  ah_alone.cipher.reset();
  ah_alone.integrity.reset();
  const std::vector<TransformSet> with_ah{ah_alone};
  EXPECT_TRUE(choose_transform(wishes(with_ah), offer(with_ah), kOurs));
}

TEST(IpcompProposal, TheCpiMayHaveFourBytesOfWhichTheUpperTwoAreIgnored) {
  for (const char* spi : {"00002345", "abcd2345", "2345"}) {
    wire::SaPayload sa = offer();
    ipcomp_of(sa).spi = *from_hex(spi);
    const auto chosen = choose_transform(wishes(kSets), sa, kOurs);
    ASSERT_TRUE(chosen) << spi;
    EXPECT_EQ(chosen->peer_spis.comp, Spi{0x2345}) << spi;
  }
  for (const char* spi : {"", "23", "002345", "0000002345", "0000", "00ff", "12340000"}) {
    wire::SaPayload sa = offer();
    ipcomp_of(sa).spi = *from_hex(spi);
    EXPECT_FALSE(choose_transform(wishes(kSets), sa, kOurs)) << spi;
  }
}

TEST(IpcompProposal, AttributesOfOthersAreIgnored) {
  wire::SaPayload sa = offer(kSets, DhGroup::modp2048);
  auto& list = ipcomp_of(sa).transforms.at(0).attributes;
  list.push_back(Attribute::short_form(attribute::authentication, 1));
  list.push_back(Attribute::short_form(attribute::key_length, 192));
  list.push_back(Attribute::short_form(attribute::group_description, 1));
  const auto chosen = choose_transform(wishes(kSets, DhGroup::modp2048), sa, kOurs);
  ASSERT_TRUE(chosen) << chosen.error().text;
  EXPECT_EQ(chosen->reply.proposals[1].transforms, ipcomp_of(sa).transforms) << "as it was offered";
}

TEST(IpcompProposal, WithoutAModeItMeansTransport) {
  wire::SaPayload sa = offer();
  put_mode(ipcomp_of(sa), {});
  EXPECT_FALSE(choose_transform(wishes(kSets), sa, kOurs));
  TransformSet transport = compressing();
  transport.mode = EncapsulationMode::transport;
  const std::vector<TransformSet> sets{transport};
  TransformWishes own = wishes(sets);
  own.own_traffic = true;
  sa = *offer_transforms(own, kTheirs);
  put_mode(ipcomp_of(sa), {});
  const auto chosen = choose_transform(own, sa, kOurs);
  ASSERT_TRUE(chosen);
  EXPECT_EQ(chosen->set.mode, EncapsulationMode::transport);
}

TEST(IpcompProposal, ThroughANatItMayBeInUdpOrNot) {
  TransformWishes nat = wishes(kSets);
  nat.udp_encapsulation = true;
  for (const std::uint16_t mode : {wire::kModeTunnel, find_nat_form(NatTraversal::rfc)->udp_tunnel}) {
    wire::SaPayload sa = *offer_transforms(nat, kTheirs);
    put_mode(ipcomp_of(sa), mode);
    EXPECT_TRUE(choose_transform(nat, sa, kOurs)) << mode;
  }
  wire::SaPayload sa = offer();
  put_mode(ipcomp_of(sa), find_nat_form(NatTraversal::rfc)->udp_tunnel);
  EXPECT_FALSE(choose_transform(wishes(kSets), sa, kOurs)) << "there is none";
}

// Peers offer each suite with it and without it: who does not want it takes the other.
TEST(IpcompProposal, IsLeftAloneByWhoDoesNotWantIt) {
  EXPECT_FALSE(choose_transform(wishes(kPlainSets), offer(), kOurs));
  EXPECT_FALSE(choose_transform(wishes(kSets), offer(kPlainSets), kOurs));
  const auto chosen = choose_transform(wishes(kPlainSets), offer(kBoth), kOurs);
  ASSERT_TRUE(chosen);
  EXPECT_EQ(chosen->reply.proposals.size(), 1U);
  EXPECT_EQ(chosen->reply.proposals[0].number, 2);
  EXPECT_EQ(choose_transform(wishes(kBoth), offer(kPlainSets), kOurs)->set.name, "plain");
}

TEST(IpcompProposal, ARefusalSaysInWhichWordTheyDiffer) {
  wire::SaPayload lzs = offer();
  ipcomp_of(lzs).transforms.at(0).id = 3;
  const auto refused = choose_transform(wishes(kSets), lzs, kOurs);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text.find("esp-aes-128 esp-sha-hmac and comp-lzs"), std::string::npos)
      << refused.error().text;
  EXPECT_NE(refused.error().expected.find("comp-deflate"), std::string::npos) << refused.error().expected;
  const ProposalReport report = compare_transforms(wishes(kSets), lzs);
  ASSERT_EQ(report.size(), 1U);
  ASSERT_EQ(report[0].differences.size(), 1U);
  EXPECT_EQ(report[0].differences[0].theirs, "comp-lzs");
  EXPECT_EQ(report[0].differences[0].ours, "comp-deflate");
  ipcomp_of(lzs).transforms.at(0).id = 77;
  EXPECT_EQ(compare_transforms(wishes(kSets), lzs)[0].differences[0].theirs, "ipcomp transform 77");
  const ProposalReport without = compare_transforms(wishes(kPlainSets), offer());
  ASSERT_EQ(without.at(0).differences.size(), 1U);
  EXPECT_EQ(without[0].differences[0].theirs, "esp ipcomp");
  EXPECT_EQ(without[0].differences[0].ours, "esp");
}

TEST(IpcompProposal, WithoutAFreeCpiItIsNeitherOfferedNorTaken) {
  ProtocolSpis none = kOurs;
  none.comp = {};
  EXPECT_EQ(offer_transforms(wishes(kBoth), none)->proposals.size(), 1U);
  EXPECT_FALSE(choose_transform(wishes(kSets), offer(), none));
}

// strongSwan 5.9 as responder.
TEST(IpcompProposal, AnAnswerMayNameTheSameSuiteWithoutItBehindTheChoice) {
  wire::SaPayload reply = offer(kBoth);
  const auto chosen = check_chosen_transform(wishes(kBoth), reply);
  ASSERT_TRUE(chosen) << chosen.error().text;
  EXPECT_EQ(chosen->set.compression, Compression::deflate);
  std::rotate(reply.proposals.begin(), reply.proposals.begin() + 2, reply.proposals.end());
  EXPECT_FALSE(check_chosen_transform(wishes(kBoth), reply)) << "which of them?";
  EXPECT_FALSE(check_chosen_transform(wishes(kPlainSets), offer(kBoth))) << "it was not offered";
}

TEST(IpcompProposal, IsNeverAloneAndNeverTwice) {
  wire::SaPayload sa = offer();
  std::erase_if(sa.proposals, [](const Proposal& one) { return one.protocol == wire::kProtocolEsp; });
  EXPECT_FALSE(choose_transform(wishes(kSets), sa, kOurs));
  sa = offer();
  sa.proposals.push_back(ipcomp_of(sa));
  EXPECT_FALSE(choose_transform(wishes(kSets), sa, kOurs));
}

}  // namespace
}  // namespace oakgate::ike
