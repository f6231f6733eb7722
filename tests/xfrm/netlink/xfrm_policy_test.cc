#include "xfrm/netlink/xfrm_policy.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <linux/xfrm.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/xfrm/netns.h"
#include "xfrm/netlink/routes.h"

namespace oakgate {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

Selector selector(const char* net, std::uint8_t protocol = 0, std::uint16_t port = 0) {
  return {Subnet::parse(net).value(), protocol, port};
}
IpAddress address(const char* text) {
  return IpAddress::parse(text).value();
}

XfrmPolicy protecting(const char* local, const char* remote, std::uint32_t number = 1) {
  XfrmPolicy policy;
  policy.direction = PolicyDirection::out;
  policy.source = selector(local);
  policy.destination = selector(remote);
  policy.priority = policy_priority(policy.source, policy.destination, false);
  policy.sa = PolicyTemplate{address("192.0.2.1"), address("192.0.2.2"), Reqid{kReqidBase + number}};
  return policy;
}

TEST(PolicyMessage, HoldsSelectorTemplateAndPriority) {
  XfrmPolicy policy = protecting("10.1.0.0/24", "10.2.0.0/16");
  policy.source = selector("10.1.0.0/24", 6, 0);
  policy.destination = selector("10.2.0.0/16", 6, 179);
  const NetlinkMessage message = policy_message(policy, PolicyUpdate::exclusive);
  EXPECT_EQ(XFRM_MSG_NEWPOLICY, message.header().nlmsg_type);
  const auto* info = netlink_header<xfrm_userpolicy_info>(message.header());
  ASSERT_NE(nullptr, info);
  EXPECT_EQ(AF_INET, info->sel.family);
  EXPECT_EQ(inet_addr("10.1.0.0"), info->sel.saddr.a4);
  EXPECT_EQ(24, info->sel.prefixlen_s);
  EXPECT_EQ(inet_addr("10.2.0.0"), info->sel.daddr.a4);
  EXPECT_EQ(16, info->sel.prefixlen_d);
  EXPECT_EQ(6, info->sel.proto);
  EXPECT_EQ(0, info->sel.sport_mask);
  EXPECT_EQ(htons(179), info->sel.dport);
  EXPECT_EQ(0xffff, info->sel.dport_mask);
  EXPECT_EQ(XFRM_POLICY_OUT, info->dir);
  EXPECT_EQ(XFRM_POLICY_ALLOW, info->action);
  EXPECT_EQ(policy.priority, info->priority);
  EXPECT_EQ(XFRM_INF, info->lft.hard_byte_limit);
  EXPECT_EQ(0U, info->lft.hard_add_expires_seconds);
  const auto tmpl =
      NetlinkAttributes(message.header(), sizeof(xfrm_userpolicy_info)).as<xfrm_user_tmpl>(XFRMA_TMPL);
  ASSERT_TRUE(tmpl.has_value());
  EXPECT_EQ(inet_addr("192.0.2.1"), tmpl->saddr.a4);
  EXPECT_EQ(inet_addr("192.0.2.2"), tmpl->id.daddr.a4);
  EXPECT_EQ(IPPROTO_ESP, tmpl->id.proto);
  EXPECT_EQ(kReqidBase + 1, tmpl->reqid);
  EXPECT_EQ(XFRM_MODE_TUNNEL, tmpl->mode);
  EXPECT_EQ(0, tmpl->optional);
  EXPECT_EQ(XFRM_MSG_UPDPOLICY, policy_message(policy, PolicyUpdate::replace).header().nlmsg_type);
}

TEST(PolicyMessage, MarkAndIfIdAreOfItsKey) {
  XfrmPolicy policy = protecting("10.1.0.0/24", "10.2.0.0/24");
  policy.mark = {7, 0xff};
  policy.if_id = 9;
  for (const NetlinkMessage& message :
       {policy_message(policy, PolicyUpdate::exclusive), policy_message(policy, PolicyUpdate::replace)}) {
    const NetlinkAttributes attributes(message.header(), sizeof(xfrm_userpolicy_info));
    const auto mark = attributes.as<xfrm_mark>(XFRMA_MARK);
    ASSERT_TRUE(mark.has_value());
    EXPECT_EQ(7U, mark->v);
    EXPECT_EQ(0xffU, mark->m);
    EXPECT_EQ(9U, attributes.u32(XFRMA_IF_ID));
  }
  const NetlinkMessage removal = remove_policy_message(policy);
  const NetlinkAttributes named(removal.header(), sizeof(xfrm_userpolicy_id));
  EXPECT_EQ(7U, named.as<xfrm_mark>(XFRMA_MARK)->v);
  EXPECT_EQ(9U, named.u32(XFRMA_IF_ID));
  NetlinkMessage held = policy_message(policy, PolicyUpdate::exclusive);
  held.header().nlmsg_type = XFRM_MSG_NEWPOLICY;
  const auto parsed = parse_policy(held.header());
  EXPECT_EQ(policy.mark, parsed->mark);
  EXPECT_EQ(9U, parsed->if_id);
  EXPECT_EQ(policy.key(), parsed->key());
  XfrmPolicy plain = policy;
  plain.mark = {};
  EXPECT_NE(plain.key(), policy.key());
  EXPECT_THAT(policy.to_string(), HasSubstr("mark 0x7/0xff if_id 9"));
}

TEST(PolicyMessage, PacketOffloadIsInAndOut) {
  XfrmPolicy policy = protecting("10.1.0.0/24", "10.2.0.0/24");
  policy.offload_ifindex = 3;
  const auto device = [](const XfrmPolicy& one) {
    const NetlinkMessage message = policy_message(one, PolicyUpdate::exclusive);
    return NetlinkAttributes(message.header(), sizeof(xfrm_userpolicy_info))
        .as<xfrm_user_offload>(XFRMA_OFFLOAD_DEV);
  };
  ASSERT_TRUE(device(policy).has_value());
  EXPECT_EQ(3, device(policy)->ifindex);
  EXPECT_EQ(4, device(policy)->flags) << "XFRM_OFFLOAD_PACKET";
  policy.direction = PolicyDirection::forward;
  EXPECT_FALSE(device(policy).has_value()) << "the kernel offloads none of these";
}

TEST(PolicyMessage, ABundleIsEspInItsModeAndAhInTransportModeOverIt) {
  XfrmPolicy policy = protecting("10.1.0.0/24", "10.2.0.0/24");
  policy.sa->protection = Protection::ah_esp;
  const NetlinkMessage message = policy_message(policy, PolicyUpdate::exclusive);
  const ByteView raw = NetlinkAttributes(message.header(), sizeof(xfrm_userpolicy_info)).get(XFRMA_TMPL);
  ASSERT_EQ(2 * sizeof(xfrm_user_tmpl), raw.size());
  std::array<xfrm_user_tmpl, 2> templates{};
  std::memcpy(templates.data(), raw.data(), raw.size());
  EXPECT_EQ(IPPROTO_ESP, templates[0].id.proto);
  EXPECT_EQ(XFRM_MODE_TUNNEL, templates[0].mode);
  EXPECT_EQ(IPPROTO_AH, templates[1].id.proto);
  EXPECT_EQ(XFRM_MODE_TRANSPORT, templates[1].mode);
  for (const xfrm_user_tmpl& one : templates) EXPECT_EQ(kReqidBase + 1, one.reqid);
}

TEST(PolicyMessage, IpcompComesFirstInTheModeAndIsOptionalInbound) {
  for (const PolicyDirection direction :
       {PolicyDirection::in, PolicyDirection::out, PolicyDirection::forward}) {
    XfrmPolicy policy = protecting("10.1.0.0/24", "10.2.0.0/24");
    policy.direction = direction;
    policy.sa->protection = Protection::ah_esp;
    policy.sa->compression = true;
    const NetlinkMessage message = policy_message(policy, PolicyUpdate::exclusive);
    const ByteView raw = NetlinkAttributes(message.header(), sizeof(xfrm_userpolicy_info)).get(XFRMA_TMPL);
    ASSERT_EQ(3 * sizeof(xfrm_user_tmpl), raw.size());
    std::array<xfrm_user_tmpl, 3> templates{};
    std::memcpy(templates.data(), raw.data(), raw.size());
    EXPECT_EQ(IPPROTO_COMP, templates[0].id.proto);
    EXPECT_EQ(XFRM_MODE_TUNNEL, templates[0].mode);
    EXPECT_EQ(direction != PolicyDirection::out, templates[0].optional == 1)
        << "RFC 3173 section 2.2: what does not become smaller comes without it";
    EXPECT_EQ(IPPROTO_ESP, templates[1].id.proto);
    EXPECT_EQ(IPPROTO_AH, templates[2].id.proto);
    for (const std::size_t over : {1U, 2U}) {
      EXPECT_EQ(XFRM_MODE_TRANSPORT, templates[over].mode);
      EXPECT_EQ(0, templates[over].optional) << "protection never is";
    }
  }
}

TEST(PolicyMessage, IsReadBackWithItsProtocolsAndMode) {
  for (const Protection protection : {Protection::esp, Protection::ah, Protection::ah_esp}) {
    for (const EncapsulationMode mode : {EncapsulationMode::tunnel, EncapsulationMode::transport}) {
      for (const bool compression : {false, true}) {
        XfrmPolicy policy = protecting("10.1.0.0/24", "10.2.0.0/24");
        policy.sa->protection = protection;
        policy.sa->mode = mode;
        policy.sa->compression = compression;
        const auto read = parse_policy(policy_message(policy, PolicyUpdate::exclusive).header());
        ASSERT_TRUE(read.has_value());
        EXPECT_EQ(policy, *read);
      }
    }
  }
}

TEST(PolicyMessage, OuterFamilyMayDifferFromTheSelectors) {
  XfrmPolicy policy = protecting("10.1.0.0/24", "10.2.0.0/24");
  policy.sa = PolicyTemplate{address("2001:db8::1"), address("2001:db8::2"), Reqid{kReqidBase}};
  const NetlinkMessage message = policy_message(policy, PolicyUpdate::exclusive);
  EXPECT_EQ(AF_INET, netlink_header<xfrm_userpolicy_info>(message.header())->sel.family);
  EXPECT_EQ(AF_INET6, NetlinkAttributes(message.header(), sizeof(xfrm_userpolicy_info))
                          .as<xfrm_user_tmpl>(XFRMA_TMPL)
                          ->family);
}

TEST(PolicyPriority, MoreSpecificSelectorsComeFirst) {
  const auto narrow = policy_priority(selector("10.1.0.0/24"), selector("10.2.0.0/24"), false);
  const auto wide = policy_priority(selector("10.1.0.0/24"), selector("0.0.0.0/0"), false);
  const auto tcp = policy_priority(selector("10.1.0.0/24", 6), selector("10.2.0.0/24", 6), false);
  const auto bgp = policy_priority(selector("10.1.0.0/24", 6), selector("10.2.0.0/24", 6, 179), false);
  const auto exemption = policy_priority(selector("10.1.0.0/24"), selector("10.2.0.0/24"), true);
  EXPECT_LT(bgp, tcp);
  EXPECT_LT(tcp, narrow);
  EXPECT_LT(narrow, exemption);
  EXPECT_LT(exemption, wide);
  EXPECT_LT(policy_priority(selector("10.1.0.0/24"), selector("10.2.0.0/23"), false),
            policy_priority(selector("10.1.0.0/24", 6, 1), selector("10.2.0.0/22", 6, 1), false))
      << "prefixes before ports";
}

class XfrmPolicyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto socket = ns_.enter([] { return NetlinkSocket::open(NetlinkFamily::xfrm); });
    ASSERT_TRUE(socket.has_value()) << socket.error().text;
    socket_.emplace(std::move(*socket));
  }
  Result<void> add(const XfrmPolicy& policy, PolicyUpdate update = PolicyUpdate::exclusive) {
    NetlinkMessage message = policy_message(policy, update);
    return socket_->request(message, "add");
  }
  test::Namespace ns_;
  std::optional<NetlinkSocket> socket_;
};

