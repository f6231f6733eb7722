// The peer's side of our tunnels: what is exported is, imported again, the mirror of what it came from.
#include "conf/cisco/export.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

#include "conf/cisco/import.h"
#include "conf/load.h"

namespace oakgate::conf::cisco {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

constexpr std::chrono::sys_days kUntil{std::chrono::year{2027} / 6 / 30};

Config sample(const std::string& name) {
  const char* root = std::getenv("OAKGATE_SOURCE_ROOT");
  std::ifstream file(std::string(root == nullptr ? "." : root) + "/conf/samples/" + name + ".yaml");
  std::ostringstream text;
  text << file.rdbuf();
  LoadOutcome outcome = parse_config(text.str(), name + ".yaml");
  for (const Issue& issue : outcome.issues) ADD_FAILURE() << to_string(issue);
  return outcome.config ? *outcome.config : Config{};
}

const PeerConfig& peer_of(const Config& config, std::string_view name) {
  const auto found = std::find_if(config.peers.begin(), config.peers.end(),
                                  [&](const PeerConfig& one) { return one.name == name; });
  EXPECT_NE(found, config.peers.end()) << name;
  return *found;
}

ExportOptions options(Dialect dialect) {
  return {dialect, *IpAddress::parse("192.0.2.1"), dialect == Dialect::ios ? "Serial0" : "outside"};
}

std::multiset<std::string> pairs_of(const PeerConfig& peer, bool mirrored) {
  std::multiset<std::string> pairs;
  for (const TunnelConfig& tunnel : peer.tunnels) {
    for (const SelectorPair& pair : tunnel.pairs) {
      const bool said = pair.local.family() == Family::ipv4;
      if (said) pairs.insert(mirrored ? SelectorPair{pair.remote, pair.local}.to_string() : pair.to_string());
    }
  }
  return pairs;
}

std::set<std::string> sets_of(const PeerConfig& peer) {
  std::set<std::string> sets;
  for (const TunnelConfig& tunnel : peer.tunnels) {
    for (const TransformSet& set : tunnel.transform_sets) sets.insert(to_string(set));
  }
  return sets;
}

// What a configuration says of one peer, imported from what another exports for it.
void expect_mirror(const Config& config, std::string_view name, Dialect dialect) {
  const PeerConfig& ours = peer_of(config, name);
  const Exported exported = export_cisco(config, ours, options(dialect));
  const Imported imported = import_cisco(exported.text, kUntil);
  LoadOutcome outcome = parse_config(imported.yaml, "theirs.yaml");
  for (const Issue& issue : outcome.issues)
    ADD_FAILURE() << to_string(issue) << "\n" << exported.text << imported.yaml;
  ASSERT_TRUE(outcome.config);
  ASSERT_EQ(outcome.config->peers.size(), 1U) << exported.text;
  const PeerConfig& theirs = outcome.config->peers[0];
  EXPECT_EQ(theirs.address.to_string(), "192.0.2.1");
  EXPECT_EQ(pairs_of(theirs, false), pairs_of(ours, true)) << exported.text;
  EXPECT_EQ(sets_of(theirs), sets_of(ours)) << exported.text;
  ASSERT_EQ(theirs.policies.size(), ours.policies.size()) << exported.text;
  for (std::size_t i = 0; i < ours.policies.size(); ++i) {
    EXPECT_EQ(to_string(theirs.policies[i]), to_string(ours.policies[i]));
    EXPECT_EQ(theirs.policies[i].lifetime, ours.policies[i].lifetime);
  }
  std::multiset<std::pair<std::optional<DhGroup>, Lifetime>> their_lives;
  std::multiset<std::pair<std::optional<DhGroup>, Lifetime>> our_lives;
  for (const TunnelConfig& one : theirs.tunnels) their_lives.emplace(one.pfs, one.lifetime);
  for (const TunnelConfig& one : ours.tunnels) {
    for (const SelectorPair& pair : one.pairs) {
      if (pair.local.family() == Family::ipv4) our_lives.emplace(one.pfs, one.lifetime);
    }
  }
  EXPECT_EQ(their_lives, our_lives);
}

TEST(ExportCisco, ImportedAgainItIsTheMirror) {
  const Config config = sample("old-cisco");
  expect_mirror(config, "asa", Dialect::ios);
  expect_mirror(config, "ios-12", Dialect::ios);
  expect_mirror(config, "pix-520", Dialect::ios);
  expect_mirror(config, "pix-520", Dialect::pix);
  expect_mirror(config, "ios-11", Dialect::ios);
  expect_mirror(config, "ios-11", Dialect::pix);
  expect_mirror(config, "ios-11", Dialect::asa);
}

TEST(ExportCisco, InTheWordsOfEach) {
  const Config config = sample("old-cisco");
  const PeerConfig& pix = peer_of(config, "pix-520");
  const std::string there = export_cisco(config, pix, options(Dialect::pix)).text;
  EXPECT_THAT(
      there, HasSubstr("access-list oakgate-lan permit ip 10.30.0.0 255.255.255.0 10.1.0.0 255.255.255.0\n"));
  EXPECT_THAT(there, HasSubstr("crypto ipsec transform-set pix ah-sha-hmac esp-3des esp-sha-hmac\n"));
  EXPECT_THAT(there, HasSubstr("crypto map oakgate 10 set peer 192.0.2.1\n"));
  EXPECT_THAT(there, HasSubstr("isakmp policy 30 encryption 3des\n"));
  const PeerConfig& ios = peer_of(config, "ios-12");
  const std::string router = export_cisco(config, ios, options(Dialect::ios)).text;
  EXPECT_THAT(router, HasSubstr("\n permit ip 10.20.0.0 0.0.0.255 10.1.0.0 0.0.0.255\n"));
  EXPECT_THAT(router, HasSubstr("\n encr aes 256\n"));
  EXPECT_THAT(router, HasSubstr("crypto isakmp key ******** address 192.0.2.1\n"));
  EXPECT_THAT(router, HasSubstr("interface Serial0\n crypto map oakgate\n"));
}

TEST(ExportCisco, WhatIsDoneToPackets) {
  Config config = sample("old-cisco");
  for (PeerConfig& peer : config.peers) {
    for (TunnelConfig& tunnel : peer.tunnels) {
      tunnel.handling = {DfBit::clear, true, {TcpMss::Kind::fixed, 1360}};
      tunnel.replay_window = 500;
      tunnel.esn = true;
    }
  }
  const Exported router = export_cisco(config, peer_of(config, "ios-12"), options(Dialect::ios));
  EXPECT_THAT(router.text,
              HasSubstr("interface Serial0\n crypto map oakgate\n crypto ipsec df-bit clear\n ip tcp "
                        "adjust-mss 1360\n"));
  EXPECT_THAT(router.text, HasSubstr(" set security-association replay window-size 512\n"));
  EXPECT_THAT(router.notes, Contains(HasSubstr("extended sequence numbers")));
  const Imported back = import_cisco(router.text, kUntil);
  EXPECT_THAT(back.yaml,
              HasSubstr("        replay_window: 512\n        df_bit: clear\n        # tcp_mss: 1360 "));
  const std::string asa = export_cisco(config, peer_of(config, "ios-11"), options(Dialect::asa)).text;
  EXPECT_THAT(asa, HasSubstr("crypto ipsec df-bit clear-df outside\nsysopt connection tcpmss 1360\n"));
  EXPECT_THAT(import_cisco(asa, kUntil).yaml, HasSubstr("df_bit: clear\n        # tcp_mss: 1360 "));
}

TEST(ExportCisco, SaysWhatADialectCannot) {
  const Config config = sample("old-cisco");
  // How many bits the device cuts its ICVs to is no word of its configuration.
  EXPECT_THAT(export_cisco(config, peer_of(config, "ios-15"), options(Dialect::ios)).text,
              HasSubstr("esp-aes 256 esp-sha256-hmac\n"));
  const Exported exported = export_cisco(config, peer_of(config, "asa"), options(Dialect::pix));
  EXPECT_THAT(exported.notes, Contains(HasSubstr("aes-256 sha256 group14 pre-share")));
  EXPECT_THAT(exported.notes, Contains(HasSubstr("transform set strong")));
  EXPECT_THAT(exported.text, Not(HasSubstr("sha256\n")));
  const Exported router = export_cisco(config, peer_of(config, "asa"), options(Dialect::ios));
  EXPECT_THAT(router.notes, Contains(HasSubstr("2001:db8:1::/48")));
}

}  // namespace
}  // namespace oakgate::conf::cisco
