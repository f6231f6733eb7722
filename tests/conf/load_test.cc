#include "conf/load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "support.h"

namespace oakgate::conf {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;

std::string slurp(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

class Load : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "oakgate-load-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    environment_ = {folder_.string(), geteuid()};
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& content, mode_t mode = 0600) {
    const fs::path path = folder_ / name;
    std::ofstream(path, std::ios::binary) << content;
    EXPECT_EQ(chmod(path.c_str(), mode), 0);
    return path.string();
  }
  // The lines of load_config without the folder's name.
  std::vector<std::string> load_lines(const std::string& path) {
    std::vector<std::string> all = lines(load_config(path, environment_));
    for (std::string& line : all) {
      for (auto at = line.find(folder_.string()); at != std::string::npos; at = line.find(folder_.string())) {
        line.erase(at, folder_.string().size());
      }
    }
    return all;
  }

  fs::path folder_;
  Environment environment_;
};

TEST_F(Load, ReadsFileAndSecrets) {
  write("b.psk", "a pre-shared key of some length\n");
  const auto outcome = load_config(write("f.yaml", with_peer("policies: [10]")), environment_);
  ASSERT_THAT(lines(outcome), IsEmpty());
  ASSERT_TRUE(outcome.config);
  ASSERT_EQ(outcome.pre_shared_keys.size(), 1U);
  EXPECT_EQ(outcome.pre_shared_keys.at("b").size(), 31U);
}

TEST_F(Load, ShortKeysNeedAWaiver) {
  write("b.psk", "fifteen letters\n");
  EXPECT_THAT(
      load_lines(write("f.yaml", with_peer("policies: [20]"))),
      ElementsAre(
          "/f.yaml:8:3: peers.b: may use the weak `3des` (isakmp_policies.20) and has no waiver for it; "
          "expected `allow_weak: {algorithms: [3des, group2, short-psk]}` in this peer, or something "
          "stronger",
          "/f.yaml:8:3: peers.b: may use the weak `group2` (isakmp_policies.20) and has no waiver for "
          "it; expected `allow_weak: {algorithms: [3des, group2, short-psk]}` in this peer, or "
          "something stronger",
          "/f.yaml:8:3: peers.b: may use the weak `short-psk` (pre_shared_key, below 16 bytes) and has "
          "no waiver for it; expected `allow_weak: {algorithms: [3des, group2, short-psk]}` in this "
          "peer, or something stronger"));
  // Of a configuration that is refused no key stays in memory.
  EXPECT_TRUE(load_config((folder_ / "f.yaml").string(), environment_).pre_shared_keys.empty());
  const std::string waived = with_peer("allow_weak: {algorithms: [3des, group2, short-psk]}");
  EXPECT_THAT(load_lines(write("f.yaml", waived)), IsEmpty());
  write("b.psk", "sixteen letters.\n");
  EXPECT_THAT(load_lines(write("f.yaml", with_peer("policies: [10]"))), IsEmpty());
}

TEST_F(Load, SecretErrorsPointAtTheLineThatNamesTheFile) {
  const std::string path = write("f.yaml", with_peer("policies: [10]"));
  EXPECT_THAT(
      load_lines(path),
      ElementsAre("/f.yaml:10:28: peers.b.pre_shared_key: cannot read /b.psk: No such file or directory; "
                  "expected a file that this user may read"));
  write("b.psk", "s3cret", 0644);
  EXPECT_THAT(load_lines(path),
              ElementsAre("/f.yaml:10:28: peers.b.pre_shared_key: /b.psk can be read or changed by "
                          "others; expected mode 0600 (chmod 600 /b.psk)"));
}

