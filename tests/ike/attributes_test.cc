// Life times in every encoding, and what of them each side has to be told.
#include "ike/attributes.h"

#include <gtest/gtest.h>

#include "ike/responder_lifetime.h"

namespace oakgate::ike {
namespace {

using wire::Attribute;

Attribute variable(std::uint16_t type, Bytes value) {
  return {type, false, std::move(value)};
}
OfferedLife read(std::uint16_t unit, Attribute duration) {
  return offered_life({Attribute::short_form(1, unit), std::move(duration)}, 1, 2);
}

TEST(OfferedLife, TakesBasicAndVariableValuesOfAnyLength) {
  EXPECT_EQ(read(1, Attribute::short_form(2, 3600)).time, Seconds(3600));
  EXPECT_EQ(read(1, variable(2, {0x0e, 0x10})).time, Seconds(3600));
  EXPECT_EQ(read(1, variable(2, {0x01, 0x51, 0x80})).time, Seconds(86400));
  EXPECT_EQ(read(1, Attribute::long_form(2, 86400)).time, Seconds(86400));
  EXPECT_EQ(read(1, variable(2, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0e, 0x10})).time, Seconds(3600));
  // As IOS writes 4,608,000 kilobytes.
  EXPECT_EQ(read(2, variable(2, {0x00, 0x46, 0x50, 0x00})).kilobytes, Kilobytes{4608000});
  EXPECT_EQ(read(2, variable(2, Bytes(16, 0xff))).kilobytes, Kilobytes{0xffffffff}) << "more than fits";
}

TEST(OfferedLife, SaysNothingWithoutAUnitOrOfZero) {
  EXPECT_FALSE(offered_life({Attribute::short_form(2, 3600)}, 1, 2).time);
  EXPECT_FALSE(read(3, Attribute::short_form(2, 3600)).time);
  EXPECT_FALSE(read(1, Attribute::short_form(2, 0)).time);
  EXPECT_FALSE(read(2, variable(2, {0, 0, 0})).kilobytes);
}

TEST(OfferedLife, HasBothUnits) {
  const auto life = offered_life({Attribute::short_form(1, 2), Attribute::short_form(2, 5000),
                                  Attribute::short_form(1, 1), Attribute::short_form(2, 600)},
                                 1, 2);
  EXPECT_EQ(life.time, Seconds(600));
  EXPECT_EQ(life.kilobytes, Kilobytes{5000});
}

TEST(SmallerLife, HoldsInEachUnit) {
  const Lifetime ours{Seconds(3600), Kilobytes{5000}};
  EXPECT_EQ(smaller_life(ours, {Seconds(600), Kilobytes{9000}}), (Lifetime{Seconds(600), Kilobytes{5000}}));
  EXPECT_EQ(smaller_life(ours, {Seconds(7200), Kilobytes{4000}}), (Lifetime{Seconds(3600), Kilobytes{4000}}));
  EXPECT_EQ(smaller_life({Seconds(3600), Kilobytes{0}}, {{}, Kilobytes{4000}}),
            (Lifetime{Seconds(3600), Kilobytes{4000}}));
  EXPECT_EQ(smaller_life(ours, {}), ours);
}

TEST(ShortenedLife, IsWhatThePeerDoesNotExpect) {
  const Lifetime ours{Seconds(3600), Kilobytes{5000}};
  auto told = shortened_life(ours, {Seconds(7200), Kilobytes{5000}});
  EXPECT_EQ(told.time, Seconds(3600));
  EXPECT_FALSE(told.kilobytes) << "the same";
  told = shortened_life(ours, {Seconds(3600), {}});
  EXPECT_FALSE(told.time);
  EXPECT_EQ(told.kilobytes, Kilobytes{5000}) << "offered without a limit";
  EXPECT_EQ(shortened_life(ours, {}).time, Seconds(3600)) << "28800 is meant where nothing is said";
  EXPECT_FALSE(shortened_life({Seconds(28800), Kilobytes{0}}, {}).time);
  EXPECT_FALSE(shortened_life({Seconds(60), Kilobytes{0}}, {Seconds(60), Kilobytes{1}}).kilobytes)
      << "theirs is the shorter one";
}

TEST(ResponderLifetime, IsReadAsItIsWritten) {
  const auto notify = phase2_life_notice(wire::kProtocolEsp, Spi{0x1234}, {Seconds(600), Kilobytes{100000}});
  EXPECT_EQ(notify.type, NotifyType::responder_lifetime);
  EXPECT_EQ(notify.spi, (Bytes{0, 0, 0x12, 0x34}));
  const OfferedLife life = told_life(notify);
  EXPECT_EQ(life.time, Seconds(600));
  EXPECT_EQ(life.kilobytes, Kilobytes{100000});
}

TEST(ResponderLifetime, OfPhase1MayUseEitherNumbers) {
  wire::NotifyPayload notify{1, wire::kProtocolIsakmp, NotifyType::responder_lifetime, {}, {}};
  notify.data = {0x80, 1, 0, 1, 0x80, 2, 0x02, 0x58};
  EXPECT_EQ(told_life(notify).time, Seconds(600));
  notify.data = {0x80, 11, 0, 1, 0, 12, 0, 4, 0, 0, 0x02, 0x58};
  EXPECT_EQ(told_life(notify).time, Seconds(600));
  notify.protocol = wire::kProtocolEsp;
  EXPECT_FALSE(told_life(notify).time) << "phase 2 has one set of numbers only";
}

TEST(ResponderLifetime, CutAtEachByteSaysNothingWrong) {
  auto notify = phase2_life_notice(wire::kProtocolEsp, Spi{256}, {Seconds(100000), Kilobytes{100000}});
  for (; !notify.data.empty(); notify.data.pop_back()) {
    const OfferedLife life = told_life(notify);
    EXPECT_TRUE(!life.time || life.time == Seconds(100000));
    EXPECT_TRUE(!life.kilobytes || life.kilobytes == Kilobytes{100000});
  }
  EXPECT_FALSE(told_life(notify).time);
}

}  // namespace
}  // namespace oakgate::ike
