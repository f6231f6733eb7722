#include "ike/failure_book.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace oakgate::ike {
namespace {

Event failed(EventId id, const char* peer, std::string text, std::uint8_t cookie = 1,
             bool authenticated = true) {
  Event event;
  event.id = id;
  event.peer = peer;
  event.error = Error{ErrorCode::no_proposal_chosen, std::move(text), {}, {}, {}};
  event.cookies = CookiePair{{cookie}, {}};
  event.authenticated = authenticated;
  return event;
}
WallTime at(int seconds) {
  return WallTime(Seconds(1795205464 + seconds));
}

class FailureBookTest : public testing::Test {
 protected:
  FailureBookTest() { book.configure({"gw-b", "gw-c"}); }
  FailureBook book;
};

TEST_F(FailureBookTest, TheNewestComesFirst) {
  book.note(failed(EventId::phase1_failed, "gw-b", "one", 1), at(1));
  book.note(failed(EventId::phase1_failed, "gw-b", "two", 2), at(2));
  const auto all = book.of("gw-b");
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].error.text, "two");
  EXPECT_EQ(all[1].error.text, "one");
  EXPECT_TRUE(book.of("gw-c").empty());
  EXPECT_TRUE(book.of("nobody").empty());
}

TEST_F(FailureBookTest, WhatIsNoFailureIsNotKept) {
  Event retried = failed(EventId::retransmitting, "gw-b", "x");
  book.note(retried, at(1));
  Event without = failed(EventId::phase1_failed, "gw-b", "x");
  without.error.reset();
  book.note(without, at(1));
  EXPECT_EQ(book.size(), 0U);
}

TEST_F(FailureBookTest, TheTwoEventsOfOneRefusalAreOneFailureWithAllTheyTell) {
  Event refusal = failed(EventId::phase1_no_policy, "gw-b", "no offers accepted", 1, false);
  refusal.proposals = {{"3des", "policy 10 (aes-256)", {{"encryption", "3des", "aes-256"}}}};
  book.note(refusal, at(1));
  Event end = failed(EventId::phase1_failed, "gw-b", "no offers accepted", 1);
  end.fields = {{"awaited", "message 2 of Main Mode"}};
  book.note(end, at(2));
  const auto all = book.of("gw-b");
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].times, 1U);
  EXPECT_EQ(all[0].proposals, refusal.proposals);
  EXPECT_EQ(all[0].fields, end.fields);
  EXPECT_TRUE(all[0].authenticated);
}

TEST_F(FailureBookTest, RepetitionsAreCounted) {
  for (int i = 0; i < 100; ++i)
    book.note(failed(EventId::phase1_failed, "gw-b", "again", static_cast<std::uint8_t>(i)), at(i));
  const auto all = book.of("gw-b");
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].times, 100U);
  EXPECT_EQ(all[0].first, at(0));
  EXPECT_EQ(all[0].last, at(99));
}

TEST_F(FailureBookTest, EachPeerHasEightPlacesAndStrangersSixtyFour) {
  for (int i = 0; i < 200; ++i) {
    book.note(failed(EventId::phase1_failed, "gw-b", std::to_string(i), static_cast<std::uint8_t>(i)), at(i));
    book.note(failed(EventId::unknown_peer, "", std::to_string(i), static_cast<std::uint8_t>(i), false),
              at(i));
  }
  const auto all = book.of("gw-b");
  ASSERT_EQ(all.size(), FailureBook::kOfAPeer);
  EXPECT_EQ(all[0].error.text, "199");
  ASSERT_EQ(book.of_strangers().size(), FailureBook::kOfStrangers);
  EXPECT_EQ(book.of_strangers()[0].error.text, "199");
  EXPECT_EQ(book.size(), FailureBook::kOfAPeer + FailureBook::kOfStrangers);
}

TEST_F(FailureBookTest, AFloodUnderAPeersAddressDoesNotPushOutWhatIsTrueOfIt) {
  for (int i = 0; i < 4; ++i)
    book.note(failed(EventId::phase1_failed, "gw-b", "true " + std::to_string(i)), at(i));
  for (int i = 0; i < 1000; ++i)
    book.note(failed(EventId::message_rejected, "gw-b", "forged " + std::to_string(i), 2, false), at(10 + i));
  const auto all = book.of("gw-b");
  ASSERT_EQ(all.size(), FailureBook::kOfAPeer);
  EXPECT_EQ(all[0].error.text, "forged 999");
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(all[4 + i].error.text, "true " + std::to_string(3 - i));
}

TEST_F(FailureBookTest, ForgedFailuresHaveHalfOfAnEmptyBookToo) {
  for (int i = 0; i < 1000; ++i)
    book.note(failed(EventId::message_rejected, "gw-b", "forged " + std::to_string(i), 2, false), at(i));
  EXPECT_EQ(book.of("gw-b").size(), FailureBook::kOfAPeer / 2);
}

TEST_F(FailureBookTest, TextsAndOffersAreCut) {
  Event event = failed(EventId::phase1_no_policy, "gw-b", std::string(100000, 'x'));
  event.fields = {{"awaited", std::string(100000, 'y')}};
  event.proposals.assign(64, {std::string(5000, 'o'), std::string(5000, 'w'), {{"hash", "md5", "sha"}}});
  book.note(event, at(1));
  book.note(event, at(2));
  const auto all = book.of("gw-b");
  ASSERT_EQ(all.size(), 1U) << "a long text is known again";
  EXPECT_EQ(all[0].error.text.size(), FailureBook::kText);
  EXPECT_EQ(all[0].fields[0].second.size(), FailureBook::kText);
  EXPECT_EQ(all[0].proposals.size(), FailureBook::kComparisons);
  EXPECT_EQ(all[0].proposals[0].offered.size(), FailureBook::kText);
}

TEST_F(FailureBookTest, InAllThereIsABound) {
  std::vector<std::string> names;
  for (int i = 0; i < 4000; ++i) names.push_back("p" + std::to_string(i));
  book.configure(names);
  for (int round = 0; round < 8; ++round) {
    for (const std::string& name : names)
      book.note(failed(EventId::phase1_failed, name.c_str(), std::to_string(round),
                       static_cast<std::uint8_t>(round)),
                at(round));
  }
  EXPECT_LE(book.size(), FailureBook::kInAll + names.size());
  EXPECT_EQ(book.of("p3999")[0].error.text, "7") << "each peer's last one is always there";
}

TEST_F(FailureBookTest, AConfigurationForgetsOthers) {
  book.note(failed(EventId::phase1_failed, "gw-b", "one"), at(1));
  book.configure({"gw-c"});
  EXPECT_EQ(book.size(), 0U);
  book.note(failed(EventId::phase1_failed, "gw-b", "two"), at(2));
  EXPECT_EQ(book.of_strangers().size(), 1U);
}

TEST_F(FailureBookTest, RemembersWhenItWasUp) {
  EXPECT_FALSE(book.last_up("gw-b"));
  Event up;
  up.id = EventId::phase2_established;
  up.peer = "gw-b";
  book.note(up, at(5));
  EXPECT_EQ(book.last_up("gw-b"), at(5));
}

}  // namespace
}  // namespace oakgate::ike
