#include "xfrm/netlink/guard.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <poll.h>

#include <utility>

#include "tests/xfrm/netlink/guarded_pair.h"
#include "tests/xfrm/netns.h"

namespace oakgate {
namespace {

using test::guarded_pair;
using ::testing::HasSubstr;
using ::testing::Not;

// A gateway: `outer` 192.0.2.1/24 towards a peer, `lan` 10.1.0.1/24, and `tun`, a dummy that stands for the
// TUN.
class GuardTest : public ::testing::Test {
 protected:
  GuardTest() {
    test::connect(ns_, "outer", outside_, "outer");
    test::connect(ns_, "lan", inside_, "eth0");
    ns_.must(
        "ip addr add 192.0.2.1/24 dev outer; ip addr add 10.1.0.1/24 dev lan; ip route add default via "
        "192.0.2.254;"
        "ip addr add 2001:db8::1/64 dev outer nodad; ip addr add 2001:db8:1::1/64 dev lan nodad;"
        "ip -6 route add default via 2001:db8::fe; ip link add tun type veth peer name tun-end; ip link set "
        "tun-end up; ip link set tun up");
    tun_ = ns_.enter([] { return Routing::open().value().find_link("tun").value().ifindex; });
  }
  void open(bool software, InboundDrop best = InboundDrop::xfrm) {
    guard_ = ns_.enter([&] {
      auto made = Guard::open(software ? std::optional(tun_) : std::nullopt, best);
      EXPECT_TRUE(made.has_value()) << made.error().text;
      return std::move(*made);
    });
  }
  void protect(const ProtectPolicy& policy) {
    const auto done = guard_->protect(policy);
    EXPECT_TRUE(done.has_value()) << done.error().text;
  }
  std::string route_get(const std::string& what) { return ns_.output("ip route get " + what + " | head -1"); }
  std::string ours() {
    return ns_.output(
        "ip xfrm policy; for f in -4 -6; do ip $f route show table all proto 111; ip $f rule show | grep "
        "111; done; nft list table inet oakgate 2>/dev/null; nft list table inet oakgate-next 2>/dev/null;"
        "true");
  }
  // Handles events until `done`; false after 3 s.
  bool await(const std::function<bool()>& done) {
    while (!done()) {
      pollfd waiting{guard_->fd(), POLLIN, 0};
      if (poll(&waiting, 1, 3000) != 1) return false;
      const auto handled = guard_->dispatch();
      EXPECT_TRUE(handled.has_value()) << handled.error().text;
    }
    return true;
  }

