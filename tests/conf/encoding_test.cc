#include "conf/encoding.h"

#include <gtest/gtest.h>

namespace oakgate::conf {
namespace {

using namespace std::string_view_literals;

std::string verdict(std::string_view text) {
  const auto found = check_encoding(text);
  if (!found) return "fine";
  return std::to_string(found->at.line) + ":" + std::to_string(found->at.column) + " " + found->fault.message;
}

TEST(Encoding, AcceptsUtf8) {
  EXPECT_EQ(verdict("a: b\r\n\tc\n"), "fine");
  EXPECT_EQ(verdict("\xef\xbb\xbf a"), "fine");  // byte order mark
  EXPECT_EQ(verdict("\xc3\xbc \xe2\x82\xac \xed\x9f\xbf \xee\x80\x80 \xf0\x90\x80\x80 \xf4\x8f\xbf\xbf"),
            "fine");
}

TEST(Encoding, RefusesWhatIsNotUtf8) {
  for (const auto bad : {"\x80"sv, "\xff"sv, "\xc3"sv, "\xc3("sv, "\xc0\x80"sv, "\xc1\xbf"sv,
                         "\xe0\x9f\xbf"sv, "\xed\xa0\x80"sv, "\xf0\x8f\xbf\xbf"sv, "\xf4\x90\x80\x80"sv,
                         "\xf5\x80\x80\x80"sv, "\xe2\x82"sv, "\xff\xfe"sv, "\xfe\xff"sv}) {
    EXPECT_EQ(verdict(std::string("a\nbc") + std::string(bad)), "2:3 a byte that is not UTF-8");
  }
}

TEST(Encoding, RefusesControlCharacters) {
  EXPECT_EQ(verdict("a\0b"sv), "1:2 a control character, `\\x00`");
  EXPECT_EQ(verdict("\n\n \x1b"sv), "3:2 a control character, `\\x1b`");
  EXPECT_EQ(verdict("a\rb"sv), "1:2 a control character, `\\x0d`");
  EXPECT_EQ(verdict("a\r"sv), "1:2 a control character, `\\x0d`");
  EXPECT_EQ(verdict("a\x7f"sv), "1:2 a control character, `\\x7f`");
}

}  // namespace
}  // namespace oakgate::conf