TEST_F(XfrmPolicyTest, ReadsBackExactlyWhatItAdded) {
  std::vector<XfrmPolicy> wanted = {protecting("10.1.0.0/24", "10.2.0.0/24"),
                                    protecting("2001:db8:1::/64", "::/0", 2)};
  XfrmPolicy block = protecting("10.1.0.0/24", "10.3.0.0/24", 3);
  block.direction = PolicyDirection::forward;
  block.action = PolicyAction::block;
  wanted.push_back(block);
  XfrmPolicy exemption;
  exemption.source = selector("0.0.0.0/0");
  exemption.destination = selector("10.1.0.0/24");
  exemption.index = kPolicyIndex + 16;
  wanted.push_back(exemption);
  XfrmPolicy fragments;
  fragments.direction = PolicyDirection::out;
  fragments.source = selector("10.1.0.0/24", 17);
  fragments.destination = selector("10.2.0.0/24", 17);
  fragments.fragments = true;
  fragments.action = PolicyAction::block;
  fragments.index = kPolicyIndex + 24;
  wanted.push_back(fragments);
  for (const XfrmPolicy& policy : wanted) {
    const auto added = add(policy);
    ASSERT_TRUE(added.has_value()) << added.error().text;
  }
  std::vector<XfrmPolicy> found = our_policies(*socket_).value();
  for (XfrmPolicy& policy : found) {
    if (policy.sa) policy.index = 0;  // the kernel's choice
  }
  EXPECT_THAT(found, ::testing::UnorderedElementsAreArray(wanted));
  for (const XfrmPolicy& policy : wanted) {
    NetlinkMessage message = remove_policy_message(policy);
    const auto removed = socket_->request(message, "remove");
    EXPECT_TRUE(removed.has_value()) << removed.error().text;
  }
  EXPECT_EQ("", ns_.output("ip xfrm policy"));
}

