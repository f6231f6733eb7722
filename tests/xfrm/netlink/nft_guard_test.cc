// Real packets against the rules:
//
//   host 10.1.0.10 ---- 10.1.0.1 gateway 192.0.2.1 ---- 192.0.2.2, 10.2.0.10 outside
//   2001:db8:1::10   2001:db8:1::1   |   2001:db8::1    2001:db8::2, 2001:db8:2::10
//                                   tun ---- 10.2.0.10, 2001:db8:2::10 tunnel (what came out of an SA)

#include "xfrm/netlink/nft_guard.h"

#include <gmock/gmock.h>
#include <netinet/in.h>

#include "tests/xfrm/netns.h"
#include "xfrm/netlink/guard_plan.h"
#include "xfrm/netlink/routes.h"

namespace oakgate {
namespace {

using ::testing::HasSubstr;

class NftGuardTest : public ::testing::Test {
 protected:
  NftGuardTest() {
    test::connect(gateway_, "outer", outside_, "outer");
    test::connect(gateway_, "lan", host_, "eth0");
    test::connect(gateway_, "tun", tunnel_, "tun");
    gateway_.must(
        "for d in all outer lan tun; do sysctl -qw net.ipv4.conf.$d.rp_filter=0; done;"
        "ip addr add 192.0.2.1/24 dev outer; ip addr add 2001:db8::1/64 dev outer nodad;"
        "ip addr add 10.1.0.1/24 dev lan; ip addr add 2001:db8:1::1/64 dev lan nodad;"
        "ip addr add 192.0.3.1/24 dev tun; ip addr add 2001:db8:3::1/64 dev tun nodad;"
        "ip route add 10.2.0.0/24 via 192.0.2.2; ip -6 route add 2001:db8:2::/64 via 2001:db8::2");
    host_.must(
        "ip addr add 10.1.0.10/24 dev eth0; ip addr add 2001:db8:1::10/64 dev eth0 nodad;"
        "ip route add default via 10.1.0.1; ip -6 route add default via 2001:db8:1::1");
    stand_for_remote(outside_, "outer", "192.0.2.2/24", "2001:db8::2/64", "192.0.2.1", "2001:db8::1");
    stand_for_remote(tunnel_, "tun", "192.0.3.2/24", "2001:db8:3::2/64", "192.0.3.1", "2001:db8:3::1");
    tun_ = gateway_.enter([] { return Routing::open().value().find_link("tun").value().ifindex; });
    open();
    // Neighbors know each other from here on, and what is stopped later is known to have had a way.
    EXPECT_TRUE(passes(outside_, "10.2.0.10", host_, "10.1.0.10"));
    EXPECT_TRUE(passes(outside_, "2001:db8:2::10", host_, "2001:db8:1::10"));
  }
  static void stand_for_remote(const test::Namespace& where, const std::string& device, const std::string& v4,
                               const std::string& v6, const std::string& via_v4, const std::string& via_v6) {
    where.must("ip addr add " + v4 + " dev " + device + "; ip addr add " + v6 + " dev " + device +
               " nodad; ip addr add 10.2.0.10/32 dev lo; ip addr add 2001:db8:2::10/128 dev lo nodad;"
               "ip route add default via " +
               via_v4 + "; ip -6 route add default via " + via_v6);
  }
  void open() {
    guard_ = gateway_.enter([&] {
      auto made = NftGuard::open(tun_);
      EXPECT_TRUE(made.has_value()) << made.error().text;
      return std::make_unique<NftGuard>(std::move(*made));
    });
  }
  static std::vector<XfrmPolicy> pair(const char* local, const char* remote, std::uint8_t protocol = 0,
                                      std::uint16_t local_port = 0) {
    ProtectPolicy policy;
    policy.reqid = Reqid{kReqidBase + 1};
    policy.selectors = {{*Subnet::parse(local), protocol, local_port}, {*Subnet::parse(remote), protocol, 0}};
    policy.local_gateway = *IpAddress::parse("192.0.2.1");
    return pair_policies(policy, true);
  }
  void put(const std::vector<XfrmPolicy>& policies) {
    const auto done = gateway_.enter([&] { return guard_->change(policies, {}); });
    EXPECT_TRUE(done.has_value()) << done.error().text;
  }
  void drop(const std::vector<XfrmPolicy>& policies) {
    const auto done = gateway_.enter([&] { return guard_->change({}, policies); });
    EXPECT_TRUE(done.has_value()) << done.error().text;
  }
  void release_leftovers() {
    const auto done = gateway_.enter([&] { return guard_->release_leftovers(); });
    EXPECT_TRUE(done.has_value()) << done.error().text;
  }
  // Whether a datagram between the addresses arrives in time.
  static bool passes(const test::Namespace& from, const char* source, const test::Namespace& to,
                     const char* destination, std::uint16_t port = 7777, const std::string& text = "hello",
                     int patience_ms = 3000) {
    const test::UdpSocket receiver(to, *IpAddress::parse(destination), port);
    const test::UdpSocket sender(from, *IpAddress::parse(source), 0);
    EXPECT_EQ(0, sender.send(receiver.local(), text));
    return receiver.receive(patience_ms) == text;
  }
  // What does not arrive is waited for a moment only: the way there was tried before, see the constructor.
  static bool stopped(const test::Namespace& from, const char* source, const test::Namespace& to,
                      const char* destination, std::uint16_t port = 7777, const std::string& text = "hello") {
    return !passes(from, source, to, destination, port, text, 150);
  }
  std::string tables() { return gateway_.output("nft list tables"); }

