#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support.h"

namespace oakgate::conf {
namespace {

using testing::ElementsAre;

// A tunnel whose keys are all given, in line 13 and from column 13 on.
std::string tunnel_text(const std::string& keys, const std::string& address = "192.0.2.2") {
  return std::string(kProposals) + "peers:\n  b:\n    address: " + address +
         "\n    pre_shared_key: {file: x}\n    policies: [10]\n    tunnels:\n      lan: {" + keys + "}\n";
}
TunnelConfig tunnel(const std::string& keys, const std::string& address = "192.0.2.2") {
  auto outcome = parse_config(tunnel_text(keys, address), "f.yaml");
  EXPECT_THAT(lines(outcome), ElementsAre());
  return outcome.config ? outcome.config->peers.at(0).tunnels.at(0) : TunnelConfig{};
}
std::vector<std::string> pairs(const TunnelConfig& config) {
  std::vector<std::string> out;
  for (const SelectorPair& pair : config.pairs) out.push_back(pair.to_string());
  return out;
}

TEST(Tunnels, Defaults) {
  const TunnelConfig lan = tunnel("local: 10.1.0.0/24, remote: 10.2.0.0/24, transform_sets: strong");
  EXPECT_EQ(lan.name, "lan");
  EXPECT_THAT(pairs(lan), ElementsAre("10.1.0.0/24 === 10.2.0.0/24"));
  ASSERT_EQ(lan.transform_sets.size(), 1U);
  EXPECT_EQ(lan.transform_sets[0].name, "strong");
  EXPECT_EQ(lan.pfs, std::nullopt);
  EXPECT_EQ(lan.lifetime, (Lifetime{Seconds(3600), Kilobytes{4608000}}));
  EXPECT_EQ(lan.start, StartMode::on_traffic);
  EXPECT_EQ(lan.rekey, RekeyMode::on_traffic);
  EXPECT_EQ(lan.replay_window, 64U);
  EXPECT_FALSE(lan.esn);
  EXPECT_EQ(lan.handling, PacketHandling{});
  EXPECT_EQ(lan.accept, AcceptMode::exact);
  EXPECT_EQ(lan.position.line, 13);
}

TEST(Tunnels, EveryKey) {
  const TunnelConfig lan = tunnel(
      "local: 10.1.0.0/24, remote: 10.2.0.0/24, transform_sets: [strong], pfs: group14, lifetime: {time: 8h, "
      "kilobytes: 2560, packets: 1000}, start: on-start, rekey: never, replay_window: 4096, accept: subset, "
      "esn: true, "
      "df_bit: clear, copy_dscp: false, tcp_mss: clamp");
  EXPECT_TRUE(lan.esn);
  EXPECT_EQ(lan.handling, (PacketHandling{DfBit::clear, false, {TcpMss::Kind::clamp, 0}}));
  EXPECT_EQ(lan.accept, AcceptMode::subset);
  EXPECT_EQ(lan.rekey, RekeyMode::never);
  EXPECT_EQ(lan.pfs, DhGroup::modp2048);
  EXPECT_EQ(lan.lifetime, (Lifetime{Seconds(28800), Kilobytes{2560}, 1000}));
  EXPECT_EQ(lan.start, StartMode::on_start);
  EXPECT_EQ(lan.replay_window, 4096U);
  EXPECT_EQ(
      tunnel("local: 10.1.0.0/24, remote: 10.2.0.0/24, transform_sets: strong, lifetime: {kilobytes: 0}")
          .lifetime.kilobytes,
      Kilobytes{0});
  EXPECT_EQ(tunnel("local: 10.1.0.0/24, remote: 10.2.0.0/24, transform_sets: strong, pfs: none").pfs,
            std::nullopt);
  const std::string nets = "local: 10.1.0.0/24, remote: 10.2.0.0/24, transform_sets: strong, ";
  EXPECT_EQ(tunnel(nets + "tcp_mss: 1360").handling.tcp_mss, (TcpMss{TcpMss::Kind::fixed, 1360}));
  EXPECT_EQ(tunnel(nets + "tcp_mss: off, df_bit: set").handling, (PacketHandling{DfBit::set, true, {}}));
}

TEST(Tunnels, Ties) {
  const std::string nets = "local: 10.1.0.0/24, remote: 10.2.0.0/24, transform_sets: strong, ";
  EXPECT_EQ(tunnel(nets + "pfs: none").ties, KernelTies{});
  EXPECT_EQ(tunnel(nets + "mark: 7").ties.mark, (PacketMark{7, 0xffff'ffff}));
  EXPECT_EQ(tunnel(nets + "mark: 0x7/0xff").ties.mark, (PacketMark{7, 0xff}));
  const TunnelInterface named{.name = "ipsec7", .if_id = 7};
  EXPECT_EQ(tunnel(nets + "interface: ipsec7").ties.interface, named);
  const TunnelInterface whole{"tunnel-a",
                              0x17,
                              1400,
                              "eth0",
                              {{*IpAddress::parse("10.99.0.1"), 30}},
                              {*Subnet::parse("10.2.0.0/16"), *Subnet::parse("10.3.0.0/16")}};
  EXPECT_EQ(
      tunnel(nets + "interface: {name: tunnel-a, if_id: 0x17, mtu: 1400, link: eth0, address: 10.99.0.1/30, "
                    "routes: [10.2.0.0/16, 10.3.0.0/16]}")
          .ties.interface,
      whole);
  const KernelTies offloaded = tunnel(nets + "offload: packet, offload_device: eth1").ties;
  EXPECT_EQ(offloaded.offload, Offload::packet);
  EXPECT_EQ(offloaded.offload_device, "eth1");
  EXPECT_EQ(tunnel(nets + "offload: no").ties, KernelTies{});
}

TEST(Tunnels, EveryLocalPairsWithEveryRemote) {
  EXPECT_THAT(
      pairs(tunnel(
          "local: [10.1.0.0/24, 10.1.9.1], remote: [10.2.0.0/24, 10.3.0.0/24], transform_sets: strong")),
      ElementsAre("10.1.0.0/24 === 10.2.0.0/24", "10.1.0.0/24 === 10.3.0.0/24", "10.1.9.1/32 === 10.2.0.0/24",
                  "10.1.9.1/32 === 10.3.0.0/24"));
  EXPECT_THAT(pairs(tunnel("local: 10.1.0.0/24 tcp 179, remote: 10.2.0.0/24 tcp, transform_sets: strong")),
              ElementsAre("10.1.0.0/24 tcp 179 === 10.2.0.0/24 tcp"));
  EXPECT_THAT(pairs(tunnel("local: 2001:db8:1::/48, remote: \"2001:db8:2::\", transform_sets: strong")),
              ElementsAre("2001:db8:1::/48 === 2001:db8:2::/128"));
  EXPECT_THAT(pairs(tunnel("local: 10.1.0.10-10.1.0.20 tcp 80, remote: [10.2.0.1-10.2.0.9 tcp], "
                           "transform_sets: strong")),
              ElementsAre("10.1.0.10-10.1.0.20 tcp 80 === 10.2.0.1-10.2.0.9 tcp"));
  EXPECT_THAT(pairs(tunnel("local: 0.0.0.0/0, remote: 0.0.0.0/0, transform_sets: strong")),
              ElementsAre("0.0.0.0/0 === 0.0.0.0/0"));
}

TEST(Tunnels, OfARangeOnlyAnswer) {
  const std::string keys = "local: 10.1.0.0/24, remote: 10.2.0.0/24, transform_sets: strong";
  for (const char* address : {"192.0.2.0/24", "192.0.2.10-192.0.2.20", "any", "0.0.0.0/0"}) {
    EXPECT_EQ(tunnel(keys, address).start, StartMode::responder);
    EXPECT_EQ(tunnel(keys + ", start: responder", address).start, StartMode::responder);
  }
  EXPECT_EQ(tunnel(keys, "gw.example.net").start, StartMode::on_traffic);
  EXPECT_THAT(
      errors(tunnel_text(keys + ", start: on-start", "192.0.2.0/24")),
      ElementsAre("f.yaml:13:85: peers.b.tunnels.lan.start: `on-start` needs one address to call, and the "
                  "peer's is `192.0.2.0/24`; expected responder, or one address or host name for the peer"));
}

struct Case {
  std::string keys;
  std::vector<std::string> lines;  // behind "f.yaml:13:"
};
class TunnelErrors : public testing::TestWithParam<Case> {};
TEST_P(TunnelErrors, Say) {
  std::vector<std::string> expected;
  for (const std::string& line : GetParam().lines) expected.push_back("f.yaml:13:" + line);
  EXPECT_EQ(errors(tunnel_text(GetParam().keys)), expected);
}
const std::string kNets = "local: 10.1.0.0/24, remote: 10.2.0.0/24, ";
const std::string kSet = "transform_sets: strong, ";
INSTANTIATE_TEST_SUITE_P(
    Selectors, TunnelErrors,
    testing::Values(
        Case{"",
             {"7: peers.b.tunnels.lan: `local` is missing; expected the subnet on this side",
              "7: peers.b.tunnels.lan: `remote` is missing; expected the subnet on the peer's side",
              "7: peers.b.tunnels.lan: `transform_sets` is missing; expected a list of transform sets' "
              "names"}},
        Case{kSet + "local: 10.1.0.5/24, remote: {a: b}",
             {"44: peers.b.tunnels.lan.local: `10.1.0.5/24` has bits set behind its prefix; expected the "
              "subnet's own "
              "address; did you mean `10.1.0.0/24`?",
              "57: peers.b.tunnels.lan.remote: is a map; expected a subnet, a range or a list of them"}},
        Case{kSet + "local: [10.1.0.0/24, \"2001:db8::/64\"], remote: [10.2.0.0/24, \"2001:db8:1::/64\"]",
             {"98: peers.b.tunnels.lan.remote: `10.1.0.0/24` and `2001:db8:1::/64` are of different "
              "families; expected "
              "IPv4 with IPv4 and IPv6 with IPv6: a tunnel for each, as every `local` pairs with every "
              "`remote`"}},
        Case{kSet + "local: 10.1.0.0/24 tcp 80, remote: 10.2.0.0/24",
             {"72: peers.b.tunnels.lan.remote: `10.1.0.0/24 tcp 80` and `10.2.0.0/24` differ in their "
              "protocol; "
              "expected the same on both sides; the port may be on one side only"}},
        Case{kSet + "local: 10.1.0.0/24, remote: [10.2.0.0/24, 10.2.0.0/24]",
             {"79: peers.b.tunnels.lan.remote: `10.1.0.0/24 === 10.2.0.0/24` is in this tunnel twice; "
              "expected each "
              "pair of subnets once"}},
        Case{kSet + "local: [2001:db8::], remote: []",
             {"45: peers.b.tunnels.lan.local: YAML reads the IPv6 address `2001:db8::` as a map; expected "
              "quotes around "
              "it: \"2001:db8::\"",
              "58: peers.b.tunnels.lan.remote: the list is empty; expected a subnet, a range or a list of "
              "them"}},
        Case{
            kSet + "local: 10.1.0.20-10.1.0.10, remote: 10.2.0.0/24",
            {"44: peers.b.tunnels.lan.local: `10.1.0.20-10.1.0.10` ends before it begins; expected the lower "
             "address first"}},
        Case{
            kSet + "local: 10.1.0.0/24, remote: [10.2.0.0/24, 10.2.0.0-10.2.0.255]",
            {"79: peers.b.tunnels.lan.remote: `10.1.0.0/24 === 10.2.0.0-10.2.0.255` is in this tunnel twice; "
             "expected each pair of subnets once"}},
        Case{kSet + "local: 10.1.0.1-10.1.7.254, remote: 10.2.0.1-10.2.7.254",
             {"73: peers.b.tunnels.lan.remote: the ranges of `10.1.0.1-10.1.7.254` and `10.2.0.1-10.2.7.254` "
              "come to 400 pairs of subnets; expected at most 256: ranges nearer to a subnet, or subnets"}}));

INSTANTIATE_TEST_SUITE_P(
    Rest, TunnelErrors,
    testing::Values(
        Case{kNets + "transform_sets: [strnog, strong, strong, x]",
             {"71: peers.b.tunnels.lan.transform_sets: there is no transform set `strnog`; expected pix or "
              "strong; did "
              "you mean `strong`?",
              "87: peers.b.tunnels.lan.transform_sets: transform set `strong` is listed twice; expected each "
              "set once",
              "95: peers.b.tunnels.lan.transform_sets: there is no transform set `x`; expected pix or "
              "strong"}},
        Case{kNets + kSet + "pfs: 3",
             {"83: peers.b.tunnels.lan.pfs: `3` is not a known group; expected group1, "
              "group2, group5, group14, group15, group16, group17, group18, group19, group20, group21, "
              "group22, "
              "group23, group24 or group31; did you mean `group1`?"}},
        Case{kNets + kSet + "pfs: no",
             {"83: peers.b.tunnels.lan.pfs: `no` is a boolean to other readers of YAML; expected none or a "
              "group, in "
              "quotes if the very word is meant"}},
        Case{
            kNets + kSet + "lifetime: 1h",
            {"88: peers.b.tunnels.lan.lifetime: is a single value; expected a map like {time: 1h, kilobytes: "
             "4608000}"}},
        Case{kNets + kSet + "lifetime: {time: 30s, kilobytes: 1000, bytes: 5}",
             {"95: peers.b.tunnels.lan.lifetime.time: `30s` is too short; expected 1m to 30d",
              "111: peers.b.tunnels.lan.lifetime.kilobytes: `1000` is out of range; expected a number from "
              "2560 to "
              "4294967295, or 0 for no limit",
              "117: peers.b.tunnels.lan.lifetime.bytes: `bytes` is not a known key; expected time, "
              "kilobytes or packets"}},
        Case{kNets + kSet + "lifetime: {packets: 999}",
             {"98: peers.b.tunnels.lan.lifetime.packets: `999` is out of range; expected a number from 1000 "
              "to 1000000000000000, or 0 for no limit"}},
        Case{
            kNets + kSet + "start: on-trafic",
            {"85: peers.b.tunnels.lan.start: `on-trafic` is not known here; expected on-traffic, on-start or "
             "responder; did you mean `on-traffic`?"}},
        Case{kNets + kSet + "replay_window: 31",
             {"93: peers.b.tunnels.lan.replay_window: `31` is out of range; expected a number from 32 to "
              "4096"}},
        Case{kNets + kSet + "rekey: sometimes",
             {"85: peers.b.tunnels.lan.rekey: `sometimes` is not known here; expected on-traffic, always or "
              "never"}},
        Case{kNets + kSet + "renew: always",
             {"78: peers.b.tunnels.lan.renew: `renew` is not a known key; expected local, remote, "
              "transform_sets, pfs, "
              "lifetime, start, rekey, replay_window, esn, df_bit, copy_dscp, tcp_mss, accept, updown, "
              "mark, interface, offload or offload_device"}},
        Case{kNets + kSet + "mark: 0x100/0xff",
             {"84: peers.b.tunnels.lan.mark: `0x100/0xff` has bits that its mask has not, so no packet meets "
              "it; "
              "expected a mask that has the mark's bits"}},
        Case{kNets + kSet + "mark: 0xfffffffff",
             {"84: peers.b.tunnels.lan.mark: `0xfffffffff` is no number of 32 bits; expected 0x and one to "
              "eight "
              "hexadecimal digits"}},
        Case{kNets + kSet + "interface: tunnel",
             {"89: peers.b.tunnels.lan.interface: `tunnel` ends with no number that its if_id could be; "
              "expected a "
              "name like ipsec7, or an `if_id`"}},
        Case{kNets + kSet + "interface: {name: a/b, if_id: 1}",
             {"96: peers.b.tunnels.lan.interface.name: `a/b` cannot be a network device's name; expected at "
              "most 15 "
              "letters, digits, `.`, `_` and `-`, like ipsec7"}},
        Case{kNets + kSet + "offload_device: eth0",
             {"94: peers.b.tunnels.lan.offload_device: there is nothing to offload to it; expected `offload: "
              "crypto` or `offload: packet` beside it"}},
        Case{kNets + kSet + "df_bit: on",
             {"86: peers.b.tunnels.lan.df_bit: `on` is not known here; expected copy, set or clear"}},
        Case{kNets + kSet + "tcp_mss: 100",
             {"87: peers.b.tunnels.lan.tcp_mss: `100` is out of range; expected a number from 500 to 9176, "
              "clamp or off"}},
        Case{kNets + kSet + "tcp_mss: clam",
             {"87: peers.b.tunnels.lan.tcp_mss: `clam` is not a whole number; expected a number from 500 to "
              "9176, "
              "clamp or off"}},
        Case{kNets + kSet + "esn: perhaps",
             {"83: peers.b.tunnels.lan.esn: `perhaps` is not known here; expected true or false"}},
        Case{
            kNets + kSet + "accept: subsets",
            {"86: peers.b.tunnels.lan.accept: `subsets` is not known here; expected exact or subset; did you "
             "mean `subset`?"}}));

TEST(Tunnels, TooManyPairsAreNotExpanded) {
  std::string local = "[10.1.0.0";
  std::string remote = "[10.2.0.0";
  for (int i = 1; i < 65; ++i) {
    local += ", 10.1.0." + std::to_string(i);
    remote += ", 10.2.0." + std::to_string(i);
  }
  const auto all =
      errors(tunnel_text("local: " + local + "], remote: " + remote + "], transform_sets: strong"));
  EXPECT_THAT(
      all, ElementsAre("f.yaml:13:13: peers.b.tunnels.lan.local: `local` and `remote` make too many pairs; "
                       "expected at most 4096, as every `local` pairs with every `remote`"));
}

TEST(Tunnels, NeedANameAndAtLeastOne) {
  EXPECT_THAT(
      errors(tunnel_text(kNets + kSet + "}\n      -x: {")),
      ElementsAre("f.yaml:14:7: peers.b.tunnels.-x: `-x` cannot be a name; expected a letter or digit, then "
                  "letters, digits, `.`, `_` and `-`, at most 64"));
  const std::string none =
      std::string(kProposals) +
      "peers: {b: {address: 192.0.2.2, pre_shared_key: {file: x}, policies: 10, tunnels: {}}}\n";
  EXPECT_THAT(errors(none),
              ElementsAre("f.yaml:7:74: peers.b.tunnels: there is no tunnel; expected at least one"));
}

}  // namespace
}  // namespace oakgate::conf
