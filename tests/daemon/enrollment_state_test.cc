#include "daemon/enrollment_state.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace oakgate {
namespace {

using pki::scep::Transaction;

Transaction sample(bool encryption_key = false) {
  Transaction out;
  out.id = "00112233445566778899aabbccddeeff";
  out.renewal = true;
  out.encryption_key = encryption_key;
  out.subject = {0x30, 0x00};
  out.signer = Bytes(700, 0x30);
  out.fingerprint = "A1D6C28B6575AD08F0B656D47161F76F";
  out.started = WallTime(Seconds(1781524800));
  out.polls = 3;
  out.next_poll = WallTime(Seconds(1781525100));
  return out;
}

class EnrollmentStateTest : public testing::Test {
 protected:
  EnrollmentStateTest() {
    std::string name = "/tmp/oakgate-enrollment-test.XXXXXX";
    folder_ = ::mkdtemp(name.data());
  }
  ~EnrollmentStateTest() override { std::filesystem::remove_all(folder_); }
  std::string folder_;
};

TEST_F(EnrollmentStateTest, WhatIsSavedIsReadAgain) {
  EXPECT_EQ(read_transactions(folder_, "corp"), Transactions{});
  ASSERT_TRUE(save_transaction(folder_, "corp", sample()));
  EXPECT_EQ(read_transactions(folder_, "corp"), Transactions{sample()});
  struct stat status {};
  ASSERT_EQ(::stat(enrollment_file(folder_, "corp")->c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
}

TEST_F(EnrollmentStateTest, OneForEachKey) {
  ASSERT_TRUE(save_transaction(folder_, "corp", sample(false)));
  ASSERT_TRUE(save_transaction(folder_, "corp", sample(true)));
  Transaction other = sample(false);
  other.id = "ff";
  ASSERT_TRUE(save_transaction(folder_, "corp", other));
  const auto all = read_transactions(folder_, "corp");
  ASSERT_TRUE(all);
  EXPECT_EQ(*all, (Transactions{sample(true), other}));
}

TEST_F(EnrollmentStateTest, AnOldOneDoesNotComeBack) {
  ASSERT_TRUE(save_transaction(folder_, "corp", sample()));
  Transaction newer = sample();
  newer.id = "ff";
  ASSERT_TRUE(save_transaction(folder_, "corp", newer));
  // A poll of the old request ends: what it wants to write is of no interest any more.
  ASSERT_TRUE(update_transaction(folder_, "corp", sample()));
  EXPECT_EQ(read_transactions(folder_, "corp"), Transactions{newer});
  ASSERT_TRUE(remove_transaction(folder_, "corp", sample().id));
  EXPECT_EQ(read_transactions(folder_, "corp"), Transactions{newer});
}

TEST_F(EnrollmentStateTest, TheLastOneTakesTheFileAlong) {
  ASSERT_TRUE(save_transaction(folder_, "corp", sample()));
  ASSERT_TRUE(remove_transaction(folder_, "corp", sample().id));
  EXPECT_FALSE(std::filesystem::exists(*enrollment_file(folder_, "corp")));
  EXPECT_TRUE(remove_transaction(folder_, "corp", sample().id));
}

TEST_F(EnrollmentStateTest, ABrokenFileIsNamedAndCanBeReplaced) {
  ASSERT_TRUE(save_transaction(folder_, "corp", sample()));
  std::ofstream(*enrollment_file(folder_, "corp")) << "{";
  const auto read = read_transactions(folder_, "corp");
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::malformed);
  EXPECT_NE(read.error().text.find("corp.json"), std::string::npos);
  ASSERT_TRUE(save_transaction(folder_, "corp", sample()));
  EXPECT_EQ(read_transactions(folder_, "corp"), Transactions{sample()});
}

TEST(EnrollmentFile, ATrustpointsNameLeadsNowhereElse) {
  EXPECT_EQ(*enrollment_file("/s", "corp"), "/s/scep/corp.json");
  for (const char* name : {"", ".", "../corp", "a/b", ".hidden"}) EXPECT_FALSE(enrollment_file("/s", name));
}

TEST(ParseTransactions, RefusesWhatItDidNotWrite) {
  const std::string good = transactions_text({sample()});
  ASSERT_TRUE(parse_transactions(good));
  for (std::size_t cut = 0; cut + 2 < good.size(); ++cut)
    EXPECT_FALSE(parse_transactions(good.substr(0, cut)));
  for (const char* text : {"[]", "{\"version\":2,\"transactions\":[]}", "{\"version\":1}",
                           "{\"version\":1,\"transactions\":[{}]}", "{\"version\":1,\"transactions\":[1]}"}) {
    EXPECT_FALSE(parse_transactions(text)) << text;
  }
  std::string many = good;
  many.replace(many.find("\"polls\": 3"), 10, "\"polls\": -3");
  EXPECT_FALSE(parse_transactions(many));
  EXPECT_FALSE(parse_transactions(std::string(kMaxEnrollmentFile + 1, ' ')));
}

}  // namespace
}  // namespace oakgate
