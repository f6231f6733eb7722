#include "xfrm/netlink/guard_plan.h"

#include <gmock/gmock.h>

namespace oakgate {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

Subnet subnet(const char* text) {
  return Subnet::parse(text).value();
}
IpAddress address(const char* text) {
  return IpAddress::parse(text).value();
}

LocalAddress local(const char* text, int prefix, unsigned ifindex) {
  LocalAddress found;
  found.address = address(text);
  found.prefix = prefix;
  found.ifindex = ifindex;
  return found;
}

// eth0 outside, eth1 the LAN, lo.
std::vector<LocalAddress> gateway_addresses() {
  LocalAddress lo = local("127.0.0.1", 8, 1);
  lo.host_scope = true;
  return {lo, local("192.0.2.1", 24, 2), local("10.1.0.2", 24, 3), local("10.1.0.1", 24, 3)};
}

TEST(GuardPlan, SubnetsWithinSubnets) {
  EXPECT_TRUE(strictly_contains(subnet("10.0.0.0/8"), subnet("10.1.0.0/24")));
  EXPECT_FALSE(strictly_contains(subnet("10.1.0.0/24"), subnet("10.1.0.0/24")));
  EXPECT_FALSE(strictly_contains(subnet("::/0"), subnet("10.1.0.0/24")));
  EXPECT_TRUE(overlaps(subnet("10.1.0.0/24"), subnet("10.0.0.0/8")));
  EXPECT_FALSE(overlaps(subnet("10.1.0.0/24"), subnet("10.2.0.0/24")));
}

TEST(GuardPlan, SourceAddressLiesInTheLocalSubnet) {
  auto addresses = gateway_addresses();
  const IpAddress outer = address("192.0.2.1");
  EXPECT_EQ(address("10.1.0.1"), source_within(subnet("10.1.0.0/24"), outer, addresses)) << "the lowest";
  EXPECT_EQ(std::nullopt, source_within(subnet("10.7.0.0/24"), outer, addresses));
  EXPECT_EQ(address("10.1.0.1"), source_within(subnet("0.0.0.0/0"), outer, addresses)) << "not the outer one";
  EXPECT_EQ(outer, source_within(subnet("192.0.2.1/32"), outer, addresses)) << "unless it is the only one";
  EXPECT_EQ(std::nullopt, source_within(subnet("127.0.0.0/8"), outer, addresses));
  for (LocalAddress& own : addresses) own.usable = false;
  EXPECT_EQ(std::nullopt, source_within(subnet("10.1.0.0/24"), outer, addresses));
}

TEST(GuardPlan, WideRemoteSubnets) {
  const auto addresses = gateway_addresses();
  EXPECT_TRUE(is_wide(subnet("0.0.0.0/0"), addresses));
  EXPECT_TRUE(is_wide(subnet("10.0.0.0/8"), addresses));
  EXPECT_TRUE(is_wide(subnet("192.0.2.2/32"), addresses)) << "in a network of ours";
  EXPECT_FALSE(is_wide(subnet("10.2.0.0/24"), addresses));
}

TEST(GuardPlan, OwnLanNetworks) {
  const auto addresses = gateway_addresses();
  const std::vector<IpAddress> outer = {address("192.0.2.1")};
  const auto lans = [&](std::vector<Subnet> locals, std::vector<IpAddress> gateways) {
    return own_lan_networks(locals, gateways, addresses);
  };
  EXPECT_THAT(lans({subnet("10.1.0.0/24")}, outer), ElementsAre(subnet("10.1.0.0/24")));
  EXPECT_THAT(lans({subnet("10.0.0.0/8")}, outer), ElementsAre(subnet("10.1.0.0/24")));
  EXPECT_THAT(lans({subnet("10.1.0.0/26")}, outer), ElementsAre(subnet("10.1.0.0/24"))) << "half a LAN";
  EXPECT_THAT(lans({subnet("192.0.2.1/32")}, outer), IsEmpty()) << "the outer network stays protected";
  EXPECT_THAT(lans({subnet("0.0.0.0/0")}, outer), IsEmpty());
  // One-armed: the LAN is the outer network.
  EXPECT_THAT(lans({subnet("10.1.0.0/24")}, {address("10.1.0.1")}), ElementsAre(subnet("10.1.0.0/24")));
}

TEST(GuardPlan, UnreachableComesFirstAndStandsBehind) {
  const auto routes = pair_routes(subnet("10.2.0.0/24"), {11101, 5, address("10.1.0.1")});
  ASSERT_EQ(4U, routes.size());
  EXPECT_EQ(RouteType::unreachable, routes[0].type);
  EXPECT_EQ(RouteType::unicast, routes[1].type);
  EXPECT_GT(routes[0].metric, routes[1].metric);
  EXPECT_EQ(11101U, routes[1].table);
  EXPECT_EQ(std::nullopt, routes[1].preferred_source);
  EXPECT_EQ(kRouteTable, routes[3].table);
  EXPECT_EQ(address("10.1.0.1"), routes[3].preferred_source);
  for (const Route& route : routes) EXPECT_EQ(kRouteProtocol, route.protocol);
  const auto no_device = pair_routes(subnet("10.2.0.0/24"), {11101, {}, {}});
  ASSERT_EQ(1U, no_device.size());
  EXPECT_EQ(RouteType::unreachable, no_device[0].type);
}

ProtectPolicy pair() {
  ProtectPolicy policy;
  policy.reqid = Reqid{kReqidBase + 3};
  policy.selectors = {{subnet("10.1.0.0/24")}, {subnet("10.2.0.0/24")}};
  policy.local_gateway = address("192.0.2.1");
  policy.remote_gateway = address("192.0.2.2");
  return policy;
}

TEST(GuardPlan, KernelPlanePolicies) {
  const auto policies = pair_policies(pair(), false);
  ASSERT_EQ(3U, policies.size());
  for (const XfrmPolicy& policy : policies) {
    const bool out = policy.direction == PolicyDirection::out;
    EXPECT_EQ(PolicyAction::allow, policy.action);
    EXPECT_EQ(subnet(out ? "10.1.0.0/24" : "10.2.0.0/24"), policy.source.subnet);
    ASSERT_TRUE(policy.sa.has_value());
    EXPECT_EQ(address(out ? "192.0.2.1" : "192.0.2.2"), policy.sa->source);
    EXPECT_EQ(address(out ? "192.0.2.2" : "192.0.2.1"), policy.sa->destination);
    EXPECT_EQ(Reqid{kReqidBase + 3}, policy.sa->reqid);
    EXPECT_TRUE(policy.ours());
  }
  ProtectPolicy unknown = pair();
  unknown.remote_gateway.reset();
  for (const XfrmPolicy& policy : pair_policies(unknown, false)) {
    EXPECT_TRUE(policy.sa->source.is_any() || policy.sa->destination.is_any());
  }
}

// XFRM knows prefixes only.
TEST(GuardPlan, ARangeHasPoliciesForEachOfItsSubnetsWithOneReqid) {
  ProtectPolicy policy = pair();
  policy.selectors.local = Selector::of_range({address("10.1.0.10"), address("10.1.0.20")}, 6, 80);
  policy.selectors.remote.protocol = 6;
  const auto policies = pair_policies(policy, false);
  ASSERT_EQ(12U, policies.size());
  std::set<Subnet> locals;
  for (const XfrmPolicy& one : policies) {
    const Selector& local = one.direction == PolicyDirection::out ? one.source : one.destination;
    locals.insert(local.subnet);
    EXPECT_FALSE(local.range);
    EXPECT_EQ(6, local.protocol);
    EXPECT_EQ(80, local.port);
    EXPECT_EQ(policy.reqid, one.sa->reqid);
  }
  EXPECT_EQ((std::set{subnet("10.1.0.10/31"), subnet("10.1.0.12/30"), subnet("10.1.0.16/30"),
                      subnet("10.1.0.20/32")}),
            locals);
  EXPECT_EQ(8U, pair_policies(policy, true).size());
  EXPECT_EQ(4U, fragment_policies(policy, true).size());
}

TEST(GuardPlan, PoliciesNameTheProtocolsAndTheMode) {
  ProtectPolicy bundle = pair();
  bundle.protection = Protection::ah_esp;
  bundle.mode = EncapsulationMode::transport;
  for (const XfrmPolicy& policy : pair_policies(bundle, false)) {
    EXPECT_EQ(Protection::ah_esp, policy.sa->protection);
    EXPECT_EQ(EncapsulationMode::transport, policy.sa->mode);
  }
}

TEST(GuardPlan, SoftwarePlanePoliciesBlockInboundAlone) {
  const auto policies = pair_policies(pair(), true);
  ASSERT_EQ(2U, policies.size());
  for (const XfrmPolicy& policy : policies) {
    EXPECT_NE(PolicyDirection::out, policy.direction);
    EXPECT_EQ(PolicyAction::block, policy.action);
    EXPECT_TRUE(policy.ours());
  }
}

TEST(GuardPlan, FragmentsOfSelectorsWithPorts) {
  SelectorPair selectors = pair().selectors;
  EXPECT_THAT(fragment_policies({.selectors = selectors}, false), IsEmpty());
  selectors.local.protocol = selectors.remote.protocol = 17;
  EXPECT_THAT(fragment_policies({.selectors = selectors}, false), IsEmpty())
      << "the protocol is in every fragment";
  selectors.remote.port = 500;
  const auto policies = fragment_policies({.selectors = selectors}, false);
  ASSERT_EQ(2U, policies.size());
  for (const XfrmPolicy& policy : policies) {
    EXPECT_TRUE(policy.fragments);
    EXPECT_EQ(PolicyAction::block, policy.action);
    EXPECT_GT(policy.priority,
              policy_priority({Subnet::any(Family::ipv6)}, {Subnet::any(Family::ipv6)}, true));
  }
}

TEST(GuardPlan, RulesSkipThenProtectThenSuggest) {
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    const auto frame = frame_rules(family);
    EXPECT_EQ(RuleAction::nothing, frame.front().action) << "the target stands before the jump";
    const Rule protect =
        table_rule(family == Family::ipv4 ? subnet("10.1.0.0/24") : subnet("2001:db8:1::/64"), 47, 11101);
    EXPECT_EQ(47, protect.ip_protocol);
    EXPECT_LT(kRuleSkipMarked, protect.priority);
    EXPECT_LT(protect.priority, kRuleSource);
    EXPECT_LT(kRuleSource, kRuleEnd);
  }
  EXPECT_EQ(std::nullopt, table_rule(subnet("0.0.0.0/0"), 0, 11101).from);
}

}  // namespace
}  // namespace oakgate
