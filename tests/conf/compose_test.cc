// Several files and templates as one configuration, and what differs between two.
#include "conf/compose.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "conf/difference.h"
#include "support.h"

namespace oakgate::conf {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;

class Compose : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "oakgate-compose-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    fs::create_directory(folder_ / "peers.d");
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string write(const std::string& name, std::string_view content) {
    std::ofstream(folder_ / name, std::ios::binary) << content;
    return (folder_ / name).string();
  }
  // The issues of load_without_keys without the folder's name.
  std::vector<std::string> load_lines(const std::string& path) {
    std::vector<std::string> all = lines(load_without_keys(path));
    for (std::string& line : all) {
      for (auto at = line.find(folder_.string()); at != std::string::npos; at = line.find(folder_.string())) {
        line.erase(at, folder_.string().size() + 1);
      }
    }
    return all;
  }

  fs::path folder_;
};

std::string peer(const std::string& name, int number, const std::string& more = {}) {
  const std::string net = std::to_string(number);
  return "  " + name + ":\n    address: 192.0.2." + net +
         "\n    policies: [10]\n    pre_shared_key: {file: " + name + ".psk}\n" + more +
         "    tunnels:\n      lan: {local: 10.1.0.0/24, remote: 10." + net +
         ".0.0/24, transform_sets: [strong]}\n";
}

TEST_F(Compose, JoinsTheSectionsOfAllFiles) {
  write("peers.d/b.yaml", "peers:\n" + peer("b", 2));
  write("peers.d/c.yaml",
        "peers:\n" + peer("c", 3) + "transform_sets: {other: [esp-aes-128, esp-sha-hmac]}\n");
  write("peers.d/not-this-one", "peers: {broken");
  const auto outcome = load_without_keys(
      write("f.yaml", "include: peers.d/*.yaml\n" + std::string(kProposals) + "peers:\n" + peer("a", 9)));
  ASSERT_THAT(lines(outcome), IsEmpty());
  ASSERT_EQ(outcome.config->peers.size(), 3U);
  EXPECT_EQ(outcome.config->peers[0].name, "a");
  EXPECT_EQ(outcome.config->peers[1].name, "b");
  EXPECT_EQ(outcome.config->peers[2].name, "c");
  EXPECT_EQ(outcome.config->transform_sets.size(), 3U);
  // Wherever a file is, paths start from the first one's folder.
  EXPECT_EQ(outcome.config->peers[1].pre_shared_key->name, (folder_ / "b.psk").string());
  EXPECT_EQ(outcome.config->files.size(), 3U);
}

TEST_F(Compose, ErrorsNameTheFile) {
  write("peers.d/b.yaml", "peers:\n" + peer("b", 2, "    agressive: true\n"));
  write("peers.d/c.yaml", "peers:\n" + peer("a", 3));
  EXPECT_THAT(
      load_lines(write("f.yaml",
                       "include: [peers.d/*.yaml]\n" + std::string(kProposals) + "peers:\n" + peer("a", 2))),
      ElementsAre(
          "peers.d/b.yaml:2:3: peers.b: has the same address as peers.a (f.yaml line 9), and with pre-shared "
          "keys the address chooses the peer; expected a different address, or one peer with the tunnels of "
          "both (or, of each, an `identity` that it signs for or sends in Aggressive Mode)",
          "peers.d/b.yaml:6:5: peers.b.agressive: `agressive` is not a known key; expected extends, address, "
          "identity, policies, pre_shared_key, trustpoint, rsa_encr, aggressive, send_certificate, "
          "allow_weak, nat_traversal, fragmentation, sha256_truncation, dpd, updown or tunnels; did you mean "
          "`aggressive`?",
          "peers.d/b.yaml:8:7: peers.b.tunnels.lan: `10.1.0.0/24 === 10.2.0.0/24` belongs to "
          "peers.a.tunnels.lan (f.yaml line 14) already; expected each pair of subnets in one tunnel",
          "peers.d/c.yaml:2:3: peers.a: `a` is given twice, first in f.yaml line 9; expected each name once "
          "in all files together"));
}