// A file that many name is read once, and each peer has the key that it names: of two sources with one name
// the right one. A reload sees what is in the file by then.
TEST_F(Load, PeersMayShareAKey) {
  const auto peer = [](const std::string& name, const std::string& source, int number) {
    const std::string last = std::to_string(number);
    return "  " + name + ": {address: 192.0.2." + last + ", policies: [10], pre_shared_key: {" + source +
           "}, tunnels: {lan: {local: 10.1.0.0/24, remote: 10.2." + last +
           ".0/24, transform_sets: [strong]}}}\n";
  };
  const std::string shared = write("shared", "a pre-shared key of some length\n");
  const std::string path =
      write("f.yaml", std::string(kProposals) + "peers:\n" + peer("b", "file: shared", 2) +
                          peer("c", "credential: shared", 3) + peer("d", "file: shared", 4) +
                          peer("e", "credential: shared", 5) + peer("f", "file: own", 6));
  write("own", "0x00112233445566778899aabbccddeeff");
  fs::create_directory(folder_ / "credentials");
  write("credentials/shared", "the same name and another key\n");
  environment_.credentials_directory = (folder_ / "credentials").string();
  const auto keys = [&] {
    const auto outcome = load_config(path, environment_);
    EXPECT_THAT(lines(outcome), IsEmpty());
    std::map<std::string, std::size_t> sizes;
    for (const auto& [name, key] : outcome.pre_shared_keys) sizes.emplace(name, key.size());
    return sizes;
  };
  EXPECT_EQ(keys(),
            (std::map<std::string, std::size_t>{{"b", 31}, {"c", 29}, {"d", 31}, {"e", 29}, {"f", 16}}));
  write("shared", "another one, longer than it was before");
  EXPECT_EQ(keys(),
            (std::map<std::string, std::size_t>{{"b", 38}, {"c", 29}, {"d", 38}, {"e", 29}, {"f", 16}}));
  fs::remove(shared);
  EXPECT_EQ(load_config(path, environment_).issues.size(), 2U) << "one for each peer that names it";
}

// A configuration with a signing key, one that decrypts, and a peer's key in a file.
std::string with_keys() {
  std::string text = with_peer("policies: [10]");
  return text +
         "keys: {encr: {file: encr.key, usage: encryption}}\n"
         "trustpoints: {corp: {ca: ca.pem, certificate: c.pem, key: {file: sig.key}}}\n"
         "public_keys: {p: {file: p.pem}, q: {key_string: \"3003 0201 05\"}}\n";
}

TEST_F(Load, KeysThatAreNotThereYetAreNoError) {
  write("b.psk", "a pre-shared key of some length\n");
  const auto outcome = load_config(write("f.yaml", with_keys()), environment_);
  EXPECT_THAT(lines(outcome), IsEmpty());
  EXPECT_TRUE(outcome.private_keys.empty());
  EXPECT_EQ(outcome.public_keys.size(), 1U);
  EXPECT_EQ(to_hex(outcome.public_keys.at("q")), "3003020105");
}

TEST_F(Load, ReadsKeyFiles) {
  write("b.psk", "a pre-shared key of some length\n");
  write("encr.key", "one");
  write("sig.key", "two!");
  write("p.pem", "three", 0644);
  const auto outcome = load_config(write("f.yaml", with_keys()), environment_);
  EXPECT_THAT(lines(outcome), IsEmpty());
  EXPECT_EQ(outcome.private_keys.at("encr").size(), 3U);
  EXPECT_EQ(outcome.private_keys.at("corp").size(), 4U);
  EXPECT_EQ(to_hex(outcome.public_keys.at("p")), "7468726565");
}

TEST_F(Load, PrivateKeysAreTheirOwnersAlone) {
  write("b.psk", "a pre-shared key of some length\n");
  write("encr.key", "s3cret", 0640);
  write("sig.key", std::string(kMaxKeyFileBytes + 1, 'x'));
  fs::create_directory(folder_ / "p.pem");
  const std::string path = write("f.yaml", with_keys());
  EXPECT_THAT(
      load_lines(path),
      ElementsAre(
          "/f.yaml:14:8: keys.encr: /encr.key can be read or changed by others; expected mode 0600 "
          "(chmod 600 /encr.key)",
          "/f.yaml:15:15: trustpoints.corp.key: /sig.key is too long for a key; expected at most 65536 "
          "bytes",
          "/f.yaml:16:15: public_keys.p.file: /p.pem is a directory; expected a regular file"));
  const auto outcome = load_config(path, environment_);
  EXPECT_TRUE(outcome.private_keys.empty() && outcome.public_keys.empty() && outcome.pre_shared_keys.empty());
  if (geteuid() != 0) return;
  write("encr.key", "s3cret");
  write("sig.key", "s3cret");
  fs::remove(folder_ / "p.pem");
  ASSERT_EQ(chown((folder_ / "sig.key").c_str(), 12345, 0), 0);
  EXPECT_THAT(
      load_lines(path),
      ElementsAre("/f.yaml:15:15: trustpoints.corp.key: /sig.key belongs to user 12345; expected root or "
                  "user 0 as its owner (chown root /sig.key)"));
}

TEST_F(Load, SecretErrorsComeWithAllOthers) {
  const auto outcome = load_config(write("f.yaml", with_peer("nat_traversal: x", "pfs: x")), environment_);
  EXPECT_EQ(outcome.issues.size(), 5U);  // both, the missing file, and two weak words
  EXPECT_FALSE(outcome.config);
  EXPECT_TRUE(outcome.pre_shared_keys.empty());
}

