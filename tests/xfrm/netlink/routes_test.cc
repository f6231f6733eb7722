#include "xfrm/netlink/routes.h"

#include <gmock/gmock.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>

#include "tests/xfrm/netns.h"

namespace oakgate {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

Subnet subnet(const char* text) {
  return Subnet::parse(text).value();
}
IpAddress address(const char* text) {
  return IpAddress::parse(text).value();
}

TEST(RouteMessage, HoldsWhatTheRouteSays) {
  Route route;
  route.destination = subnet("10.2.0.0/24");
  route.table = 11101;
  route.metric = 100;
  route.ifindex = 5;
  route.preferred_source = address("10.1.0.1");
  const NetlinkMessage message = add_route_message(route);
  const auto* header = netlink_header<rtmsg>(message.header());
  ASSERT_NE(nullptr, header);
  EXPECT_EQ(RTM_NEWROUTE, message.header().nlmsg_type);
  EXPECT_EQ(24, header->rtm_dst_len);
  EXPECT_EQ(RTN_UNICAST, header->rtm_type);
  EXPECT_EQ(kRouteProtocol, header->rtm_protocol);
  EXPECT_EQ(RT_SCOPE_LINK, header->rtm_scope);
  const NetlinkAttributes attributes(message.header(), sizeof(rtmsg));
  EXPECT_EQ(11101U, attributes.u32(RTA_TABLE));
  EXPECT_EQ(100U, attributes.u32(RTA_PRIORITY));
  EXPECT_EQ(5U, attributes.u32(RTA_OIF));
  EXPECT_EQ(address("10.1.0.1"), attributes.address(RTA_PREFSRC));
  EXPECT_FALSE(attributes.has(RTA_GATEWAY));
}

TEST(RuleMessage, HoldsWhatTheRuleSays) {
  Rule rule;
  rule.priority = kRuleSkipMarked;
  rule.action = RuleAction::go_to;
  rule.target = kRuleEnd;
  rule.mark = kBypassMark;
  rule.mark_mask = kBypassMarkMask;
  const NetlinkMessage message = add_rule_message(rule);
  const NetlinkAttributes attributes(message.header(), sizeof(fib_rule_hdr));
  EXPECT_EQ(FR_ACT_GOTO, netlink_header<fib_rule_hdr>(message.header())->action);
  EXPECT_EQ(kRuleEnd, attributes.u32(FRA_GOTO));
  EXPECT_EQ(kBypassMark, attributes.u32(FRA_FWMARK));
  EXPECT_EQ(kBypassMarkMask, attributes.u32(FRA_FWMASK));
  EXPECT_EQ(kRouteProtocol, attributes.u8(FRA_PROTOCOL));
}

class RoutesTest : public ::testing::Test {
 protected:
  RoutesTest() {
    ns_.must(
        "ip link add eth0 type veth peer name eth0-end; ip link set eth0-end up; ip link set eth0 up mtu "
        "1480; ip addr add 192.0.2.1/24 dev eth0;"
        "ip addr add 2001:db8::1/64 dev eth0 nodad; ip route add default via 192.0.2.254;"
        "ip -6 route add default via 2001:db8::254");
    routing_.emplace(ns_.enter([] { return std::move(Routing::open().value()); }));
    eth0_ = routing_->find_link("eth0").value().ifindex;
  }
  std::vector<Route> both_families() const {
    std::vector<Route> routes;
    for (const char* net : {"10.2.0.0/24", "2001:db8:2::/64", "0.0.0.0/0", "::/0"}) {
      Route route;
      route.destination = subnet(net);
      route.table = kRouteTable;
      route.metric = 100;
      route.ifindex = eth0_;
      route.preferred_source =
          address(route.destination.family() == Family::ipv4 ? "192.0.2.1" : "2001:db8::1");
      routes.push_back(route);
      Route behind;
      behind.destination = route.destination;
      behind.type = RouteType::unreachable;
      behind.table = kRouteTable;
      behind.metric = 65535;
      routes.push_back(behind);
    }
    return routes;
  }
  test::Namespace ns_;
  std::optional<Routing> routing_;
  unsigned eth0_ = 0;
};

TEST_F(RoutesTest, ReadsBackExactlyWhatItAdded) {
  const std::vector<Route> wanted = both_families();
  for (const Route& route : wanted) {
    const auto added = routing_->add(route);
    ASSERT_TRUE(added.has_value()) << added.error().text;
    ASSERT_TRUE(routing_->add(route).has_value()) << "again is no error";
  }
  EXPECT_THAT(routing_->routes(kRouteProtocol).value(), ::testing::UnorderedElementsAreArray(wanted));
  for (const Route& route : wanted) {
    ASSERT_TRUE(routing_->remove(route).has_value());
    ASSERT_TRUE(routing_->remove(route).has_value()) << "again is no error";
  }
  EXPECT_TRUE(routing_->routes(kRouteProtocol).value().empty());
  EXPECT_THAT(ns_.output("ip route; ip -6 route"), HasSubstr("default via 192.0.2.254")) << "others' stay";
}

TEST_F(RoutesTest, ReplacesARouteOfTheSameMetric) {
  Route route = both_families().front();
  ASSERT_TRUE(routing_->add(route).has_value());
  route.preferred_source.reset();
  ASSERT_TRUE(routing_->add(route).has_value());
  EXPECT_THAT(routing_->routes(kRouteProtocol).value(), ::testing::ElementsAre(route));
}

TEST_F(RoutesTest, UnreachableRoutesOutliveTheDevice) {
  for (const Route& route : both_families()) ASSERT_TRUE(routing_->add(route).has_value());
  ns_.must("ip link del eth0");
  const auto left = routing_->routes(kRouteProtocol).value();
  EXPECT_EQ(4U, left.size());
  for (const Route& route : left) EXPECT_EQ(RouteType::unreachable, route.type);
}

TEST_F(RoutesTest, RulesReadBackExactly) {
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    Rule end;
    end.family = family;
    end.priority = kRuleEnd;
    end.action = RuleAction::nothing;
    Rule skip = end;
    skip.priority = kRuleSkipMarked;
    skip.action = RuleAction::go_to;
    skip.target = kRuleEnd;
    skip.mark = kBypassMark;
    skip.mark_mask = kBypassMarkMask;
    Rule from;
    from.family = family;
    from.priority = kRuleProtected;
    from.target = kRouteTable + 1;
    from.from = subnet(family == Family::ipv4 ? "10.1.0.0/24" : "2001:db8:1::/64");
    from.ip_protocol = 47;
    Rule own = from;
    own.priority = kRuleSource;
    own.ip_protocol = 0;
    own.from = family == Family::ipv4 ? std::optional(subnet("0.0.0.0/32")) : std::nullopt;
    own.local_only = true;
    for (const Rule& rule : {end, skip, from, own}) {
      const auto added = routing_->add(rule);
      ASSERT_TRUE(added.has_value()) << added.error().text;
      ASSERT_TRUE(routing_->add(rule).has_value()) << "again is no error";
    }
    EXPECT_THAT(routing_->our_rules().value(), UnorderedElementsAre(end, skip, from, own));
    for (const Rule& rule : {own, from, skip, end}) {
      ASSERT_TRUE(routing_->remove(rule).has_value());
      ASSERT_TRUE(routing_->remove(rule).has_value()) << "again is no error";
    }
  }
  EXPECT_TRUE(routing_->our_rules().value().empty());
  EXPECT_THAT(ns_.output("ip rule"), HasSubstr("lookup main"));
}