TEST_F(Compose, WhatCannotBeIncluded) {
  const std::string rest = std::string(kProposals) + "peers:\n" + peer("a", 9);
  EXPECT_THAT(load_lines(write("f.yaml", "include: gone.yaml\n" + rest)),
              ElementsAre("gone.yaml: cannot read gone.yaml: No such file or directory; expected a file that "
                          "this user may read"));
  EXPECT_THAT(load_lines(write("f.yaml", "include: gone.d/*.yaml\n" + rest)), IsEmpty());
  write("nested.yaml", "include: f.yaml\n");
  EXPECT_THAT(
      load_lines(write("f.yaml", "include: nested.yaml\n" + rest)),
      ElementsAre("nested.yaml:1:10: include: an included file includes others; expected `include` in "
                  "the first file alone"));
  write("list.yaml", "[1, 2]\n");
  EXPECT_THAT(load_lines(write("f.yaml", "include: list.yaml\n" + rest)),
              ElementsAre("list.yaml: the file holds no map; expected sections such as `peers:`"));
  write("syntax.yaml", "peers: {\n");
  EXPECT_EQ(load_lines(write("f.yaml", "include: syntax.yaml\n" + rest)).size(), 1U);
  write("scalar.yaml", "peers: none\n");
  EXPECT_THAT(
      load_lines(write("f.yaml", "include: scalar.yaml\n" + rest)),
      ElementsAre("scalar.yaml:1:1: peers: `peers` is given twice, first in f.yaml line 8; expected a "
                  "map in each file, which are joined"));
  EXPECT_THAT(errors("include: x.yaml\n"),
              ElementsAre("f.yaml:1:10: include: other files cannot be included here; expected a "
                          "configuration in one file"));
}

constexpr std::string_view kBranch =
    "templates:\n"
    "  site:\n"
    "    policies: [10]\n"
    "    dpd: {interval: 10s, timeout: 60s}\n"
    "    tunnels:\n"
    "      lan: {local: 10.1.0.0/24, transform_sets: [strong], pfs: group14}\n"
    "  branch:\n"
    "    extends: site\n"
    "    aggressive: false\n"
    "    pre_shared_key: {credential: branches}\n";

TEST(Templates, PeersGetWhatTheyDoNotSay) {
  const auto outcome =
      parse_config(std::string(kProposals) + std::string(kBranch) +
                       "peers:\n"
                       "  b: {extends: branch, address: 192.0.2.2, tunnels: {lan: {remote: 10.2.0.0/24}}}\n"
                       "  c: {extends: branch, address: 192.0.2.3, dpd: off, tunnels: {lan: {remote: "
                       "10.3.0.0/24, pfs: none},"
                       " voice: {local: 10.9.0.0/24, remote: 10.3.9.0/24, transform_sets: [strong]}}}\n",
                   "f.yaml");
  ASSERT_THAT(lines(outcome), IsEmpty());
  const PeerConfig& b = outcome.config->peers.at(0);
  const PeerConfig& c = outcome.config->peers.at(1);
  EXPECT_EQ(b.dpd.interval, Seconds{10});
  EXPECT_EQ(b.pre_shared_key->name, "branches");
  EXPECT_EQ(b.tunnels.at(0).pfs, DhGroup::modp2048);
  EXPECT_EQ(c.dpd.mode, DpdMode::off);
  EXPECT_EQ(c.tunnels.at(0).pfs, std::nullopt);
  EXPECT_EQ(c.tunnels.at(1).name, "voice");
  EXPECT_EQ(c.tunnels.size(), 2U);
}

TEST(Templates, FaultsAreToldOnceAndWhereTheyStand) {
  const std::string base = std::string(kProposals) + "templates:\n  t:\n    dpd: never\n    polices: [10]\n";
  const std::string peers =
      "peers:\n"
      "  b: {extends: t, address: 192.0.2.2, pre_shared_key: {file: b}, tunnels: {lan: {local: 10.1.0.0/24, "
      "remote: 10.2.0.0/24, transform_sets: strong}}}\n"
      "  c: {extends: t, address: 192.0.2.3, pre_shared_key: {file: b}, tunnels: {lan: {local: 10.1.0.0/24, "
      "remote: 10.3.0.0/24, transform_sets: strong}}}\n";
  const auto all = errors(base + peers);
  EXPECT_EQ(std::count_if(all.begin(), all.end(), [](const auto& l) { return l.starts_with("f.yaml:9:"); }),
            1);
  EXPECT_EQ(std::count_if(all.begin(), all.end(), [](const auto& l) { return l.starts_with("f.yaml:10:"); }),
            1);
}

