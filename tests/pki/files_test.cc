#include "pki/files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

namespace oakgate::pki {
namespace {

class Files : public testing::Test {
 protected:
  Files() {
    std::string name = (std::filesystem::temp_directory_path() / "oakgate-files.XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  ~Files() override { std::filesystem::remove_all(folder_); }
  [[nodiscard]] std::size_t entries(const std::filesystem::path& folder) const {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) count += entry.exists() ? 1 : 0;
    return count;
  }
  std::filesystem::path folder_;
};

mode_t mode_of(const std::filesystem::path& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? status.st_mode & 07777 : 0;
}

TEST_F(Files, WritesAndReadsBack) {
  const auto path = folder_ / "a" / "b" / "file";
  ASSERT_TRUE(write_file(path, as_bytes("one"), kSecretMode));
  EXPECT_EQ(mode_of(path), 0600U);
  EXPECT_EQ(mode_of(path.parent_path()), 0700U);
  ASSERT_TRUE(write_file(path, as_bytes("another"), kPublicMode));
  EXPECT_EQ(mode_of(path), 0644U);
  EXPECT_EQ(read_file(path, 100).value(), to_bytes(as_bytes("another")));
  EXPECT_EQ(read_secret_file(path).value(), SecretBytes(as_bytes("another")));
  EXPECT_EQ(entries(path.parent_path()), 1U);  // nothing temporary is left
}

TEST_F(Files, TheUmaskDoesNotCount) {
  const mode_t before = ::umask(0777);
  const auto written = write_file(folder_ / "file", as_bytes("x"), kPublicMode);
  ::umask(before);
  ASSERT_TRUE(written);
  EXPECT_EQ(mode_of(folder_ / "file"), 0644U);
}

TEST_F(Files, ReadersOfTheOldFileKeepIt) {
  ASSERT_TRUE(write_file(folder_ / "file", as_bytes("old"), kPublicMode));
  std::filesystem::create_hard_link(folder_ / "file", folder_ / "held");
  ASSERT_TRUE(write_file(folder_ / "file", as_bytes("new"), kPublicMode));
  EXPECT_EQ(read_file(folder_ / "held", 10).value(), to_bytes(as_bytes("old")));
}

TEST_F(Files, FailuresNameThePathAndLeaveNothing) {
  std::filesystem::create_directory(folder_ / "taken");
  std::filesystem::create_directory(folder_ / "taken" / "in");
  const auto written = write_file(folder_ / "taken", as_bytes("x"), kPublicMode);
  ASSERT_FALSE(written);
  EXPECT_NE(written.error().text.find("taken"), std::string::npos);
  EXPECT_EQ(entries(folder_), 1U);
}

TEST_F(Files, MissingFilesAreToldFromBrokenOnes) {
  EXPECT_EQ(read_file(folder_ / "none", 10).error().code, ErrorCode::not_found);
  EXPECT_EQ(read_file(folder_ / "none" / "none", 10).error().code, ErrorCode::not_found);
  EXPECT_EQ(read_file(folder_, 10).error().code, ErrorCode::configuration);
  ASSERT_EQ(::mkfifo((folder_ / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(read_file(folder_ / "fifo", 10).error().code, ErrorCode::configuration);
}

TEST_F(Files, ReadsAreBounded) {
  ASSERT_TRUE(write_file(folder_ / "file", as_bytes("0123456789"), kPublicMode));
  EXPECT_TRUE(read_file(folder_ / "file", 10));
  EXPECT_EQ(read_file(folder_ / "file", 9).error().code, ErrorCode::configuration);
  EXPECT_EQ(read_secret_file(folder_ / "file", 9).error().code, ErrorCode::configuration);
}

}  // namespace
}  // namespace oakgate::pki