TEST_F(Load, WhatIsNoFile) {
  EXPECT_THAT(
      load_lines((folder_ / "none.yaml").string()),
      ElementsAre("/none.yaml: cannot read /none.yaml: No such file or directory; expected a file that this "
                  "user may read"));
  EXPECT_THAT(load_lines(folder_.string()), ElementsAre(":  is a directory; expected a regular file"));
  EXPECT_THAT(load_lines(write("f.yaml", "")),
              ElementsAre("/f.yaml: the file is empty; expected a map with peers and what they use: see "
                          "oakgate.yaml(5)"));
  EXPECT_THAT(load_lines(write("f.yaml", std::string(kMaxFileBytes + 1, '\n'))),
              ElementsAre("/f.yaml: the file is too long; expected at most 4194304 bytes"));
}

TEST(Parse, RootIsAMapOfKnownSections) {
  EXPECT_THAT(
      errors("peers"),
      ElementsAre(
          "f.yaml:1:1: is a single value; expected a map with the keys include, gateway, isakmp_policies, "
          "transform_sets, trustpoints, keys, public_keys, ssh, templates or peers"));
  EXPECT_THAT(
      errors("trustpoint: {}\nper: {}\n<<: {}\n"),
      ElementsAre("f.yaml:1:1: trustpoint: `trustpoint` is not a known key; expected include, gateway, "
                  "isakmp_policies, "
                  "transform_sets, trustpoints, keys, public_keys, ssh, templates or peers; did you mean "
                  "`trustpoints`?",
                  "f.yaml:2:1: per: `per` is not a known key; expected include, gateway, isakmp_policies, "
                  "transform_sets, trustpoints, keys, public_keys, ssh, templates or peers",
                  "f.yaml:3:1: <<: merge keys (`<<`) are not supported; expected the values written out"));
}

TEST(Parse, WithoutPoliciesOrSetsPeersSaySo) {
  EXPECT_THAT(
      errors("peers: {b: {address: 192.0.2.2, pre_shared_key: {file: x}, tunnels: {l: {local: 10.1.0.0/24, "
             "remote: 10.2.0.0/24, transform_sets: s}}}}"),
      ElementsAre(
          "f.yaml:1:9: peers.b: there is no ISAKMP policy it could use; expected at least one under "
          "isakmp_policies",
          "f.yaml:1:131: peers.b.tunnels.l.transform_sets: there is no transform set `s`; expected it "
          "under transform_sets"));
}

// Who refers to something that is wrong in itself has done nothing wrong.
TEST(Parse, ABadDeclarationIsReportedOnce) {
  EXPECT_THAT(
      errors(
          "isakmp_policies: {10: {}}\ntransform_sets: {s: []}\npeers: {b: {address: 192.0.2.2, policies: 10, "
          "pre_shared_key: {file: x}, tunnels: {l: {local: 10.1.0.0/24, remote: 10.2.0.0/24, "
          "transform_sets: s}}}}"),
      testing::Each(testing::Not(testing::HasSubstr("peers."))));
}

TEST(Parse, SectionsMayComeInAnyOrder) {
  const std::string text = with_peer("policies: [10]");
  const std::size_t peers = text.find("peers:");
  EXPECT_THAT(errors(text.substr(peers) + text.substr(0, peers)), IsEmpty());
}

TEST(Parse, IssuesAreData) {
  const auto outcome = parse_config("gatway: {}\n", "dir/f.yaml");
  ASSERT_EQ(outcome.issues.size(), 1U);
  const Issue& issue = outcome.issues[0];
  EXPECT_EQ(issue.file, "dir/f.yaml");
  EXPECT_EQ(issue.line, 1);
  EXPECT_EQ(issue.column, 1);
  EXPECT_EQ(issue.key_path, "gatway");
  EXPECT_EQ(issue.message, "`gatway` is not a known key");
  EXPECT_EQ(
      issue.expected,
      "include, gateway, isakmp_policies, transform_sets, trustpoints, keys, public_keys, ssh, templates or "
      "peers");
  EXPECT_EQ(issue.nearest, "gateway");
}

TEST(Samples, AreValid) {
  const char* root = std::getenv("OAKGATE_SOURCE_ROOT");
  ASSERT_NE(root, nullptr);
  int count = 0;
  for (const auto& entry : fs::directory_iterator(fs::path(root) / "conf/samples")) {
    const auto outcome = parse_config(slurp(entry.path()), entry.path().string());
    EXPECT_THAT(lines(outcome), IsEmpty());
    ASSERT_TRUE(outcome.config);
    EXPECT_FALSE(outcome.config->peers.empty());
    ++count;
  }
  EXPECT_GE(count, 3);
}

}  // namespace
}  // namespace oakgate::conf
