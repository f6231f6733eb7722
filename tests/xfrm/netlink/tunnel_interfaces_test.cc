#include "xfrm/netlink/tunnel_interfaces.h"

#include <gmock/gmock.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include "tests/xfrm/netns.h"

namespace oakgate {
namespace {

using ::testing::HasSubstr;

TunnelInterface example() {
  return {"ipsec7", 7, 1400, {}, {{*IpAddress::parse("10.99.0.1"), 30}}, {*Subnet::parse("10.2.0.0/16")}};
}
Bytes bytes(std::initializer_list<int> values) {
  Bytes all;
  for (const int value : values) all.push_back(static_cast<std::uint8_t>(value));
  return all;
}

// RTM_NEWLINK to the byte, of a little-endian host: neither the kernel of a test machine nor user-mode Linux
// need have xfrm devices.
TEST(DeviceMessage, MakesAnXfrmDevice) {
  const NetlinkMessage message = add_device_message(example());
  EXPECT_EQ(RTM_NEWLINK, message.header().nlmsg_type);
  EXPECT_EQ(NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL, message.header().nlmsg_flags & ~NLM_F_ACK);
  const ByteView all = message.view();
  const Bytes attributes(all.begin() + sizeof(nlmsghdr) + sizeof(ifinfomsg), all.end());
  EXPECT_EQ(bytes({11, 0, 3,  0, 'i', 'p', 's', 'e', 'c', '7', 0,   0,    // IFLA_IFNAME
                   24, 0, 18, 0, 8,   0,   1,   0,   'x', 'f', 'r', 'm',  // IFLA_LINKINFO: IFLA_INFO_KIND
                   12, 0, 2,  0, 8,   0,   2,   0,   7,   0,   0,   0}),  // IFLA_INFO_DATA: IFLA_XFRM_IF_ID
            [&] {
              Bytes plain = attributes;
              plain[15] &= 0x7f;  // NLA_F_NESTED
              return plain;
            }());
}

TEST(DeviceMessage, StandsOnAnotherDevice) {
  TunnelInterface interface = example();
  interface.link = "lo";
  const NetlinkMessage message = add_device_message(interface);
  const NetlinkAttributes attributes(message.header(), sizeof(ifinfomsg));
  const NetlinkAttributes info(attributes.get(IFLA_LINKINFO));
  EXPECT_EQ("xfrm", info.text(IFLA_INFO_KIND));
  const NetlinkAttributes data(info.get(IFLA_INFO_DATA));
  EXPECT_EQ(if_nametoindex("lo"), data.u32(IFLA_XFRM_LINK));
  EXPECT_EQ(7U, data.u32(IFLA_XFRM_IF_ID));
  EXPECT_EQ(if_nametoindex("lo"), parse_device(message.header())->link);
}

TEST(DeviceMessage, SetsItUpAsOurs) {
  const NetlinkMessage message = set_device_message(example(), 12);
  const auto* header = netlink_header<ifinfomsg>(message.header());
  EXPECT_EQ(12, header->ifi_index);
  EXPECT_EQ(static_cast<unsigned>(IFF_UP), header->ifi_flags);
  EXPECT_EQ(static_cast<unsigned>(IFF_UP), header->ifi_change);
  const NetlinkAttributes attributes(message.header(), sizeof(ifinfomsg));
  EXPECT_EQ(1400U, attributes.u32(IFLA_MTU));
  EXPECT_EQ(kOurAlias, attributes.text(IFLA_IFALIAS));
  TunnelInterface plain = example();
  plain.mtu = 0;
  EXPECT_FALSE(NetlinkAttributes(set_device_message(plain, 12).header(), sizeof(ifinfomsg)).has(IFLA_MTU));
  EXPECT_EQ(RTM_DELLINK, remove_device_message(12).header().nlmsg_type);
}

TEST(ParseDevice, TellsOursFromOthers) {
  NetlinkMessage listed = add_device_message(example());
  const auto others = parse_device(listed.header());
  ASSERT_TRUE(others.has_value());
  EXPECT_EQ("ipsec7", others->name);
  EXPECT_EQ(7U, others->if_id);
  EXPECT_EQ(0U, others->link);
  EXPECT_FALSE(others->ours);
  listed.put_string(IFLA_IFALIAS, kOurAlias);
  EXPECT_TRUE(parse_device(listed.header())->ours);
  NetlinkMessage dummy(RTM_NEWLINK, 0);
  dummy.put_header<ifinfomsg>();
  dummy.put_string(IFLA_IFNAME, "eth0");
  EXPECT_FALSE(parse_device(dummy.header()).has_value());
}

// A kernel that has them makes the device and takes it away; one that has not says so.
TEST(TunnelInterfaces, AreMadeOrRefusedInWords) {
  const test::Namespace inside;
  inside.enter([] {
    auto interfaces = TunnelInterfaces::open();
    ASSERT_TRUE(interfaces);
    const auto used = interfaces->use(example());
    if (!used) {
      EXPECT_EQ(ErrorCode::unsupported, used.error().code) << used.error().text;
      EXPECT_THAT(used.error().text, HasSubstr("cannot make the xfrm interface ipsec7"));
      EXPECT_THAT(used.error().expected, HasSubstr("CONFIG_XFRM_INTERFACE"));
      EXPECT_THAT(used.error().remedy, HasSubstr("xfrm_interface"));
      return;
    }
    EXPECT_EQ(if_nametoindex("ipsec7"), *used);
    EXPECT_EQ(*used, interfaces->use(example()).value());
    EXPECT_TRUE(interfaces->leave("ipsec7"));
    EXPECT_NE(0U, if_nametoindex("ipsec7"));
    EXPECT_TRUE(interfaces->leave("ipsec7"));
    EXPECT_EQ(0U, if_nametoindex("ipsec7"));
  });
}

TEST(OffloadDevice, IsTheOneNamedOrTheOneWithTheAddress) {
  KernelTies ties;
  EXPECT_EQ(if_nametoindex("lo"), find_offload_device(ties, *IpAddress::parse("127.0.0.1")));
  EXPECT_EQ(0U, find_offload_device(ties, *IpAddress::parse("192.0.2.77")));
  ties.offload_device = "no-such-device";
  EXPECT_EQ(0U, find_offload_device(ties, *IpAddress::parse("127.0.0.1")));
}

}  // namespace
}  // namespace oakgate
