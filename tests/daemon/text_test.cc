#include "daemon/text.h"

#include <gtest/gtest.h>

namespace oakgate {
namespace {

TEST(Text, EscapesWhatTerminalsObey) {
  EXPECT_EQ(printable("plain text, 100 %"), "plain text, 100 %");
  EXPECT_EQ(printable("a\nb\r\t\x1b[2J\x7f"), "a\\x0ab\\x0d\\x09\\x1b[2J\\x7f");
  EXPECT_EQ(printable("back\\slash"), "back\\\\slash");
  EXPECT_EQ(printable("\xc3\xa9"), "\\xc3\\xa9");
  EXPECT_EQ(printable(std::string_view("\0x", 2)), "\\x00x");
}

TEST(Text, CutsWhatIsTooLong) {
  EXPECT_EQ(printable("abcdef", 6), "abcdef");
  EXPECT_EQ(printable("abcdefg", 6), "abcdef...");
  // Each byte grows to four at most.
  EXPECT_EQ(printable(std::string(1000, '\n')).size(), 4 * kMaxFieldText + 3);
}

TEST(Text, WritesTimesAsIso8601) {
  EXPECT_EQ(iso_time(WallTime(Seconds(0))), "1970-01-01T00:00:00Z");
  EXPECT_EQ(iso_time(WallTime(Seconds(1795205464))), "2026-11-20T20:11:04Z");
}

TEST(Text, RoundsDurationsToTwoUnits) {
  EXPECT_EQ(duration_text(Seconds(-5)), "0 s");
  EXPECT_EQ(duration_text(Seconds(59)), "59 s");
  EXPECT_EQ(duration_text(Seconds(61)), "1 min");
  EXPECT_EQ(duration_text(Seconds(3600)), "1 h");
  EXPECT_EQ(duration_text(Seconds(11130)), "3 h 5 min");
  EXPECT_EQ(duration_text(Seconds(86400 * 4 + 7 * 3600 + 59)), "4 d 7 h");
}

TEST(Text, RoundsBytes) {
  EXPECT_EQ(bytes_text(0), "0 B");
  EXPECT_EQ(bytes_text(999), "999 B");
  EXPECT_EQ(bytes_text(1234), "1.2 kB");
  EXPECT_EQ(bytes_text(999999), "1.0 MB");
  EXPECT_EQ(bytes_text(3400000000), "3.4 GB");
}

TEST(Text, ErrorsSayAllTheyKnow) {
  EXPECT_EQ(error_text({ErrorCode::internal, "what", "", "", {}}), "what");
  EXPECT_EQ(error_text({ErrorCode::internal, "what", "that", "do", {}}),
            "what; expected that; to mend it: do");
}

}  // namespace
}  // namespace oakgate
