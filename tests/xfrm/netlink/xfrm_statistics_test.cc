#include "xfrm/netlink/xfrm_statistics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

namespace oakgate {
namespace {

TEST(DropReasons, AreNamedOnceAndInOrder) {
  std::set<std::string_view> keys;
  std::set<std::string_view> words;
  for (std::size_t i = 0; i < kDropReasons.size(); ++i) {
    EXPECT_EQ(static_cast<std::size_t>(kDropReasons[i].reason), i);
    keys.insert(kDropReasons[i].key);
    words.insert(kDropReasons[i].words);
  }
  EXPECT_EQ(keys.size(), kDropReasons.size());
  EXPECT_EQ(words.size(), kDropReasons.size());
}

TEST(XfrmStatistics, AreReadByReason) {
  const DropCounts counts = parse_xfrm_statistics(
      "XfrmInError             \t1\n"
      "XfrmInNoStates          \t20\n"
      "XfrmInStateProtoError   \t300\n"
      "XfrmInStateSeqError     \t4000\n"
      "XfrmInStateMismatch     \t5\n"
      "XfrmInTmplMismatch      \t6\n"
      "XfrmInPolBlock          \t1\n"
      "XfrmOutNoStates         \t7\n"
      "XfrmOutStateSeqError    \t8\n"
      "XfrmAcquireError        \t99\n"
      "XfrmOfSomeLaterKernel   \t2\n");
  EXPECT_EQ(counts.of(DropReason::invalid_spi), 20U);
  EXPECT_EQ(counts.of(DropReason::not_authentic), 300U);
  EXPECT_EQ(counts.of(DropReason::replayed), 4000U);
  EXPECT_EQ(counts.of(DropReason::selector_mismatch), 5U);
  EXPECT_EQ(counts.of(DropReason::plaintext), 7U);
  EXPECT_EQ(counts.of(DropReason::no_sa), 7U);
  EXPECT_EQ(counts.of(DropReason::expired), 8U);
  EXPECT_EQ(counts.of(DropReason::crypto_failed), 3U);
  EXPECT_EQ(counts.total(), 20U + 300 + 4000 + 5 + 7 + 7 + 8 + 3);
}

TEST(XfrmStatistics, OddTextCountsNothing) {
  for (const std::string text : {"", "\n\n", "XfrmInNoStates", "XfrmInNoStates \t", "XfrmInNoStates 1x\n",
                                 "XfrmInNoStates -1\n", "XfrmInNoStates 99999999999999999999999\n"})
    EXPECT_EQ(parse_xfrm_statistics(text).total(), 0U) << text;
}

TEST(XfrmStatistics, CountFromWhereThePlaneBegan) {
  DropCounts before;
  before.add(DropReason::replayed, 5);
  before.add(DropReason::no_sa, 5);
  DropCounts now;
  now.add(DropReason::replayed, 8);
  now.add(DropReason::no_sa, 1);  // the counters began anew: another namespace
  EXPECT_EQ(since(before, now).of(DropReason::replayed), 3U);
  EXPECT_EQ(since(before, now).total(), 3U);
}

TEST(XfrmStatistics, ThisKernelCountsOrSaysWhyNot) {
  const auto counts = read_xfrm_statistics();
  if (counts) return;
  EXPECT_EQ(counts.error().code, ErrorCode::unsupported);
  EXPECT_NE(counts.error().expected.find("CONFIG_XFRM_STATISTICS"), std::string::npos);
}

}  // namespace
}  // namespace oakgate