  test::Namespace gateway_;
  test::Namespace outside_;
  test::Namespace host_;
  test::Namespace tunnel_;
  unsigned tun_ = 0;
  std::unique_ptr<NftGuard> guard_;
};

TEST_F(NftGuardTest, PlaintextFromOutsideIsDroppedAndWhatCameThroughTheTunnelPasses) {
  put(pair("10.1.0.0/24", "10.2.0.0/24"));
  put(pair("2001:db8:1::/64", "2001:db8:2::/64"));
  EXPECT_TRUE(stopped(outside_, "10.2.0.10", host_, "10.1.0.10"));
  EXPECT_TRUE(stopped(outside_, "10.2.0.10", gateway_, "10.1.0.1"));
  EXPECT_TRUE(stopped(outside_, "2001:db8:2::10", host_, "2001:db8:1::10"));
  EXPECT_TRUE(stopped(outside_, "2001:db8:2::10", gateway_, "2001:db8:1::1"));
  EXPECT_TRUE(passes(tunnel_, "10.2.0.10", host_, "10.1.0.10"));
  EXPECT_TRUE(passes(tunnel_, "10.2.0.10", gateway_, "10.1.0.1"));
  EXPECT_TRUE(passes(tunnel_, "2001:db8:2::10", host_, "2001:db8:1::10"));
  EXPECT_TRUE(passes(tunnel_, "2001:db8:2::10", gateway_, "2001:db8:1::1"));
}

TEST_F(NftGuardTest, WhatNoSelectorHoldsPasses) {
  put(pair("10.1.0.0/25", "10.2.0.0/24"));
  EXPECT_TRUE(stopped(outside_, "10.2.0.10", host_, "10.1.0.10"));
  EXPECT_TRUE(passes(outside_, "192.0.2.2", host_, "10.1.0.10")) << "another source";
  host_.must("ip addr add 10.1.0.200/24 dev eth0");
  EXPECT_TRUE(passes(outside_, "10.2.0.10", host_, "10.1.0.200")) << "another destination";
  EXPECT_TRUE(passes(host_, "10.1.0.10", outside_, "192.0.2.2")) << "outbound is routing's";
  EXPECT_TRUE(passes(gateway_, "10.1.0.1", gateway_, "10.1.0.1"));
}

TEST_F(NftGuardTest, IkeAndEspPassSelectorsThatHoldTheGateways) {
  put(pair("192.0.2.1/32", "192.0.2.2/32"));
  EXPECT_TRUE(stopped(outside_, "192.0.2.2", gateway_, "192.0.2.1"));
  EXPECT_TRUE(passes(outside_, "192.0.2.2", gateway_, "192.0.2.1", 500));
  EXPECT_TRUE(passes(outside_, "192.0.2.2", gateway_, "192.0.2.1", 4500));
  // ESP: counted by a chain behind ours.
  gateway_.must(
      "nft 'add table ip seen; add chain ip seen input { type filter hook input priority 0; };"
      "add rule ip seen input meta l4proto esp counter'");
  const test::FileDescriptor raw(
      outside_.enter([] { return ::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ESP); }));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(0xc0000201);
  ASSERT_EQ(8, ::sendto(raw.get(), "12345678", 8, 0, reinterpret_cast<const sockaddr*>(&to), sizeof(to)));
  EXPECT_THAT(gateway_.output("nft list table ip seen"), HasSubstr("packets 1"));
}

TEST_F(NftGuardTest, TheNarrowerPolicyDecides) {
  put(pair("10.1.0.0/24", "0.0.0.0/0"));
  EXPECT_TRUE(stopped(host_, "10.1.0.10", gateway_, "10.1.0.1"));
  put(exemption_policies(*Subnet::parse("10.1.0.0/24"), *Subnet::parse("10.1.0.0/24"), true));
  EXPECT_TRUE(passes(host_, "10.1.0.10", gateway_, "10.1.0.1"));
  EXPECT_TRUE(stopped(outside_, "10.2.0.10", host_, "10.1.0.10"));
  put(pair("10.1.0.0/24", "10.1.0.0/25"));
  EXPECT_TRUE(stopped(host_, "10.1.0.10", gateway_, "10.1.0.1"));
}

TEST_F(NftGuardTest, NeighborDiscoveryIsNeverProtected) {
  put(pair("::/0", "::/0"));
  put(neighbor_discovery_policies());
  gateway_.must("ip -6 neigh flush dev outer nud all");
  outside_.must("ip -6 neigh flush dev outer nud all");
  EXPECT_TRUE(stopped(outside_, "2001:db8::2", gateway_, "2001:db8::1"));
  EXPECT_TRUE(passes(outside_, "2001:db8::2", gateway_, "2001:db8::1", 500));
}

TEST_F(NftGuardTest, PortsAndFragments) {
  const auto by_port = pair("10.1.0.0/24", "10.2.0.0/24", IPPROTO_UDP, 7777);
  put(by_port);
  EXPECT_TRUE(stopped(outside_, "10.2.0.10", host_, "10.1.0.10", 7777));
  EXPECT_TRUE(passes(outside_, "10.2.0.10", host_, "10.1.0.10", 7778));
  const std::string long_text(3000, 'x');
  EXPECT_TRUE(passes(outside_, "10.2.0.10", host_, "10.1.0.10", 7778, long_text));
  SelectorPair selectors = {{*Subnet::parse("10.1.0.0/24"), IPPROTO_UDP, 7777},
                            {*Subnet::parse("10.2.0.0/24"), IPPROTO_UDP, 0}};
  put(fragment_policies({.selectors = selectors}, true));
  EXPECT_TRUE(stopped(outside_, "10.2.0.10", host_, "10.1.0.10", 7778, long_text))
      << "fragments show no ports";
  EXPECT_TRUE(passes(outside_, "10.2.0.10", host_, "10.1.0.10", 7778));
  put(pair("2001:db8:1::/64", "2001:db8:2::/64", IPPROTO_UDP, 7777));
  selectors.local.subnet = *Subnet::parse("2001:db8:1::/64");
  selectors.remote.subnet = *Subnet::parse("2001:db8:2::/64");
  EXPECT_TRUE(passes(outside_, "2001:db8:2::10", host_, "2001:db8:1::10", 7778, long_text));
  put(fragment_policies({.selectors = selectors}, true));
  EXPECT_TRUE(stopped(outside_, "2001:db8:2::10", host_, "2001:db8:1::10", 7777));
  EXPECT_TRUE(passes(outside_, "2001:db8:2::10", host_, "2001:db8:1::10", 7778));
  EXPECT_TRUE(stopped(outside_, "2001:db8:2::10", host_, "2001:db8:1::10", 7778, long_text));
}

TEST_F(NftGuardTest, OutlivesTheProgramAndTheNextStartTakesOver) {
  const auto kept = pair("10.1.0.0/24", "10.2.0.0/24");
  const auto forgotten = pair("10.1.0.0/24", "192.0.2.0/24");
  for (int start = 0; start < 3; ++start) {  // the two names take turns
    put(kept);
    put(forgotten);
    guard_.reset();
    EXPECT_TRUE(stopped(outside_, "10.2.0.10", host_, "10.1.0.10"));
    open();
    EXPECT_TRUE(stopped(outside_, "10.2.0.10", host_, "10.1.0.10")) << "guarded before anything is asked for";
    put(kept);
    EXPECT_TRUE(stopped(outside_, "192.0.2.2", host_, "10.1.0.10"))
        << "until it is said that nobody wants it";
    release_leftovers();
    EXPECT_TRUE(passes(outside_, "192.0.2.2", host_, "10.1.0.10"));
    EXPECT_TRUE(stopped(outside_, "10.2.0.10", host_, "10.1.0.10"));
  }
  drop(kept);
  EXPECT_EQ("", tables());
}

TEST_F(NftGuardTest, OtherTablesAreNotTouchedAndAFlushedOneComesBack) {
  gateway_.must("nft 'add table inet filter; add chain inet filter oakgate; add table ip oakgate'");
  const std::string before = gateway_.output("nft list ruleset");
  put(pair("10.1.0.0/24", "10.2.0.0/24"));
  gateway_.must("nft flush table inet oakgate");
  EXPECT_TRUE(passes(outside_, "10.2.0.10", host_, "10.1.0.10"));
  put(pair("10.1.0.0/24", "10.3.0.0/24"));
  EXPECT_TRUE(stopped(outside_, "10.2.0.10", host_, "10.1.0.10"));
  drop(pair("10.1.0.0/24", "10.2.0.0/24"));
  EXPECT_TRUE(passes(outside_, "10.2.0.10", host_, "10.1.0.10"));
  drop(pair("10.1.0.0/24", "10.3.0.0/24"));
  EXPECT_EQ(before, gateway_.output("nft list ruleset"));
}

TEST_F(NftGuardTest, ManyPairs) {
  for (int i = 0; i < 100; ++i) {
    put(pair("10.1.0.0/24",
             ("10." + std::to_string(16 + i / 50) + "." + std::to_string(i % 50) + ".0/24").c_str()));
  }
  put(pair("10.1.0.0/24", "10.2.0.0/24"));
  EXPECT_TRUE(stopped(outside_, "10.2.0.10", host_, "10.1.0.10"));
  EXPECT_THAT(gateway_.output("nft list table inet oakgate | grep -c drop"), HasSubstr("202"));
}

}  // namespace
}  // namespace oakgate
