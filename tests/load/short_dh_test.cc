#include "tests/load/short_dh.h"

#include <gtest/gtest.h>

namespace oakgate::load {
namespace {

TEST(ShortDh, AgreesWithTheRealOne) {
  for (const DhGroup group : {DhGroup::modp1024, DhGroup::modp2048, DhGroup::modp3072}) {
    auto dh = ShortDh::create(group);
    ASSERT_TRUE(dh) << dh.error().text;
    for (int i = 0; i < 5; ++i) {
      const auto ours = dh->generate();
      EXPECT_EQ(ours.private_value.size(), 2U);
      const auto checked = crypto::dh_from_private(group, ours.private_value.view());
      ASSERT_TRUE(checked);
      EXPECT_EQ(checked->public_value, ours.public_value);
      const auto theirs = crypto::dh_generate(group);
      ASSERT_TRUE(theirs);
      const auto here = dh->shared(ours, theirs->public_value);
      const auto there = crypto::dh_shared(*theirs, ours.public_value);
      ASSERT_TRUE(here && there);
      EXPECT_EQ(*here, *there);
    }
  }
}

TEST(ShortDh, TakesAnotherExponentEachTime) {
  auto dh = ShortDh::create(DhGroup::modp1024);
  ASSERT_TRUE(dh);
  EXPECT_NE(dh->generate().public_value, dh->generate().public_value);
}

TEST(ShortDh, RefusesOtherGroupsAndBadValues) {
  EXPECT_FALSE(ShortDh::create(DhGroup::ecp256));
  EXPECT_FALSE(ShortDh::create(DhGroup::curve25519));
  EXPECT_FALSE(ShortDh::create(DhGroup::modp2048_256));
  auto dh = ShortDh::create(DhGroup::modp1024);
  ASSERT_TRUE(dh);
  EXPECT_FALSE(dh->shared(dh->generate(), Bytes(128)));
  EXPECT_FALSE(dh->shared(dh->generate(), Bytes(128, 0xff)));
}

}  // namespace
}  // namespace oakgate::load
