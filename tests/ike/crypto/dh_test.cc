#include "ike/crypto/dh.h"

#include <gtest/gtest.h>
#include <openssl/err.h>

#include "ike/crypto/modp_batch.h"
#include "tests/support/json.h"

namespace oakgate::crypto {
namespace {

// What a hostile peer may send instead of a public value: refused with INVALID-KEY-INFORMATION, and nothing
// left in OpenSSL's error queue for the next caller to find.
void expect_refused(const DhKeyPair& ours, const Bytes& peer, const char* what) {
  const auto secret = dh_shared(ours, peer);
  ASSERT_FALSE(secret) << info(ours.group).name << ": " << what;
  EXPECT_EQ(secret.error().code, ErrorCode::malformed) << what;
  EXPECT_EQ(secret.error().notify, NotifyType::invalid_key_information) << what;
  EXPECT_EQ(ERR_peek_error(), 0U) << what;
}

class EachGroup : public testing::TestWithParam<DhGroupInfo> {};

TEST_P(EachGroup, BothSidesAgree) {
  const auto a = dh_generate(GetParam().id);
  const auto b = dh_generate(GetParam().id);
  ASSERT_TRUE(a) << a.error().text;
  ASSERT_TRUE(b);
  EXPECT_EQ(a->public_value.size(), GetParam().public_bytes);
  EXPECT_NE(a->public_value, b->public_value);
  const auto ab = dh_shared(*a, b->public_value);
  const auto ba = dh_shared(*b, a->public_value);
  ASSERT_TRUE(ab) << ab.error().text;
  ASSERT_TRUE(ba);
  EXPECT_EQ(*ab, *ba);
  EXPECT_EQ(ab->size(), GetParam().secret_bytes);
}

TEST_P(EachGroup, APublicValueFollowsFromItsPrivateOne) {
  const auto generated = dh_generate(GetParam().id);
  ASSERT_TRUE(generated);
  const auto again = dh_from_private(GetParam().id, generated->private_value.view());
  ASSERT_TRUE(again) << again.error().text;
  EXPECT_EQ(again->public_value, generated->public_value);
  EXPECT_EQ(again->private_value, generated->private_value);
  EXPECT_EQ(generated->clone().private_value, generated->private_value);
}

TEST_P(EachGroup, RefusesLengthsThatAreNotTheGroups) {
  const auto ours = dh_generate(GetParam().id);
  ASSERT_TRUE(ours);
  Bytes peer = dh_generate(GetParam().id).value().public_value;
  expect_refused(*ours, {}, "nothing");
  expect_refused(*ours, Bytes(1, 2), "one byte");
  expect_refused(*ours, Bytes(peer.begin(), peer.end() - 1), "one byte less");
  peer.push_back(0);
  expect_refused(*ours, peer, "one byte more");
  peer.pop_back();
  peer.insert(peer.begin(), GetParam().kind == DhKind::curve ? 4 : 0);
  expect_refused(*ours, peer, "one byte before");
}

TEST_P(EachGroup, RefusesPrivateValuesOfAnotherSize) {
  EXPECT_FALSE(dh_from_private(GetParam().id, {}));
  EXPECT_FALSE(dh_from_private(GetParam().id, Bytes(GetParam().public_bytes + 1U, 1)));
  EXPECT_EQ(ERR_peek_error(), 0U);
}

TEST_P(EachGroup, SeveralAtOnceAreAsOneByOne) {
  for (const std::size_t count : {0U, 1U, 2U, 9U}) {
    const auto pairs = dh_generate(GetParam().id, count);
    ASSERT_EQ(pairs.size(), count);
    std::vector<DhExchange> exchanges;
    for (std::size_t i = 0; i < count; ++i) {
      ASSERT_TRUE(pairs[i]) << pairs[i].error().text;
      EXPECT_EQ(pairs[i]->group, GetParam().id);
      const auto again = dh_from_private(GetParam().id, pairs[i]->private_value.view());
      ASSERT_TRUE(again);
      EXPECT_EQ(again->public_value, pairs[i]->public_value);
      exchanges.push_back({&*pairs[i], pairs[(i + 1) % count]->public_value});
    }
    const auto secrets = dh_shared(exchanges);
    ASSERT_EQ(secrets.size(), count);
    for (std::size_t i = 0; i < count; ++i) {
      ASSERT_TRUE(secrets[i]);
      EXPECT_EQ(*secrets[i], dh_shared(*pairs[i], exchanges[i].peer_public).value()) << i << " of " << count;
    }
  }
}

// A peer's bad value is that peer's alone.
TEST_P(EachGroup, WhatIsRefusedAmongSeveralDoesNotConcernTheOthers) {
  const auto pairs = dh_generate(GetParam().id, 4);
  const auto other = dh_generate(GetParam().id == DhGroup::modp1024 ? DhGroup::modp768 : DhGroup::modp1024);
  ASSERT_TRUE(other);
  for (const auto& pair : pairs) ASSERT_TRUE(pair);
  const Bytes zero(GetParam().public_bytes);
  const Bytes cut(GetParam().public_bytes - 1U, 2);
  const std::vector<DhExchange> exchanges{{&*pairs[0], pairs[1]->public_value},
                                          {&*pairs[1], zero},
                                          {&*other, other->public_value},
                                          {&*pairs[2], cut},
                                          {&*pairs[3], pairs[2]->public_value}};
  const auto secrets = dh_shared(exchanges);
  ASSERT_EQ(secrets.size(), 5U);
  EXPECT_EQ(*secrets[0], dh_shared(*pairs[0], pairs[1]->public_value).value());
  for (const std::size_t bad : {1U, 3U}) {
    ASSERT_FALSE(secrets[bad]);
    EXPECT_EQ(secrets[bad].error().notify, NotifyType::invalid_key_information);
  }
  EXPECT_EQ(*secrets[2], dh_shared(*other, other->public_value).value());
  EXPECT_EQ(*secrets[4], dh_shared(*pairs[3], pairs[2]->public_value).value());
  EXPECT_EQ(ERR_peek_error(), 0U);
}

TEST(Batches, AreForMoreThanTheHandshakeOfOne) {
  EXPECT_EQ(dh_batches(DhGroup::modp2048), ModpBatch::supported());
  EXPECT_FALSE(dh_batches(DhGroup::ecp256));
  EXPECT_FALSE(dh_batches(DhGroup::curve25519));
  EXPECT_EQ(dh_means(false).why, "one by one: `diffie_hellman: single`");
  EXPECT_EQ(dh_means(true).name, ModpBatch::supported() ? "batches of up to 8 (AVX-512 IFMA)" : "OpenSSL");
}

INSTANTIATE_TEST_SUITE_P(Table, EachGroup, testing::ValuesIn(dh_groups().begin(), dh_groups().end()),
                         [](const auto& group) { return std::string(group.param.name); });

Bytes plus(Bytes number, int change) {
  for (auto byte = number.rbegin(); byte != number.rend(); ++byte) {
    const int sum = *byte + change;
    *byte = static_cast<std::uint8_t>(sum);
    if (sum >= 0 && sum < 256) break;
  }
  return number;
}

TEST(Modp, RefusesWhatIsNotBetweenOneAndPMinusOne) {
  std::size_t groups = 0;
  for (const auto& vector : oakgate::test::read_json("tests/vectors/rfc/modp.json")) {
    if (vector.at("source") != "plain") continue;
    ++groups;
    const auto ours = dh_generate(static_cast<DhGroup>(vector.at("group").get<int>()));
    ASSERT_TRUE(ours);
    const Bytes p = oakgate::test::hex(vector, "p");
    const Bytes zero(p.size());
    expect_refused(*ours, zero, "0");
    expect_refused(*ours, plus(zero, 1), "1");
    expect_refused(*ours, plus(p, -1), "p-1");
    expect_refused(*ours, p, "p");
    expect_refused(*ours, plus(p, 1), "p+1");
    expect_refused(*ours, Bytes(p.size(), 0xff), "all ones");
    EXPECT_TRUE(dh_shared(*ours, plus(zero, 2))) << "2 is the generator";
    EXPECT_TRUE(dh_shared(*ours, plus(p, -2))) << "p-2 is in range";
  }
  EXPECT_EQ(groups, 8U);
}

// RFC 6989 section 2.2: in range is not enough where p-1 has small factors.
TEST(Modp, RefusesWhatIsOutsideTheSubgroup) {
  std::size_t groups = 0;
  for (const auto& vector : oakgate::test::read_json("tests/vectors/rfc/modp-5114.json")) {
    ++groups;
    const auto ours = dh_generate(static_cast<DhGroup>(vector.at("group").get<int>()));
    ASSERT_TRUE(ours);
    expect_refused(*ours, oakgate::test::hex(vector, "small_order"), "an element of a small order");
    const Bytes p = oakgate::test::hex(vector, "p");
    Bytes two(p.size());
    two.back() = 2;
    expect_refused(*ours, two, "2, which the generator's powers do not reach");
    expect_refused(*ours, plus(p, -1), "p-1");
    expect_refused(*ours, plus(two, -1), "1");
    EXPECT_TRUE(dh_shared(*ours, oakgate::test::hex(vector, "public_i")));
  }
  EXPECT_EQ(groups, 3U);
}

TEST(Modp, ExponentsAreShortForOursAreSafePrimes) {
  // OpenSSL's lengths for the named groups, 200 bits for group 2; as long as p would cost five times the
  // work.
  for (const auto& [group, most] : {std::pair{DhGroup::modp1024, 25U},
                                    {DhGroup::modp1536, 25U},
                                    {DhGroup::modp2048, 29U},
                                    {DhGroup::modp4096, 41U},
                                    {DhGroup::modp768, 25U}}) {
    const auto pair = dh_generate(group);
    ASSERT_TRUE(pair);
    EXPECT_LE(pair->private_value.size(), most) << info(group).name;
    EXPECT_GE(pair->private_value.size(), most - 5) << info(group).name;
  }
}

TEST(Ecp, RefusesWhatIsNotOnTheCurve) {
  for (const DhGroup group : {DhGroup::ecp256, DhGroup::ecp384, DhGroup::ecp521}) {
    const auto ours = dh_generate(group);
    ASSERT_TRUE(ours);
    const std::size_t size = info(group).public_bytes;
    expect_refused(*ours, Bytes(size), "all zero");
    expect_refused(*ours, Bytes(size, 0xff), "all ones: coordinates above the field");
    Bytes point = dh_generate(group).value().public_value;
    point.back() ^= 1;
    expect_refused(*ours, point, "another y");
    point.back() ^= 1;
    std::swap_ranges(point.begin(), point.begin() + static_cast<std::ptrdiff_t>(size / 2),
                     point.begin() + static_cast<std::ptrdiff_t>(size / 2));
    expect_refused(*ours, point, "x and y exchanged");
  }
}

TEST(Ecp, RefusesScalarsOutsideTheOrder) {
  for (const DhGroup group : {DhGroup::ecp256, DhGroup::ecp384, DhGroup::ecp521}) {
    const std::size_t size = info(group).secret_bytes;
    EXPECT_FALSE(dh_from_private(group, Bytes(size)));
    EXPECT_FALSE(dh_from_private(group, Bytes(size, 0xff)));
    Bytes one(size);
    one.back() = 1;
    EXPECT_TRUE(dh_from_private(group, one));
    EXPECT_EQ(ERR_peek_error(), 0U);
  }
}

TEST(Curve25519, RefusesPointsOfSmallOrder) {
  const auto ours = dh_generate(DhGroup::curve25519);
  ASSERT_TRUE(ours);
  expect_refused(*ours, Bytes(32), "0");
  Bytes one(32);
  one.front() = 1;
  expect_refused(*ours, one, "1");
  EXPECT_FALSE(dh_from_private(DhGroup::curve25519, Bytes(31, 1)));
  EXPECT_EQ(ERR_peek_error(), 0U);
}

}  // namespace
}  // namespace oakgate::crypto
