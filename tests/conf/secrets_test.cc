#include "conf/secrets.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace oakgate::conf {
namespace {

namespace fs = std::filesystem;

class Secrets : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "oakgate-conf-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    environment_.effective_uid = geteuid();
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& content, mode_t mode = 0600) {
    const fs::path path = folder_ / name;
    std::ofstream(path, std::ios::binary) << content;
    EXPECT_EQ(chmod(path.c_str(), mode), 0);
    return path.string();
  }
  Result<SecretBytes> load(const std::string& path) {
    return load_pre_shared_key({PskSource::Kind::file, path, {}}, environment_);
  }
  // What a file with this content holds: the key in hexadecimal, or why it holds none.
  std::string key(const std::string& content) {
    const auto loaded = load(write("k", content));
    return loaded ? to_hex(loaded->view()) : loaded.error().text.substr(folder_.string().size());
  }

  fs::path folder_;
  Environment environment_;
};

TEST_F(Secrets, OneTrailingNewlineIsStripped) {
  EXPECT_EQ(key("abc"), "616263");
  EXPECT_EQ(key("abc\n"), "616263");
  EXPECT_EQ(key("abc\r\n"), "616263");
  EXPECT_EQ(key("abc\n\n"), "6162630a");
  EXPECT_EQ(key(" a b "), "2061206220");
  EXPECT_EQ(key(std::string("a\0b", 3)), "610062");
}

TEST_F(Secrets, Hexadecimal) {
  EXPECT_EQ(key("0x00fFa5\n"), "00ffa5");
  EXPECT_EQ(key("0X00"), "30583030");  // 0x alone is the mark
  EXPECT_EQ(key("0x123"), "/k begins with 0x but is not hexadecimal");
  EXPECT_EQ(key("0x12 34"), "/k begins with 0x but is not hexadecimal");
  EXPECT_EQ(key("0xzz"), "/k begins with 0x but is not hexadecimal");
}

TEST_F(Secrets, EmptyAndTooLong) {
  for (const char* empty : {"", "\n", "\r\n", "0x", "0x\n"}) EXPECT_EQ(key(empty), "/k holds no key");
  EXPECT_EQ(key(std::string(4096, 'a')).size(), 8192U);
  EXPECT_EQ(key(std::string(4097, 'a')), "/k is too long for a key");
}

TEST_F(Secrets, OnlyItsOwnerMayReadIt) {
  for (const mode_t mode : {0600U, 0400U, 0700U}) EXPECT_TRUE(load(write("k", "abc", mode)));
  for (const mode_t mode : {0640U, 0604U, 0620U, 0602U, 0610U, 0601U, 0644U}) {
    const auto loaded = load(write("k", "abc", mode));
    ASSERT_FALSE(loaded) << mode;
    EXPECT_TRUE(loaded.error().text.ends_with("/k can be read or changed by others"));
    EXPECT_EQ(loaded.error().remedy, "chmod 600 " + (folder_ / "k").string());
  }
}

TEST_F(Secrets, ItsOwnerIsRootOrWeAre) {
  const std::string path = write("k", "abc");
  if (geteuid() == 0) {
    ASSERT_EQ(chown(path.c_str(), 12345, 12345), 0);
    environment_.effective_uid = 12345;
    EXPECT_TRUE(load(path));
  }
  environment_.effective_uid = geteuid() == 0 ? 54321 : geteuid() + 1;
  const auto loaded = load(path);
  ASSERT_FALSE(loaded);
  EXPECT_NE(loaded.error().text.find("belongs to user"), std::string::npos);
}

TEST_F(Secrets, WhatIsNoRegularFile) {
  EXPECT_TRUE(load((folder_ / "none").string()).error().text.ends_with("/none: No such file or directory"));
  EXPECT_TRUE(load(folder_.string()).error().text.ends_with(" is a directory"));
  const fs::path fifo = folder_ / "fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_TRUE(
      load(fifo.string()).error().text.ends_with(" is not a regular file"));  // and nobody waits for a writer
  // A link is as good as what it leads to.
  write("k", "abc");
  fs::create_symlink(folder_ / "k", folder_ / "link");
  EXPECT_TRUE(load((folder_ / "link").string()));
}

TEST_F(Secrets, Credentials) {
  const PskSource source{PskSource::Kind::credential, "b.psk", {}};
  EXPECT_EQ(load_pre_shared_key(source, environment_).error().text,
            "no credentials were passed to this process (CREDENTIALS_DIRECTORY)");
  environment_.credentials_directory = folder_.string();
  write("b.psk", "abc\n", 0440);  // systemd's ACL mask shows as the group's bits
  EXPECT_EQ(to_hex(load_pre_shared_key(source, environment_)->view()), "616263");
  write("b.psk", "abc\n", 0444);
  EXPECT_FALSE(load_pre_shared_key(source, environment_));
}

}  // namespace
}  // namespace oakgate::conf
