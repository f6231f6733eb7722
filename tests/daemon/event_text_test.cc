// Every event has a row, every row gives one line that names its peer, and nothing a peer wrote can break it.
#include "daemon/event_text.h"

#include <gtest/gtest.h>

#include <set>

#include "daemon/messages.h"

namespace oakgate {
namespace {

using ike::Event;
using ike::EventId;

constexpr auto kLast = static_cast<int>(ike::kLastEventId);

Event event_of(EventId id) {
  Event event;
  event.id = id;
  event.peer = "branch-7";
  event.remote = Endpoint{*IpAddress::parse("192.0.2.2"), 500};
  return event;
}

TEST(EventText, EveryEventHasItsRowAndAName) {
  std::set<std::string_view> names;
  ASSERT_EQ(event_table().size(), kLast + 1);
  for (int i = 0; i <= kLast; ++i) {
    const auto id = static_cast<EventId>(i);
    EXPECT_EQ(event_row(id).id, id) << i;
    EXPECT_FALSE(event_row(id).format.empty());
    EXPECT_TRUE(names.insert(ike::to_string(id)).second) << ike::to_string(id);
  }
}

TEST(EventText, FormatsHaveWholePlaceholders) {
  for (const EventRow& row : event_table()) {
    int depth = 0;
    for (const char c : row.format) {
      depth += c == '{' ? 1 : c == '}' ? -1 : 0;
      ASSERT_TRUE(depth == 0 || depth == 1) << row.format;
    }
    EXPECT_EQ(depth, 0) << row.format;
  }
}

TEST(EventText, EachLineNamesItsPeerAndEvent) {
  for (int i = 0; i <= kLast; ++i) {
    Event event = event_of(static_cast<EventId>(i));
    EXPECT_TRUE(event_text(event).starts_with("[branch-7] " + std::string(ike::to_string(event.id)) + ": "))
        << event_text(event);
    event.peer.clear();
    EXPECT_TRUE(event_text(event).starts_with("[192.0.2.2:500] ")) << event_text(event);
  }
}

TEST(EventText, KeepsTheWordsOperatorsSearchFor) {
  const auto text = [](EventId id) { return event_text(event_of(id)); };
  EXPECT_NE(text(EventId::phase1_policy_chosen).find("atts are acceptable"), std::string::npos);
  EXPECT_NE(text(EventId::phase1_no_policy).find("atts are not acceptable"), std::string::npos);
  EXPECT_NE(text(EventId::phase1_no_policy).find("no offers accepted"), std::string::npos);
  EXPECT_NE(text(EventId::phase2_no_proposal).find("atts are not acceptable"), std::string::npos);
  EXPECT_NE(text(EventId::phase1_authenticated).find("SA has been authenticated"), std::string::npos);
  EXPECT_NE(text(EventId::phase2_proxy_ids).find("proxy identities not supported"), std::string::npos);
  EXPECT_NE(text(EventId::unknown_peer).find("No pre-shared key with 192.0.2.2!"), std::string::npos);
  EXPECT_NE(text(EventId::phase1_established).find("QM_IDLE"), std::string::npos);
  Event failed = event_of(EventId::phase1_failed);
  failed.fields = {{"mode", "Main mode"}};
  EXPECT_NE(event_text(failed).find(
                "%CRYPTO-6-IKMP_MODE_FAILURE: Processing of Main mode failed with peer at 192.0.2.2"),
            std::string::npos);
  EXPECT_NE(text(EventId::phase2_failed)
                .find("%CRYPTO-6-IKMP_MODE_FAILURE: Processing of Quick mode failed with peer at 192.0.2.2"),
            std::string::npos);
}

TEST(EventText, FillsFieldsInAndAppendsTheOthers) {
  Event event = event_of(EventId::retransmitting);
  event.fields = {{"exchange", "Main Mode"}, {"try", "2"}, {"of", "5"}, {"extra", "x"}};
  EXPECT_EQ(
      event_text(event),
      "[branch-7] retransmitting: ISAKMP: retransmitting Main Mode to 192.0.2.2:500, try 2 of 5 (extra=x)");
  event.fields.clear();
  EXPECT_EQ(event_text(event),
            "[branch-7] retransmitting: ISAKMP: retransmitting - to 192.0.2.2:500, try - of -");
}

TEST(EventText, WritesSpisAsTheRestOfOakgateDoes) {
  EXPECT_EQ(field_text({"spi_in", "421859631"}), "0x1925112f");
  EXPECT_EQ(field_text({"spi_out", "0xnonsense"}), "0xnonsense");
  EXPECT_EQ(field_text({"lifetime", "3600"}), "3600");
}

TEST(EventText, TellsTheWholeError) {
  Event event = event_of(EventId::phase2_failed);
  event.tunnel = "lan";
  event.fields = {{"selectors", "10.1.0.0/24 === 10.2.0.0/24"}};
  event.error = Error{ErrorCode::no_proposal_chosen, "refused", "a set in common", "compare the sets", {}};
  EXPECT_EQ(
      event_text(event),
      "[branch-7/lan] phase2-failed: %CRYPTO-6-IKMP_MODE_FAILURE: Processing of Quick mode failed with "
      "peer at 192.0.2.2 for 10.1.0.0/24 === 10.2.0.0/24: no-proposal-chosen: refused; expected a set in "
      "common; to mend it: compare the sets");
}

TEST(EventText, NothingAPeerWroteBreaksTheLine) {
  const std::string evil = "x\n2026-01-01 forged line\r\x1b[31m{remote}" + std::string(5000, 'A');
  for (int i = 0; i <= kLast; ++i) {
    Event event = event_of(static_cast<EventId>(i));
    for (const char* name : {"identity", "reason", "type", "policy", "name"})
      event.fields.emplace_back(name, evil);
    event.error = Error{ErrorCode::malformed, evil, evil, evil, {}};
    const std::string text = event_text(event);
    for (const char c : text) ASSERT_TRUE(c >= 0x20 && c < 0x7f) << text;
    EXPECT_LT(text.size(), 16384U) << i;
    // A placeholder in a value stays text.
    EXPECT_EQ(text.find("forged line\r"), std::string::npos);
    for (const LogField& field : event_log_fields(event)) {
      for (const char c : field.value) ASSERT_TRUE(c >= 0x20 && c < 0x7f) << field.name;
    }
  }
}

TEST(EventText, GivesTheJournalItsFields) {
  Event event = event_of(EventId::phase2_failed);
  event.tunnel = "lan";
  event.error = Error{ErrorCode::no_answer, "silent", "an answer", "look at its log", {}};
  event.fields = {
      {"reason", "it\ngave up"}, {"spi_in", "305419896"}, {"odd name-1", "x"}, {"peer", "another"}};
  std::set<std::string> fields;
  std::set<std::string> names;
  for (const LogField& field : event_log_fields(event)) {
    fields.insert(field.name + "=" + field.value);
    EXPECT_TRUE(names.insert(field.name).second) << field.name << " twice";
  }
  EXPECT_TRUE(fields.contains("MESSAGE_ID=" + std::string(message_row(EventId::phase2_failed).id)));
  EXPECT_TRUE(fields.contains("OAKGATE_SUBJECT=branch-7/lan"));
  EXPECT_TRUE(fields.contains("OAKGATE_ERROR_TEXT=silent"));
  EXPECT_TRUE(fields.contains("OAKGATE_EXPECTED=an answer"));
  EXPECT_TRUE(fields.contains("OAKGATE_REMEDY=look at its log"));
  EXPECT_TRUE(fields.contains("OAKGATE_REASON=it\\x0agave up"));
  EXPECT_TRUE(fields.contains("OAKGATE_SPI_IN=0x12345678"));
  EXPECT_TRUE(fields.contains("OAKGATE_ODD_NAME_1=x"));
  EXPECT_TRUE(fields.contains("OAKGATE_EVENT=phase2-failed"));
  EXPECT_TRUE(fields.contains("OAKGATE_PEER=branch-7"));
  EXPECT_TRUE(fields.contains("OAKGATE_TUNNEL=lan"));
  EXPECT_TRUE(fields.contains("OAKGATE_REMOTE=192.0.2.2:500"));
  EXPECT_TRUE(fields.contains("OAKGATE_ERROR=no-answer"));
}

}  // namespace
}  // namespace oakgate
