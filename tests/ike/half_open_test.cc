#include "ike/half_open.h"

#include <gtest/gtest.h>

#include <set>

namespace oakgate::ike {
namespace {

class Counting final : public Rng {
 public:
  void fill(std::span<std::uint8_t> out) override {
    for (std::uint8_t& byte : out) {
      state_ = state_ * 1103515245 + 12345;
      byte = static_cast<std::uint8_t>(state_ >> 16);
    }
  }

 private:
  std::uint32_t state_ = 1;
};

IpAddress address(std::uint32_t number, const char* net = "10.") {
  return *IpAddress::parse(net + std::to_string(number >> 16 & 255) + "." +
                           std::to_string(number >> 8 & 255) + "." + std::to_string(number & 255));
}

struct Book {
  // As the engine uses it. False: not let in.
  bool call(const IpAddress& source, bool configured) {
    auto room = book.make_room(source, configured, limits, rng);
    if (!room) return false;
    if (*room) {
      book.leave(**room);
      gone.insert(**room);
    }
    book.enter(IkeSaId{++last}, source, configured);
    return true;
  }
  bool here(std::uint64_t id) const { return !gone.contains(IkeSaId{id}); }
  HalfOpenBook book;
  Limits limits;
  Counting rng;
  std::uint64_t last = 0;
  std::set<IkeSaId> gone;
};

TEST(HalfOpenBook, NeverHoldsMoreThanTheTotal) {
  Book one;
  for (std::uint32_t i = 0; i < 10000; ++i) {
    EXPECT_TRUE(one.call(address(i % 3000), i % 2 == 0)) << "a new call makes room for itself";
    ASSERT_LE(one.book.size(), one.limits.half_open_total);
  }
}

TEST(HalfOpenBook, StrangersLeaveAQuarterToConfiguredAddresses) {
  Book one;
  for (std::uint32_t i = 0; i < 5000; ++i) one.call(address(i), false);
  EXPECT_EQ(one.book.size(), one.limits.half_open_total / 4 * 3);
  const std::uint64_t before = one.last;
  for (std::uint32_t i = 0; i < one.limits.half_open_total / 4; ++i)
    EXPECT_TRUE(one.call(address(i, "172."), true));
  for (std::uint64_t id = before + 1; id <= one.last; ++id) EXPECT_TRUE(one.here(id));
  for (std::uint32_t i = 0; i < 5000; ++i) one.call(address(i), false);
  for (std::uint64_t id = before + 1; id <= one.last && id <= before + one.limits.half_open_total / 4; ++id)
    EXPECT_TRUE(one.here(id)) << "strangers make room among themselves";
}

TEST(HalfOpenBook, AStrangersSourceIsBounded) {
  Book one;
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(one.call(address(1), false));
  EXPECT_EQ(one.book.size(), one.limits.half_open_per_source);
}

TEST(HalfOpenBook, AnIpv6SourceIsASlash64) {
  Book one;
  for (int i = 0; i < 100; ++i)
    EXPECT_TRUE(one.call(*IpAddress::parse("2001:db8:1:2::" + std::to_string(i + 1)), false));
  EXPECT_EQ(one.book.size(), one.limits.half_open_per_source);
  EXPECT_TRUE(one.call(*IpAddress::parse("2001:db8:1:3::1"), false));
  EXPECT_EQ(one.book.size(), one.limits.half_open_per_source + 1);
}

TEST(HalfOpenBook, AFloodUnderOneAddressHurtsNoOther) {
  Book one;
  for (std::uint32_t i = 0; i < 20; ++i) EXPECT_TRUE(one.call(address(i, "172."), true));
  for (int i = 0; i < 5000; ++i) EXPECT_TRUE(one.call(address(99, "172."), true));
  for (std::uint64_t id = 1; id <= 20; ++id) EXPECT_TRUE(one.here(id));
}

// Even under the peer's own address: who is there stays for a while with a good chance, whatever comes after.
TEST(HalfOpenBook, UnderTheFloodedAddressItselfMostSurviveALongTime) {
  int survived = 0;
  Book one;
  for (int i = 0; i < 2000; ++i) one.call(address(1), true);
  for (int round = 0; round < 40; ++round) {
    ASSERT_TRUE(one.call(address(1), true));
    const std::uint64_t genuine = one.last;
    for (int i = 0; i < 200; ++i) one.call(address(1), true);
    survived += one.here(genuine) ? 1 : 0;
  }
  EXPECT_GE(survived, 24) << "(1 - 1/1024)^200 is 33 of 40";
}

TEST(HalfOpenBook, ProvedOnesAreNeverEvictedButBounded) {
  Book one;
  const std::size_t most = one.limits.half_open_per_source;
  for (std::size_t i = 0; i < most; ++i) {
    ASSERT_TRUE(one.call(address(1), true));
    EXPECT_TRUE(one.book.prove(IkeSaId{one.last}, one.limits));
    EXPECT_TRUE(one.book.prove(IkeSaId{one.last}, one.limits)) << "once is enough";
  }
  EXPECT_FALSE(one.call(address(1), true));
  EXPECT_TRUE(one.call(address(2), true)) << "another address is not concerned";
  one.book.leave(IkeSaId{1});
  EXPECT_TRUE(one.call(address(1), true));
  const IkeSaId waiting{one.last};
  ASSERT_TRUE(one.call(address(1), true));
  EXPECT_TRUE(one.book.prove(IkeSaId{one.last}, one.limits));
  const auto late = one.book.prove(waiting, one.limits);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::in_use);
}

TEST(HalfOpenBook, ForgetsWhatHasLeft) {
  Book one;
  one.limits.half_open_total = 4;
  for (std::uint32_t i = 0; i < 4; ++i) {
    EXPECT_TRUE(one.call(address(i), true));
    EXPECT_TRUE(one.book.prove(IkeSaId{one.last}, one.limits));
  }
  EXPECT_FALSE(one.call(address(9), true)) << "all of them go on";
  for (std::uint64_t id = 1; id <= 4; ++id) one.book.leave(IkeSaId{id});
  one.book.leave(IkeSaId{1});
  EXPECT_EQ(one.book.size(), 0U);
  EXPECT_TRUE(one.call(address(9), true));
}

}  // namespace
}  // namespace oakgate::ike
