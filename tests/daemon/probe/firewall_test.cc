#include "daemon/probe/firewall.h"

#include <gtest/gtest.h>
#include <netinet/in.h>

namespace oakgate::probe {
namespace {

constexpr Traffic kIke{Family::ipv4, true, IPPROTO_UDP, 500};
constexpr Traffic kNat{Family::ipv4, true, IPPROTO_UDP, 4500};
constexpr Traffic kEsp{Family::ipv4, true, IPPROTO_ESP, 0};
constexpr Traffic kAh{Family::ipv6, true, IPPROTO_AH, 0};

// A table with one chain of the hook, its rules as `nft -j` lists them.
std::string ruleset(const std::string& policy, const std::vector<std::string>& rules,
                    const std::string& family = "inet", const std::string& hook = "input",
                    const std::string& more = "") {
  std::string text = R"({"nftables": [{"metainfo": {"version": "1.0.6"}}, {"table": {"family": ")" + family +
                     R"(", "name": "filter"}}, {"chain": {"family": ")" + family +
                     R"(", "table": "filter", "name": "in", "type": "filter", "hook": ")" + hook +
                     R"(", "prio": 0, "policy": ")" + policy + "\"}}" + more;
  for (const std::string& rule : rules) {
    text += R"(, {"rule": {"family": ")" + family + R"(", "table": "filter", "chain": "in", "expr": [)" +
            rule + "]}}";
  }
  return text + "]}";
}
std::string match(const std::string& left, const std::string& right, const std::string& op = "==") {
  return R"({"match": {"op": ")" + op + R"(", "left": )" + left + R"(, "right": )" + right + "}}";
}
const std::string kUdpPort = R"({"payload": {"protocol": "udp", "field": "dport"}})";
const std::string kProtocol = R"({"meta": {"key": "l4proto"}})";
const std::string kState = R"({"ct": {"key": "state"}})";
const std::string kSource = R"({"payload": {"protocol": "ip", "field": "saddr"}})";
const std::string kAccept = R"({"accept": null})";
const std::string kDrop = R"({"drop": null})";

FilterVerdict judged(const std::string& rules, const Traffic& traffic) {
  const auto verdict = judge_nftables(rules, traffic);
  EXPECT_TRUE(verdict.has_value());
  return verdict.value_or(FilterVerdict{});
}
const FilterVerdict kPasses{};
FilterVerdict blocked(const std::string& where = "table inet filter chain in") {
  return {Verdict::blocked, where};
}
FilterVerdict may_be(const std::string& where = "table inet filter chain in") {
  return {Verdict::may_be_blocked, where};
}

TEST(Nftables, WithoutRulesThePolicyDecides) {
  EXPECT_EQ(kPasses, judged(R"({"nftables": []})", kIke));
  EXPECT_EQ(kPasses, judged(ruleset("accept", {}), kIke));
  EXPECT_EQ(blocked(), judged(ruleset("drop", {}), kIke));
  EXPECT_EQ(kPasses, judged(ruleset("drop", {}, "ip6"), kIke)) << "of another family";
  EXPECT_EQ(kPasses, judged(ruleset("drop", {}, "inet", "forward"), kIke));
  EXPECT_EQ(kPasses, judged(ruleset("drop", {}, "inet", "output"), kIke)) << "it comes in";
  EXPECT_EQ(blocked(),
            judged(ruleset("drop", {}, "inet", "output"), {Family::ipv4, false, IPPROTO_UDP, 500}));
  EXPECT_EQ(blocked(), judged(ruleset("drop", {}, "inet", "prerouting"), kIke));
}

TEST(Nftables, WhatARuleAcceptsPasses) {
  const std::string ports =
      ruleset("drop", {match(kUdpPort, R"({"set": [500, {"range": [4500, 4501]}]})") + "," + kAccept});
  EXPECT_EQ(kPasses, judged(ports, kIke));
  EXPECT_EQ(kPasses, judged(ports, kNat));
  EXPECT_EQ(blocked(), judged(ports, kEsp));
  const std::string protocols =
      ruleset("drop", {match(kProtocol, R"({"set": ["esp", "ah"]})") + "," + kAccept});
  EXPECT_EQ(kPasses, judged(protocols, kEsp));
  EXPECT_EQ(kPasses, judged(protocols, kAh));
  EXPECT_EQ(blocked(), judged(protocols, kIke));
  const std::string but = ruleset("drop", {match(kUdpPort, "500", "!=") + "," + kAccept});
  EXPECT_EQ(blocked(), judged(but, kIke));
  EXPECT_EQ(kPasses, judged(but, kNat));
}

TEST(Nftables, WhatARuleDropsIsBlocked) {
  const std::string drops = ruleset("accept", {match(kUdpPort, "500") + "," + kDrop});
  EXPECT_EQ(blocked(), judged(drops, kIke));
  EXPECT_EQ(kPasses, judged(drops, kNat));
  EXPECT_EQ(blocked(), judged(ruleset("accept", {R"({"counter": {"packets": 0, "bytes": 0}},)"
                                                 R"({"reject": {"type": "icmp"}})"}),
                              kIke));
  EXPECT_EQ(kPasses, judged(ruleset("accept", {match(kUdpPort, "500") + "," + kAccept, kDrop}), kIke));
}

TEST(Nftables, WhatIsNotKnownIsADoubt) {
  const std::string some = match(kSource, R"("192.0.2.2")");
  EXPECT_EQ(may_be(), judged(ruleset("accept", {some + "," + kDrop}), kIke));
  EXPECT_EQ(may_be(), judged(ruleset("drop", {some + "," + kAccept}), kIke));
  EXPECT_EQ(kPasses, judged(ruleset("accept", {some + "," + kAccept}), kIke));
  EXPECT_EQ(may_be(), judged(ruleset("drop", {match(kUdpPort, R"("@ports")") + "," + kAccept}), kIke));
}

TEST(Nftables, TheFirstOfAFlowIsNew) {
  const std::string usual = match(kState, R"(["established", "related"])", "in") + "," + kAccept;
  EXPECT_EQ(blocked(), judged(ruleset("drop", {usual}), kIke));
  EXPECT_EQ(kPasses, judged(ruleset("drop", {match(kState, R"("new")") + "," + kAccept}), kIke));
  const std::string loopback = match(R"({"meta": {"key": "iifname"}})", R"("lo")") + "," + kAccept;
  EXPECT_EQ(blocked(), judged(ruleset("drop", {loopback}), kIke));
}

TEST(Nftables, JumpsAreFollowed) {
  const std::string vpn =
      R"(, {"chain": {"family": "inet", "table": "filter", "name": "vpn"}}, {"rule": {"family": )"
      R"("inet", "table": "filter", "chain": "vpn", "expr": [)";
  const std::string jump = R"({"jump": {"target": "vpn"}})";
  const std::string accepts = vpn + match(kUdpPort, "500") + "," + kAccept + "]}}";
  EXPECT_EQ(kPasses, judged(ruleset("drop", {jump}, "inet", "input", accepts), kIke));
  EXPECT_EQ(blocked(), judged(ruleset("drop", {jump}, "inet", "input", accepts), kNat));
  const std::string drops = vpn + kDrop + "]}}";
  EXPECT_EQ(blocked("table inet filter chain vpn"),
            judged(ruleset("accept", {jump}, "inet", "input", drops), kIke));
  const std::string loop = vpn + jump + "]}}";
  EXPECT_EQ(kPasses, judged(ruleset("accept", {jump}, "inet", "input", loop), kIke)) << "not for ever";
}

TEST(Nftables, WhatIsNoListingSaysNothing) {
  for (const char* text : {"", "nft: not found", "[]", "{}", R"({"nftables": {}})"})
    EXPECT_FALSE(judge_nftables(text, kIke).has_value()) << text;
  EXPECT_EQ(kPasses, judged(R"({"nftables": [1, "x", {"chain": 3}, {"rule": {"expr": 7}}]})", kIke));
  EXPECT_EQ(blocked(), judged(ruleset("drop", {"7", R"({"match": 1})"}), kIke));
}

TEST(Iptables, ChainsAndPolicies) {
  const std::string open = "*filter\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n";
  EXPECT_EQ(kPasses, judge_iptables(open, kIke));
  EXPECT_EQ(kPasses, judge_iptables("", kIke));
  const std::string shut =
      "*nat\n:INPUT DROP [0:0]\nCOMMIT\n*filter\n:INPUT DROP [0:0]\n:vpn - [0:0]\n"
      "-A INPUT -i lo -j ACCEPT\n-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"
      "-A INPUT -p udp -m multiport --dports 53,400:600 -j ACCEPT\n-A INPUT -p esp -j vpn\n"
      "-A vpn -s 192.0.2.0/24 -j ACCEPT\nCOMMIT\n";
  EXPECT_EQ(kPasses, judge_iptables(shut, kIke));
  EXPECT_EQ(blocked("table filter chain INPUT of iptables"), judge_iptables(shut, kNat));
  EXPECT_EQ(may_be("table filter chain INPUT of iptables"), judge_iptables(shut, kEsp));
  const std::string drops = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT ! -p tcp -j DROP\nCOMMIT\n";
  EXPECT_EQ(blocked("table filter chain INPUT of ip6tables"), judge_iptables(drops, kAh));
  const std::string back =
      "*filter\n:INPUT ACCEPT [0:0]\n:a - [0:0]\n-A INPUT -j a\n-A INPUT -j DROP\n-A a -j a\n"
      "-A a -p udp -j RETURN\nCOMMIT\n";
  EXPECT_EQ(blocked("table filter chain INPUT of iptables"), judge_iptables(back, kIke));
}

}  // namespace
}  // namespace oakgate::probe