TEST_F(RoutesTest, LooksUp) {
  const auto v4 = routing_->look_up(address("198.51.100.7")).value();
  EXPECT_EQ(address("192.0.2.1"), v4.source);
  EXPECT_EQ(address("192.0.2.254"), v4.gateway);
  EXPECT_EQ(eth0_, v4.ifindex);
  EXPECT_EQ(1480U, v4.mtu);
  EXPECT_EQ(std::nullopt, routing_->look_up(address("192.0.2.7")).value().gateway) << "on the link";
  EXPECT_EQ(address("2001:db8::1"), routing_->look_up(address("2001:db8:9::1")).value().source);
  EXPECT_EQ(subnet("192.0.2.0/24"), routing_->match(address("192.0.2.7")).value().destination);
  EXPECT_EQ(subnet("::/0"), routing_->match(address("2001:db8:9::1")).value().destination);
}

TEST_F(RoutesTest, LooksUpPastTheRulesWithTheMark) {
  ns_.must(
      "ip rule add prio 11130 nop; ip rule add prio 11100 fwmark 0x6f610000/0xffff0000 goto 11130;"
      "ip rule add prio 11110 lookup 11101; ip route add unreachable default table 11101");
  const auto unmarked = routing_->look_up(address("198.51.100.7"));
  ASSERT_FALSE(unmarked.has_value());
  EXPECT_EQ(ErrorCode::not_found, unmarked.error().code);
  EXPECT_EQ(eth0_, routing_->look_up(address("198.51.100.7"), kBypassMark).value().ifindex);
}

TEST_F(RoutesTest, SaysThatThereIsNoRoute) {
  ns_.must("ip route del default");
  const auto none = routing_->look_up(address("198.51.100.7"));
  ASSERT_FALSE(none.has_value());
  EXPECT_EQ(ErrorCode::not_found, none.error().code);
  EXPECT_THAT(none.error().text, HasSubstr("198.51.100.7"));
}

TEST_F(RoutesTest, ConfiguresLinks) {
  ASSERT_TRUE(routing_->set_link(eth0_, 1300, false).has_value());
  EXPECT_EQ(1300U, routing_->find_link("eth0").value().mtu);
  EXPECT_FALSE(routing_->find_link("eth0").value().up);
  ASSERT_TRUE(routing_->set_link(eth0_, {}, true).has_value());
  EXPECT_TRUE(routing_->find_link("eth0").value().up);
  ASSERT_TRUE(routing_->add_address(eth0_, address("10.7.0.1"), 24).has_value());
  EXPECT_THAT(ns_.output("ip addr"), HasSubstr("10.7.0.1/24"));
  EXPECT_EQ(ErrorCode::not_found, routing_->find_link("nosuch").error().code);
}

}  // namespace
}  // namespace oakgate