TEST(Templates, CirclesAndUnknownNames) {
  const auto with = [](const std::string& templates, const std::string& extends) {
    return errors(std::string(kProposals) + "templates:\n" + templates + "peers:\n  b: {extends: " + extends +
                  ", address: 192.0.2.2, policies: [10], pre_shared_key: {file: b}, tunnels: {lan: {local: "
                  "10.1.0.0/24, remote: 10.2.0.0/24, transform_sets: strong}}}\n");
  };
  EXPECT_THAT(
      with("  t: {extends: u}\n  u: {extends: t}\n", "t"),
      ElementsAre("f.yaml:9:16: templates.u.extends: the template `t` extends itself; expected at most "
                  "8 templates, each extending another"));
  EXPECT_THAT(
      with("  branch: {aggressive: false}\n", "brunch"),
      ElementsAre("f.yaml:10:16: peers.b.extends: there is no template `brunch`; expected branch; did "
                  "you mean `branch`?"));
  std::string chain;
  for (int i = 0; i < 12; ++i)
    chain += "  t" + std::to_string(i) + ": {extends: t" + std::to_string(i + 1) + "}\n";
  EXPECT_EQ(with(chain + "  t12: {aggressive: false}\n", "t0").size(), 1U);
  EXPECT_THAT(with(chain + "  t12: {aggressive: false}\n", "t6"), IsEmpty());
}

TEST(Composed, IsTheSameConfigurationInOneFile) {
  const std::string text =
      std::string(kProposals) + std::string(kBranch) +
      "peers:\n"
      "  b: {extends: branch, address: \"2001:db8::\", allow_weak: {algorithms: [des], reason: \"it's "
      "\\\"old\\\" "
      "\\\\\"}, tunnels: {lan: {local: 10.1.0.0/24 tcp, remote: 10.2.0.0/24 tcp 179}}}\n";
  const auto outcome = parse_config(text, "f.yaml");
  ASSERT_THAT(lines(outcome), IsEmpty());
  const auto again = parse_config(outcome.composed, "g.yaml");
  ASSERT_THAT(lines(again), IsEmpty());
  EXPECT_EQ(again.composed, outcome.composed);
  EXPECT_EQ(again.config->peers.at(0).allow_weak->reason, "it's \"old\" \\");
  EXPECT_EQ(outcome.composed.find("templates"), std::string::npos);
}

TEST(Composed, HasATextThoughNothingIsLeft) {
  const auto outcome = parse_config("templates: {b: {aggressive: false}}\n", "f.yaml");
  ASSERT_THAT(lines(outcome), IsEmpty());
  EXPECT_THAT(lines(parse_config(outcome.composed, "g.yaml")), IsEmpty());
  EXPECT_THAT(*differences(outcome.composed, outcome.composed), IsEmpty());
}

TEST(Differences, ValueByValue) {
  const auto before = parse_config(with_tunnel("pfs: group14"), "f.yaml").composed;
  const auto after = parse_config(with_tunnel("start: on-start"), "f.yaml").composed;
  ASSERT_FALSE(before.empty());
  ASSERT_FALSE(after.empty());
  const auto found = differences(before, after);
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 2U);
  EXPECT_EQ(found->at(0).key_path, "peers.b.tunnels.lan.pfs");
  EXPECT_EQ(found->at(0).before, "group14");
  EXPECT_EQ(found->at(0).after, "");
  EXPECT_EQ(found->at(1).key_path, "peers.b.tunnels.lan.start");
  EXPECT_EQ(found->at(1).after, "on-start");
  EXPECT_THAT(*differences(before, before), IsEmpty());
  EXPECT_FALSE(differences(before, "{"));
}

TEST(Differences, WholePeersComeAndGo) {
  const auto found = differences("a: {x: 1}\nb: [1, 2]\n", "b: [2, 1]\na: {x: 1, y: {z: 3}}\n");
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 2U);
  EXPECT_EQ(found->at(0).key_path, "a.y.z");
  EXPECT_EQ(found->at(0).after, "3");
  EXPECT_EQ(found->at(1).before, "[1, 2]");
  EXPECT_EQ(found->at(1).after, "[2, 1]");
}

}  // namespace
}  // namespace oakgate::conf
