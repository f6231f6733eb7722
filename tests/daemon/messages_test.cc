// The table of messages and the catalogue made of it: complete, distinct, in the form that journalctl reads.
#include "daemon/messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <sstream>

#include "daemon/event_text.h"

namespace oakgate {
namespace {

using testing::Contains;
using testing::Field;

TEST(Messages, EveryEventHasItsRow) {
  for (int i = 0; i <= static_cast<int>(ike::kLastEventId); ++i) {
    const auto id = static_cast<ike::EventId>(i);
    EXPECT_EQ(message_row(id).name, ike::to_string(id));
  }
}

TEST(Messages, AreDistinctAndWellFormed) {
  std::set<std::string_view> ids;
  std::set<std::string_view> names;
  for (const MessageRow& row : message_table()) {
    EXPECT_TRUE(ids.insert(row.id).second) << row.name;
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_EQ(row.id.size(), 32U) << row.name;
    EXPECT_EQ(row.id.find_first_not_of("0123456789abcdef"), std::string_view::npos) << row.name;
    EXPECT_EQ(row.id[12], '4') << row.name << ": not a random UUID";
    EXPECT_FALSE(row.subject.empty()) << row.name;
    EXPECT_EQ(row.subject.find('\n'), std::string_view::npos) << row.name;
    EXPECT_EQ(row.text.find('@'), std::string_view::npos) << row.name << ": a field that may be missing";
  }
  EXPECT_EQ(ids.size(),
            static_cast<std::size_t>(ike::kLastEventId) + static_cast<std::size_t>(kLastDaemonMessage) + 2);
}

// What each was in the first release: programs look for these.
TEST(Messages, IdsStayWhatTheyAre) {
  EXPECT_EQ(message_row(ike::EventId::phase1_started).id, "e11e53c7bb124c538ee6a9f70d55fa16");
  EXPECT_EQ(message_row(ike::EventId::phase2_established).id, "f7ec418a4a5d44feb94a644590cdb464");
  EXPECT_EQ(message_row(DaemonMessage::ready).id, "54a85f6a209f419f9c0db221906b3ccb");
}

TEST(Messages, TheCatalogueHasEachOnce) {
  std::istringstream catalog(message_catalog());
  std::vector<std::string> ids;
  std::vector<std::string> subjects;
  for (std::string line; std::getline(catalog, line);) {
    EXPECT_LE(line.size(), 100U) << line;
    if (line.starts_with("-- ")) ids.push_back(line.substr(3));
    if (line.starts_with("Subject: ")) subjects.push_back(line.substr(9));
  }
  std::vector<std::string> wanted;
  for (const MessageRow& row : message_table()) {
    wanted.emplace_back(row.id);
    EXPECT_THAT(subjects, Contains(std::string(row.subject)));
  }
  EXPECT_EQ(ids, wanted);
}

// The one field that subjects name is in every event's entry, whatever is known of the peer.
TEST(Messages, SubjectsNameAFieldThatIsThere) {
  for (int i = 0; i <= static_cast<int>(ike::kLastEventId); ++i) {
    ike::Event event;
    event.id = static_cast<ike::EventId>(i);
    EXPECT_THAT(event_log_fields(event), Contains(Field(&LogField::name, "OAKGATE_SUBJECT")));
    const std::string subject(message_row(event.id).subject);
    EXPECT_NE(subject.find("@OAKGATE_SUBJECT@"), std::string::npos) << subject;
  }
  EXPECT_EQ(message_row(DaemonMessage::ready).subject.find('@'), std::string_view::npos);
}

class Recorded final : public LogSink {
 public:
  explicit Recorded(std::vector<LogField>& fields) : fields_(fields) {}
  void write(LogLevel /*level*/, std::string_view /*text*/, std::span<const LogField> fields) override {
    fields_.assign(fields.begin(), fields.end());
  }

 private:
  std::vector<LogField>& fields_;
};

TEST(Messages, TheDaemonsOwnCarryTheirIds) {
  std::vector<LogField> fields;
  const Log log(std::make_unique<Recorded>(fields), LogLevel::info);
  tell(log, LogLevel::notice, DaemonMessage::reloaded, "reloaded");
  ASSERT_EQ(fields.size(), 2U);
  EXPECT_EQ(fields[0].name, "MESSAGE_ID");
  EXPECT_EQ(fields[0].value, message_row(DaemonMessage::reloaded).id);
  EXPECT_EQ(fields[1].name, "OAKGATE_EVENT");
  EXPECT_EQ(fields[1].value, "reloaded");
}

}  // namespace
}  // namespace oakgate
