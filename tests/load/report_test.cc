#include "tests/load/report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace oakgate::load {
namespace {

TEST(Report, APercentileIsTheSmallestThatSoManyStayBelow) {
  EXPECT_EQ(percentile({}, 50), 0U);
  EXPECT_EQ(percentile({7}, 1), 7U);
  const std::vector<std::uint32_t> ten{1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  EXPECT_EQ(percentile(ten, 50), 5U);
  EXPECT_EQ(percentile(ten, 51), 6U);
  EXPECT_EQ(percentile(ten, 90), 9U);
  EXPECT_EQ(percentile(ten, 100), 10U);
  EXPECT_EQ(percentile(ten, 0), 1U);
}

TEST(Report, PartsHaveEqualNumbersAndTheirOwnRates) {
  // four in the first second, four more in the next four
  const auto parts = parts_of({0.25, 0.5, 0.75, 1.0, 2.0, 3.0, 4.0, 5.0}, 2);
  ASSERT_EQ(parts.size(), 2U);
  EXPECT_EQ(parts[0].held, 4U);
  EXPECT_DOUBLE_EQ(parts[0].rate, 4.0);
  EXPECT_EQ(parts[1].held, 8U);
  EXPECT_DOUBLE_EQ(parts[1].rate, 1.0);
  EXPECT_TRUE(parts_of({}, 10).empty());
  EXPECT_EQ(parts_of({1.0, 2.0, 3.0}, 10).size(), 3U) << "fewer than parts: one each";
}

TEST(Report, SaysTheSameAsTextAndAsJson) {
  Report report;
  report.mode = "main-mode";
  report.established = 4;
  report.failed = 1;
  report.failures["no-answer"] = 1;
  report.seconds = 2;
  report.times_us = {4000, 1000, 2000, 3000};
  const auto json = nlohmann::json::parse(to_json(report));
  EXPECT_EQ(json["rate"], 2.0);
  EXPECT_EQ(json["setup_us"]["p50"], 2000);
  EXPECT_EQ(json["setup_us"]["p100"], 4000);
  EXPECT_EQ(json["failures"]["no-answer"], 1);
  const std::string text = to_text(report);
  EXPECT_NE(text.find("main-mode: 4 established in 2.00 s: 2 a second; 1 failed"), std::string::npos) << text;
  EXPECT_NE(text.find("p50 2.00 ms"), std::string::npos) << text;
  EXPECT_NE(text.find("failed: 1 no-answer"), std::string::npos) << text;
}

}  // namespace
}  // namespace oakgate::load
