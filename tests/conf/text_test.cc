#include "conf/text.h"

#include <gtest/gtest.h>

#include <array>

namespace oakgate::conf {
namespace {

constexpr auto kKeys = std::to_array<std::string_view>({"address", "identity", "policies", "pfs"});

TEST(Text, NearestForgivesSlips) {
  EXPECT_EQ(nearest("identty", kKeys), "identity");
  EXPECT_EQ(nearest("adress", kKeys), "address");
  EXPECT_EQ(nearest("policy", kKeys), "");  // four letters off
  EXPECT_EQ(nearest("psf", kKeys), "pfs");  // a swap is one edit
  EXPECT_EQ(nearest("PFS", kKeys), "pfs");
  EXPECT_EQ(nearest("dpd", kKeys), "");
  EXPECT_EQ(nearest("", kKeys), "");
  EXPECT_EQ(nearest(std::string(5000, 'a'), kKeys), "");
}

TEST(Text, NearestIsTheNearestNotTheFirst) {
  constexpr auto kWords = std::to_array<std::string_view>({"group24", "group14", "group1"});
  EXPECT_EQ(nearest("group144", kWords), "group14");
}

TEST(Text, OneLetterIsNotLikeAnother) {
  constexpr auto kWords = std::to_array<std::string_view>({"a"});
  EXPECT_EQ(nearest("b", kWords), "");
}

TEST(Text, QuotesWhatATerminalWouldObey) {
  EXPECT_EQ(quote("a\x1b[0m\xc3\xbc"), "`a\\x1b[0m\\xc3\\xbc`");
  EXPECT_EQ(quote(std::string(100, 'x')), "`" + std::string(80, 'x') + "...`");
}

TEST(Text, ListsWords) {
  EXPECT_EQ(any_of(kKeys), "address, identity, policies or pfs");
  EXPECT_EQ(any_of(std::span(kKeys).first(1)), "address");
  const std::vector<std::string_view> many(30, "x");
  EXPECT_TRUE(any_of(many).ends_with("x, x or another of 30"));
}

}  // namespace
}  // namespace oakgate::conf