TEST_F(XfrmPolicyTest, NeverListsNorOverwritesOthers) {
  ns_.must(
      "ip xfrm policy add dir out src 10.1.0.0/24 dst 10.2.0.0/24 tmpl src 192.0.2.1 dst 192.0.2.3 proto esp "
      "reqid 7 "
      "mode tunnel; ip xfrm policy add dir out src 10.1.0.0/24 dst 10.3.0.0/24 action allow");
  EXPECT_THAT(our_policies(*socket_).value(), IsEmpty());
  const auto refused = add(protecting("10.1.0.0/24", "10.2.0.0/24"));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(ErrorCode::in_use, refused.error().code);
  EXPECT_THAT(ns_.output("ip xfrm policy"), HasSubstr("reqid 7 "));
}

TEST_F(XfrmPolicyTest, ReplacesInPlace) {
  XfrmPolicy policy = protecting("10.1.0.0/24", "10.2.0.0/24");
  ASSERT_TRUE(add(policy).has_value());
  policy.sa->destination = address("192.0.2.77");
  policy.priority += 1;
  ASSERT_TRUE(add(policy, PolicyUpdate::replace).has_value());
  const auto found = our_policies(*socket_).value();
  ASSERT_EQ(1U, found.size());
  EXPECT_EQ(address("192.0.2.77"), found.front().sa->destination);
}

