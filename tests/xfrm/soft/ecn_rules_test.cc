#include "xfrm/soft/ecn_rules.h"

#include <gtest/gtest.h>

namespace oakgate::soft {
namespace {

std::optional<Ecn> combine(Ecn inner, Ecn outer) {
  const auto out = decapsulated_traffic_class(static_cast<std::uint8_t>(0xb8 | static_cast<int>(inner)),
                                              static_cast<std::uint8_t>(0x20 | static_cast<int>(outer)));
  if (!out) return std::nullopt;
  EXPECT_EQ(*out & 0xfc, 0xb8) << "the inner DSCP stays";
  return ecn_of(*out);
}

// RFC 6040 Figure 4, row by row.
TEST(EcnRules, Decapsulation) {
  EXPECT_EQ(combine(Ecn::not_ect, Ecn::not_ect), Ecn::not_ect);
  EXPECT_EQ(combine(Ecn::not_ect, Ecn::ect0), Ecn::not_ect);
  EXPECT_EQ(combine(Ecn::not_ect, Ecn::ect1), Ecn::not_ect);
  EXPECT_EQ(combine(Ecn::not_ect, Ecn::ce), std::nullopt);
  EXPECT_EQ(combine(Ecn::ect0, Ecn::not_ect), Ecn::ect0);
  EXPECT_EQ(combine(Ecn::ect0, Ecn::ect0), Ecn::ect0);
  EXPECT_EQ(combine(Ecn::ect0, Ecn::ect1), Ecn::ect1);
  EXPECT_EQ(combine(Ecn::ect0, Ecn::ce), Ecn::ce);
  EXPECT_EQ(combine(Ecn::ect1, Ecn::not_ect), Ecn::ect1);
  EXPECT_EQ(combine(Ecn::ect1, Ecn::ect0), Ecn::ect1);
  EXPECT_EQ(combine(Ecn::ect1, Ecn::ect1), Ecn::ect1);
  EXPECT_EQ(combine(Ecn::ect1, Ecn::ce), Ecn::ce);
  for (const Ecn outer : {Ecn::not_ect, Ecn::ect0, Ecn::ect1, Ecn::ce})
    EXPECT_EQ(combine(Ecn::ce, outer), Ecn::ce);
}

TEST(EcnRules, EncapsulationCopiesDscpAndEcn) {
  for (int value = 0; value < 256; ++value) {
    EXPECT_EQ(outer_traffic_class(static_cast<std::uint8_t>(value), true), value);
  }
}

}  // namespace
}  // namespace oakgate::soft
