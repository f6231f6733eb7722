// Ranges of addresses, which are several entries in each plane's tables and one pair of SAs; and pairs that
// are a part of another one.

#include <gmock/gmock.h>

#include "tests/xfrm/data_plane_contract.h"

namespace oakgate::test {

using DataPlaneRanges = DataPlaneContract;

namespace {

// Around the hosts' addresses, .10 and ::10, which are not at an end.
Tunnel range(Family inner, std::uint32_t number = 1) {
  const bool v4 = inner == Family::ipv4;
  Tunnel tunnel;
  tunnel.number = number;
  tunnel.inner = inner;
  tunnel.left = v4 ? "10.1.0.7-10.1.0.20" : "2001:db8:1::7-2001:db8:1::20";
  tunnel.right = v4 ? "10.2.0.9-10.2.0.11" : "2001:db8:2::9-2001:db8:2::11";
  return tunnel;
}

}  // namespace

TEST_F(DataPlaneRanges, CarryWhatLiesWithin) {
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    const Tunnel tunnel = range(family, family == Family::ipv4 ? 1 : 2);
    up(tunnel);
    EXPECT_TRUE(carries(family));
    EXPECT_GE(counters(Side::a, tunnel.outbound(Side::a)).packets, 1U);
    EXPECT_GE(counters(Side::b, tunnel.inbound(Side::b)).packets, 1U);
  }
  EXPECT_FALSE(leaked());
}

TEST_F(DataPlaneRanges, AreGuardedWithoutSas) {
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    Tunnel tunnel = range(family, family == Family::ipv4 ? 1 : 2);
    tunnel.acquire = true;
    protect(tunnel);
    send(Side::a, family);
    EXPECT_TRUE(await([&] { return !a_.heard.acquires.empty(); }));
    EXPECT_THAT(a_.heard.acquires, ::testing::ElementsAre(tunnel.reqid()));
    a_.heard.acquires.clear();
  }
  EXPECT_FALSE(leaked());
}

// By one address: the host is not in it.
TEST_F(DataPlaneRanges, LeaveTheirNeighboursAlone) {
  Tunnel beside = range(Family::ipv4);
  beside.right = "10.2.0.11-10.2.0.20";
  up(beside);
  EXPECT_TRUE(carries());
  EXPECT_TRUE(leaked()) << "what no selector holds is not protected";
  EXPECT_EQ(counters(Side::a, beside.outbound(Side::a)).packets, 0U);
}

// The peer's SA carries more than ours: what comes from outside our selectors is dropped.
TEST_F(DataPlaneRanges, LetNothingInFromOutside) {
  for (const char* left : {"10.1.0.11-10.1.0.20", "10.1.0.3-10.1.0.9"}) {
    Tunnel wide;
    wide.number = left[7] == '1' ? 1 : 2;
    Tunnel narrow = wide;
    narrow.left = left;
    ASSERT_TRUE(a_.with_plane([&](DataPlane& p) { return p.protect(wide.policy(Side::a)); }));
    ASSERT_TRUE(b_.with_plane([&](DataPlane& p) { return p.protect(narrow.policy(Side::b)); }));
    ASSERT_TRUE(install(Side::a, wide));
    ASSERT_TRUE(install(Side::b, narrow));
    const UdpSocket from(host_a_, host_address(Side::a, Family::ipv4), 0);
    const UdpSocket to(host_b_, host_address(Side::b, Family::ipv4), 7777);
    ASSERT_EQ(0, from.send(to.local(), "from outside"));
    EXPECT_TRUE(await([&] { return counters(Side::a, wide.outbound(Side::a)).packets > 0; }));
    EXPECT_EQ("", to.receive(300));
    unprotect(wide);
    remove(wide);
  }
}

// What a part and the whole have in common is the part's, and the whole's again when the part has gone.
TEST_F(DataPlaneRanges, APartGoesFirstAndLeavesNoGap) {
  for (const char* left : {"10.1.0.8-10.1.0.20", "10.1.0.10-10.1.0.12", "10.1.0.10", "10.1.0.8/30"}) {
    const Tunnel whole = range(Family::ipv4);
    Tunnel part = range(Family::ipv4, 2);
    part.left = left;
    up(whole);
    ASSERT_TRUE(carries());
    const auto by_whole = [&] { return counters(Side::b, whole.inbound(Side::b)).packets; };
    const auto before = by_whole();
    EXPECT_GE(before, 1U);
    up(part);
    ASSERT_TRUE(carries()) << left;
    EXPECT_EQ(before, by_whole()) << left;
    EXPECT_GE(counters(Side::b, part.inbound(Side::b)).packets, 1U) << left;
    EXPECT_GE(counters(Side::a, part.inbound(Side::a)).packets, 1U) << left;
    remove(part);
    send(Side::a, Family::ipv4);  // while its policy is there, it is the part's
    EXPECT_EQ(before, by_whole()) << left;
    unprotect(part);
    EXPECT_TRUE(carries()) << left;
    EXPECT_GT(by_whole(), before) << left;
    EXPECT_FALSE(leaked()) << left;
    remove(whole);
    unprotect(whole);
  }
}

TEST_F(DataPlaneRanges, ThatAreASubnetAreThatSubnet) {
  Tunnel tunnel;
  tunnel.left = "10.1.0.0-10.1.0.255";
  up(tunnel);
  EXPECT_TRUE(carries());
  Tunnel same;
  same.number = 2;
  const auto refused = a_.with_plane([&](DataPlane& p) { return p.protect(same.policy(Side::a)); });
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::in_use);
}

}  // namespace oakgate::test