  test::Namespace ns_;
  test::Namespace outside_;
  test::Namespace inside_;
  unsigned tun_ = 0;
  std::unique_ptr<Guard> guard_;
};

TEST_F(GuardTest, DivertsWhatTheSelectorsProtectAndNothingElse) {
  open(true);
  protect(guarded_pair(1, "10.1.0.0/24", "10.2.0.0/24"));
  EXPECT_THAT(route_get("10.2.0.9 from 10.1.0.9 iif lan"), HasSubstr("dev tun"));
  EXPECT_THAT(route_get("10.2.0.9"), HasSubstr("dev tun table 11100 src 10.1.0.1"));
  EXPECT_THAT(route_get("10.2.0.9 from 192.0.2.1"), HasSubstr("via 192.0.2.254 dev outer"))
      << "another source is not in the selectors";
  EXPECT_THAT(route_get("10.3.0.9 from 10.1.0.9 iif lan"), HasSubstr("dev outer"));
  EXPECT_THAT(route_get("10.2.0.9 from 10.1.0.1 mark 0x6f610000"), HasSubstr("dev outer"));
}

Selector range_of(const char* first, const char* last) {
  return Selector::of_range({*IpAddress::parse(first), *IpAddress::parse(last)});
}

TEST_F(GuardTest, DivertsARangeAndNothingBesideIt) {
  open(true);
  ProtectPolicy policy = guarded_pair(1, "10.1.0.0/24", "10.2.0.0/24");
  policy.selectors.local = range_of("10.1.0.10", "10.1.0.20");
  policy.selectors.remote = range_of("10.2.0.7", "10.2.0.8");
  protect(policy);
  for (const char* from : {"10.1.0.10", "10.1.0.13", "10.1.0.20"}) {
    for (const char* to : {"10.2.0.7", "10.2.0.8"})
      EXPECT_THAT(route_get(fmt::format("{} from {} iif lan", to, from)), HasSubstr("dev tun"));
  }
  EXPECT_THAT(route_get("10.2.0.7 from 10.1.0.9 iif lan"), HasSubstr("dev outer"));
  EXPECT_THAT(route_get("10.2.0.7 from 10.1.0.21 iif lan"), HasSubstr("dev outer"));
  EXPECT_THAT(route_get("10.2.0.9 from 10.1.0.10 iif lan"), HasSubstr("dev outer"));
  EXPECT_TRUE(guard_->unprotect(policy.reqid));
  EXPECT_THAT(ours(), Not(HasSubstr("10.1.0.")));
}

// A part of a pair may have subnets of the pair's own ranges: one policy, and who is narrower has it.
TEST_F(GuardTest, APartTakesItsPoliciesAndGivesThemBack) {
  open(false);
  ProtectPolicy whole = guarded_pair(1, "10.1.0.0/24", "10.2.0.0/24");
  whole.selectors.local = range_of("10.1.0.10", "10.1.0.20");
  ProtectPolicy part = guarded_pair(2, "10.1.0.16/30", "10.2.0.0/24");
  const auto policies = [&](const char* subnet) {
    return ns_.output(std::string("ip xfrm policy | grep -A3 ") + subnet + " | grep reqid");
  };
  const std::string one = "reqid 1868627969";
  const std::string two = "reqid 1868627970";
  protect(whole);
  EXPECT_THAT(policies("10.1.0.16/30"), HasSubstr(one));
  protect(part);
  EXPECT_THAT(policies("10.1.0.16/30"), HasSubstr(two));
  EXPECT_THAT(policies("10.1.0.16/30"), Not(HasSubstr(one)));
  EXPECT_THAT(policies("10.1.0.12/30"), HasSubstr(one));
  protect(whole);  // again: it does not take them back
  EXPECT_THAT(policies("10.1.0.16/30"), HasSubstr(two));
  EXPECT_TRUE(guard_->unprotect(part.reqid));
  EXPECT_THAT(policies("10.1.0.16/30"), HasSubstr(one));
  protect(part);
  EXPECT_TRUE(guard_->unprotect(whole.reqid));
  EXPECT_THAT(policies("10.1.0.16/30"), HasSubstr(two));
  EXPECT_EQ(policies("10.1.0.12/30"), "");
  EXPECT_TRUE(guard_->unprotect(part.reqid));
  EXPECT_THAT(ours(), Not(HasSubstr("10.1.0.")));
}

TEST_F(GuardTest, ProtocolsApart) {
  open(true);
  ProtectPolicy udp = guarded_pair(1, "192.0.2.1/32", "198.51.100.2/32");
  udp.selectors.local.protocol = udp.selectors.remote.protocol = 17;
  protect(udp);
  EXPECT_THAT(route_get("198.51.100.2 from 192.0.2.1 ipproto udp"), HasSubstr("dev tun"));
  EXPECT_THAT(route_get("198.51.100.2 from 192.0.2.1 ipproto icmp"), HasSubstr("dev outer"));
}

TEST_F(GuardTest, UnreachableStandsBehindAndOutlivesTheGuard) {
  open(true);
  protect(guarded_pair(1, "10.1.0.0/24", "10.2.0.0/24"));
  protect(guarded_pair(2, "2001:db8:1::/64", "2001:db8:2::/64", "2001:db8:9::2"));
  guard_.reset();
  ns_.must("ip link del tun");
  EXPECT_THAT(route_get("10.2.0.9 from 10.1.0.9 iif lan"), HasSubstr("No route to host"));
  EXPECT_THAT(route_get("10.2.0.9"), HasSubstr("No route to host"));
  EXPECT_THAT(route_get("2001:db8:2::9 from 2001:db8:1::9 iif lan"), HasSubstr("No route to host"));
  EXPECT_THAT(ours(), HasSubstr("dir fwd action block"));
}

TEST_F(GuardTest, TheNextStartTakesOverAndReleasesTheRest) {
  open(true);
  protect(guarded_pair(1, "10.1.0.0/24", "10.2.0.0/24"));
  protect(guarded_pair(2, "10.7.0.0/24", "10.3.0.0/24"));
  guard_.reset();
  const std::string left = ours();
  open(false);  // the other plane, this time
  EXPECT_EQ(left, ours()) << "nothing changes before something is asked for";
  protect(guarded_pair(5, "10.1.0.0/24", "10.2.0.0/24"));
  EXPECT_THAT(ours(), HasSubstr("10.3.0.0/24"));
  ASSERT_TRUE(guard_->release_leftovers().has_value());
  EXPECT_THAT(ours(), Not(HasSubstr("10.3.0.0/24")));
  EXPECT_THAT(ours(), Not(HasSubstr("dev tun")));
  EXPECT_THAT(ours(), Not(HasSubstr("block")));
  EXPECT_THAT(route_get("10.2.0.9 from 10.1.0.9 iif lan"), HasSubstr("dev outer table 11101"));
  ASSERT_TRUE(guard_->shut_down().has_value());
  EXPECT_EQ("", ours());
}

// As on a kernel without XFRM. What the rules do to packets: nft_guard_test.cc.
TEST_F(GuardTest, NftablesInsteadOfPolicies) {
  open(true, InboundDrop::nftables);
  EXPECT_EQ(InboundDrop::nftables, guard_->inbound_drop());
  protect(guarded_pair(1, "10.1.0.0/24", "0.0.0.0/0"));
  protect(guarded_pair(2, "2001:db8:1::/64", "2001:db8:2::/64", "2001:db8:9::2"));
  EXPECT_EQ("", ns_.output("ip xfrm policy"));
  EXPECT_THAT(ours(), HasSubstr("ip daddr 10.1.0.0/24 drop"));
  EXPECT_THAT(ours(), HasSubstr("ip saddr 10.1.0.0/24 ip daddr 10.1.0.0/24 accept")) << "our own network";
  EXPECT_THAT(ours(), HasSubstr("ip6 saddr 2001:db8:2::/64 ip6 daddr 2001:db8:1::/64 drop"));
  ASSERT_TRUE(guard_->unprotect(Reqid{kReqidBase + 1}).has_value());
  EXPECT_THAT(ours(), Not(HasSubstr("10.1.0.0/24")));
  ASSERT_TRUE(guard_->shut_down().has_value());
  EXPECT_EQ("", ours());
}

TEST_F(GuardTest, RulesOfAKilledRunGoWhenXfrmIsThere) {
  open(true, InboundDrop::nftables);
  protect(guarded_pair(1, "10.1.0.0/24", "10.2.0.0/24"));
  guard_.reset();
  open(false);
  EXPECT_EQ(InboundDrop::xfrm, guard_->inbound_drop());
  protect(guarded_pair(1, "10.1.0.0/24", "10.2.0.0/24"));
  EXPECT_THAT(ours(), HasSubstr("10.2.0.0/24 ip daddr 10.1.0.0/24 drop"));
  ASSERT_TRUE(ns_.enter([&] { return guard_->release_leftovers(); }).has_value());
  EXPECT_THAT(ours(), Not(HasSubstr("table inet")));
  ASSERT_TRUE(guard_->shut_down().has_value());
  EXPECT_EQ("", ours());
}

TEST_F(GuardTest, SharedRoutesStayUntilTheLastPairGoes) {
  open(true);
  ProtectPolicy bgp = guarded_pair(1, "10.1.0.0/24", "10.2.0.0/24");
  bgp.selectors.local.protocol = bgp.selectors.remote.protocol = 6;
  bgp.selectors.remote.port = 179;
  ProtectPolicy ssh = bgp;
  ssh.reqid = Reqid{kReqidBase + 2};
  ssh.selectors.remote.port = 22;
  protect(bgp);
  protect(ssh);
  ASSERT_TRUE(guard_->unprotect(bgp.reqid).has_value());
  EXPECT_THAT(route_get("10.2.0.9 from 10.1.0.9 iif lan ipproto tcp dport 22"), HasSubstr("dev tun"));
  ASSERT_TRUE(guard_->unprotect(ssh.reqid).has_value());
  EXPECT_THAT(route_get("10.2.0.9 from 10.1.0.9 iif lan ipproto tcp dport 22"), HasSubstr("dev outer"));
  EXPECT_EQ(ErrorCode::not_found, guard_->unprotect(ssh.reqid).error().code);
  ASSERT_TRUE(guard_->shut_down().has_value());
  EXPECT_EQ("", ours());
}

TEST_F(GuardTest, EverythingRemoteButTheLanTheLinkAndThePeer) {
  for (const bool software : {true, false}) {
    open(software);
    protect(guarded_pair(1, "10.1.0.0/24", "0.0.0.0/0"));
    const char* device = software ? "dev tun" : "dev outer";
    EXPECT_THAT(route_get("203.0.113.9 from 10.1.0.9 iif lan"), HasSubstr(device));
    EXPECT_THAT(route_get("192.0.2.99 from 10.1.0.9 iif lan"), HasSubstr(device)) << "the outer network, too";
    EXPECT_THAT(route_get("10.1.0.99 from 10.1.0.1"), HasSubstr("dev lan"));
    EXPECT_THAT(route_get("203.0.113.9"), HasSubstr("via 192.0.2.254 dev outer src 192.0.2.1")) << "our own";
    EXPECT_THAT(route_get("198.51.100.2 from 192.0.2.1 mark 0x6f610000"), HasSubstr("via 192.0.2.254"));
    EXPECT_THAT(route_get("198.51.100.2 from 192.0.2.1"), HasSubstr("via 192.0.2.254")) << "the kernel's ESP";
    ASSERT_TRUE(guard_->shut_down().has_value());
    EXPECT_EQ("", ours());
  }
}

TEST_F(GuardTest, APeerInsideItsRemoteSubnetIsReachedOnTheKernelPlane) {
  open(false);
  protect(guarded_pair(1, "192.0.2.1/32", "198.51.100.0/24"));
  EXPECT_THAT(route_get("198.51.100.2 from 192.0.2.1"), HasSubstr("via 192.0.2.254 dev outer"));
  EXPECT_THAT(route_get("198.51.100.3 from 192.0.2.1"), HasSubstr("dev outer table 11101"));
  protect(guarded_pair(2, "192.0.2.1/32", "203.0.113.7/32", "203.0.113.7"));
  EXPECT_THAT(route_get("203.0.113.7 from 192.0.2.1"), HasSubstr("via 192.0.2.254 dev outer"));
  // A peer of another pair, inside the first one's remote subnet.
  protect(guarded_pair(3, "10.1.0.0/24", "10.3.0.0/24", "198.51.100.77"));
  EXPECT_THAT(route_get("198.51.100.77 from 192.0.2.1"), HasSubstr("via 192.0.2.254 dev outer"));
}

TEST_F(GuardTest, AnInnerRoutersNetworkIsExemptToo) {
  ns_.must("ip route add 10.8.0.0/24 via 10.1.0.254");
  open(true);
  protect(guarded_pair(1, "10.1.0.0/24", "10.0.0.0/8"));
  EXPECT_THAT(route_get("10.8.0.9 from 10.1.0.9 iif lan"), HasSubstr("dev tun"))
      << "not a protected local subnet";
  protect(guarded_pair(2, "10.8.0.0/24", "10.0.0.0/8"));
  EXPECT_THAT(route_get("10.8.0.9 from 10.1.0.9 iif lan"), HasSubstr("via 10.1.0.254"));
  EXPECT_THAT(route_get("10.1.0.9 from 10.8.0.9 iif lan"), HasSubstr("dev lan"));
  EXPECT_THAT(route_get("10.9.0.9 from 10.8.0.9 iif lan"), HasSubstr("dev tun"));
  ASSERT_TRUE(guard_->unprotect(Reqid{kReqidBase + 2}).has_value());
  EXPECT_THAT(route_get("10.8.0.9 from 10.1.0.9 iif lan"), HasSubstr("dev tun"));
}

TEST_F(GuardTest, FollowsAddressesAndDevices) {
  open(false);
  protect(guarded_pair(1, "10.1.0.0/24", "10.2.0.0/24"));
  ns_.must("ip addr del 10.1.0.1/24 dev lan");
  EXPECT_TRUE(await([&] { return route_get("10.2.0.9").find("src 10.1.0.1") == std::string::npos; }));
  ns_.must("ip addr add 10.1.0.5/24 dev lan");
  EXPECT_TRUE(await([&] { return route_get("10.2.0.9").find("src 10.1.0.5") != std::string::npos; }));
  ns_.must("ip link set outer down");
  EXPECT_TRUE(await(
      [&] { return route_get("10.2.0.9 from 10.1.0.9 iif lan").find("No route") != std::string::npos; }));
  ns_.must("ip link set outer up; ip route add default via 192.0.2.254");
  EXPECT_TRUE(await(
      [&] { return route_get("10.2.0.9 from 10.1.0.9 iif lan").find("dev outer") != std::string::npos; }));
}

TEST_F(GuardTest, RefusesSelectorsThatAreTaken) {
  open(false);
  protect(guarded_pair(1, "10.1.0.0/24", "10.2.0.0/24"));
  const auto twin = guard_->protect(guarded_pair(2, "10.1.0.0/24", "10.2.0.0/24", "198.51.100.3"));
  ASSERT_FALSE(twin.has_value());
  EXPECT_EQ(ErrorCode::in_use, twin.error().code);
  ns_.must("ip xfrm policy add dir fwd src 10.3.0.0/24 dst 10.1.0.0/24 action allow");
  const auto foreign = guard_->protect(guarded_pair(3, "10.1.0.0/24", "10.3.0.0/24"));
  ASSERT_FALSE(foreign.has_value());
  EXPECT_EQ(ErrorCode::in_use, foreign.error().code);
  EXPECT_FALSE(foreign.error().remedy.empty());
  EXPECT_THAT(ns_.output("ip xfrm policy | grep -c 10.3.0.0/24"), HasSubstr("1\n")) << "ours are taken back";
  ASSERT_TRUE(guard_->shut_down().has_value());
  EXPECT_THAT(ns_.output("ip xfrm policy"), HasSubstr("10.3.0.0/24")) << "the other program's stays";
}

TEST_F(GuardTest, ChangesAPairInPlace) {
  open(false);
  protect(guarded_pair(1, "10.1.0.0/24", "10.2.0.0/24"));
  protect(guarded_pair(1, "10.1.0.0/24", "10.2.0.0/24", "203.0.113.9"));
  EXPECT_THAT(ours(), HasSubstr("tmpl src 192.0.2.1 dst 203.0.113.9"));
  EXPECT_THAT(ours(), Not(HasSubstr("198.51.100.2")));
  protect(guarded_pair(1, "10.7.0.0/24", "10.4.0.0/24"));
  EXPECT_THAT(ours(), Not(HasSubstr("10.2.0.0/24")));
  EXPECT_THAT(ours(), Not(HasSubstr("from 10.1.0.0/24")));
  EXPECT_THAT(ours(), HasSubstr("10.4.0.0/24"));
  ASSERT_TRUE(guard_->shut_down().has_value());
  EXPECT_EQ("", ours());
}

TEST_F(GuardTest, ThousandsOfPairs) {
  open(false);
  for (std::uint32_t i = 0; i < 2000; ++i) {
    const std::string remote = fmt::format("10.{}.{}.0/24", 16 + i / 256, i % 256);
    const std::string peer = fmt::format("198.51.{}.{}", 100 + i / 250, i % 250 + 1);
    ProtectPolicy policy = guarded_pair(i, "10.1.0.0/24", remote.c_str(), peer.c_str());
    const auto known = std::exchange(policy.remote_gateway, std::nullopt);
    protect(policy);
    policy.remote_gateway = known;
    protect(policy);
  }
  EXPECT_THAT(ns_.output("ip xfrm policy count"), HasSubstr("OUT 2000"));
  EXPECT_THAT(ns_.output("ip -s -s xfrm policy count"), HasSubstr("IPv4 thresholds: local 0 remote 24"));
  EXPECT_THAT(ns_.output("ip rule | wc -l"), HasSubstr("7")) << "one table, whatever their number";
  EXPECT_THAT(route_get("10.20.1.9 from 10.1.0.9 iif lan"), HasSubstr("table 11101"));
  ASSERT_TRUE(guard_->shut_down().has_value());
  EXPECT_EQ("", ours());
  EXPECT_THAT(ns_.output("ip -s -s xfrm policy count"), HasSubstr("IPv4 thresholds: local 32 remote 32"));
}

TEST_F(GuardTest, AHashThatSomebodyElseHasChosenStays) {
  open(true);
  ns_.must("ip xfrm policy set hthresh4 16 16");
  for (std::uint32_t i = 0; i < 300; ++i)
    protect(guarded_pair(i, "10.1.0.0/24", fmt::format("10.{}.{}.0/24", 16 + i / 256, i % 256).c_str()));
  EXPECT_THAT(ns_.output("ip -s -s xfrm policy count"), HasSubstr("IPv4 thresholds: local 16 remote 16"));
  ASSERT_TRUE(guard_->shut_down().has_value());
  EXPECT_THAT(ns_.output("ip -s -s xfrm policy count"), HasSubstr("IPv4 thresholds: local 16 remote 16"));
}

TEST_F(GuardTest, APeerThatComesToBeKnownInAnothersNetworkIsLeftOut) {
  open(false);
  protect(guarded_pair(1, "10.1.0.0/24", "172.16.0.0/12"));
  ProtectPolicy second = guarded_pair(2, "10.1.0.0/24", "10.2.0.0/24");
  second.remote_gateway.reset();
  protect(second);
  EXPECT_THAT(ours(), Not(HasSubstr("throw 172.16.5.5")));
  second.remote_gateway = *IpAddress::parse("172.16.5.5");
  protect(second);
  EXPECT_THAT(ours(), HasSubstr("throw 172.16.5.5"));
  second.remote_gateway = *IpAddress::parse("198.51.100.7");
  protect(second);
  EXPECT_THAT(ours(), Not(HasSubstr("throw 172.16.5.5")));
}

}  // namespace
}  // namespace oakgate
