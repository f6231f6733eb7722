#include "ike/nat_traversal.h"

#include <gtest/gtest.h>

namespace oakgate::ike {
namespace {

const NatForm& kRfc = *find_nat_form(NatTraversal::rfc);
const CookiePair kCookies{{1, 2, 3, 4, 5, 6, 7, 8}, {9, 10, 11, 12, 13, 14, 15, 16}};
const Endpoint kHere{*IpAddress::parse("192.0.2.1"), 500};
const Endpoint kThere{*IpAddress::parse("192.0.2.2"), 500};

std::vector<Bytes> sent_by(const Endpoint& local, const Endpoint& remote) {
  std::vector<Bytes> hashes;
  const auto payloads = nat_detection_payloads(IkeHash::sha, kCookies, local, remote, kRfc);
  for (const auto& payload : *payloads) hashes.push_back(std::get<wire::NatDetectionPayload>(payload).hash);
  return hashes;
}

std::string seen(const std::vector<Bytes>& hashes, const Endpoint& local, const Endpoint& remote) {
  return detect_nat(IkeHash::sha, kCookies, local, remote, hashes)->to_string();
}

TEST(NatDetection, NoNatWhenBothSeeTheSame) {
  EXPECT_EQ(seen(sent_by(kThere, kHere), kHere, kThere), "none");
}

TEST(NatDetection, FindsWhoIsBehindOne) {
  const Endpoint outside{*IpAddress::parse("198.51.100.1"), 10500};
  EXPECT_EQ(seen(sent_by(kThere, kHere), kHere, outside), "remote")
      << "the peer's packets come from elsewhere";
  EXPECT_EQ(seen(sent_by(kThere, outside), kHere, kThere), "local") << "the peer sends to elsewhere";
  EXPECT_EQ(seen(sent_by(kThere, outside), kHere, outside), "both");
}

TEST(NatDetection, APortAloneIsEnough) {
  EXPECT_EQ(seen(sent_by(kThere, kHere), kHere, {kThere.address, 10500}), "remote");
}

TEST(NatDetection, APeerWithSeveralAddressesMatchesByAny) {
  auto hashes = sent_by(kThere, kHere);
  hashes.insert(hashes.begin() + 1, Bytes(20, 0));
  EXPECT_EQ(seen(hashes, kHere, kThere), "none");
}

TEST(NatDetection, WithoutPayloadsThereIsNothingToFind) {
  EXPECT_EQ(seen({}, kHere, kThere), "none");
  EXPECT_EQ(seen({Bytes(20, 0)}, kHere, kThere), "none");
}

TEST(NatDetection, IsOfTheFormThatWasAgreedOn) {
  const auto type = [](NatTraversal form) {
    return wire::type_of(
        nat_detection_payloads(IkeHash::sha, kCookies, kHere, kThere, *find_nat_form(form))->front());
  };
  EXPECT_EQ(type(NatTraversal::rfc), wire::PayloadType::nat_d);
  for (const NatTraversal draft :
       {NatTraversal::draft_00, NatTraversal::draft_01, NatTraversal::draft_02, NatTraversal::draft_03}) {
    EXPECT_EQ(type(draft), wire::PayloadType::nat_d_draft);
  }
}

// RFC 3947 section 3.2: HASH(CKY-I | CKY-R | IP | Port), computed independently.
TEST(NatDetection, HashesCookiesAddressAndPort) {
  EXPECT_EQ(to_hex(*nat_hash(IkeHash::sha, kCookies, kHere)), "f91d4f6bc96115a493f7b83bfe8b8f9b6c885243");
}

}  // namespace
}  // namespace oakgate::ike