TEST_F(XfrmPolicyTest, ASocketPassesEveryPolicy) {
  ns_.must("ip addr add 192.0.2.1/32 dev lo; ip addr add 2001:db8::1/128 dev lo nodad");
  // lo itself is never subject to XFRM for IPv4: a veth to another namespace is.
  const test::Namespace other;
  test::connect(ns_, "v0", other, "v1");
  ns_.must("ip addr add 198.51.100.1/24 dev v0; ip addr add 2001:db8:7::1/64 dev v0 nodad");
  other.must("ip addr add 198.51.100.2/24 dev v1; ip addr add 2001:db8:7::2/64 dev v1 nodad");
  for (const char* any : {"0.0.0.0/0", "::/0"}) {
    for (const char* direction : {"in", "out", "fwd"}) {
      ns_.must(fmt::format("ip xfrm policy add dir {0} src {1} dst {1} action block", direction, any));
    }
  }
  ns_.must(
      "for t in 135 136; do ip xfrm policy add dir in proto 58 type $t src ::/0 dst ::/0 priority 0 action "
      "allow;"
      "ip xfrm policy add dir out proto 58 type $t src ::/0 dst ::/0 priority 0 action allow; done;"
      "ip xfrm policy update dir in src ::/0 dst ::/0 priority 9 action block;"
      "ip xfrm policy update dir out src ::/0 dst ::/0 priority 9 action block");
  for (const auto& [ours, theirs] :
       {std::pair("198.51.100.1", "198.51.100.2"), std::pair("2001:db8:7::1", "2001:db8:7::2")}) {
    const test::UdpSocket here(ns_, address(ours), 500);
    const test::UdpSocket there(other, address(theirs), 500);
    EXPECT_NE(0, here.send(there.local(), "blocked"));
    ASSERT_EQ(0, there.send(here.local(), "blocked"));
    EXPECT_EQ("", here.receive(50));
    const Family family = address(ours).family();
    const auto passed = ns_.enter([&] { return bypass_socket(here.fd(), family); });
    ASSERT_TRUE(passed.has_value()) << passed.error().text;
    EXPECT_EQ(0, here.send(there.local(), "exempt"));
    EXPECT_EQ("exempt", there.receive()) << ours;
    ASSERT_EQ(0, there.send(here.local(), "exempt"));
    EXPECT_EQ("exempt", here.receive()) << ours;
    std::uint32_t mark = 0;
    socklen_t length = sizeof(mark);
    ASSERT_EQ(0, getsockopt(here.fd(), SOL_SOCKET, SO_MARK, &mark, &length));
    EXPECT_EQ(kBypassMark, mark);
  }
}

}  // namespace
}  // namespace oakgate
