#include "xfrm/netlink/netlink_message.h"

#include <gtest/gtest.h>
#include <linux/rtnetlink.h>

namespace oakgate {
namespace {

TEST(NetlinkMessage, LaysOutHeaderAndAttributes) {
  NetlinkMessage message(RTM_NEWROUTE, NLM_F_CREATE);
  message.put_header<rtmsg>().rtm_family = 2;
  message.put_u32(RTA_OIF, 7);
  message.put_u8(RTA_PREF, 1);
  message.put_address(RTA_DST, *IpAddress::parse("10.2.0.0"));
  const ByteView bytes = message.view();
  EXPECT_EQ(16U + 12 + 8 + 8 + 8, bytes.size());  // each attribute padded to four
  EXPECT_EQ(bytes.size(), message.header().nlmsg_len);
  EXPECT_EQ(RTM_NEWROUTE, message.header().nlmsg_type);
  EXPECT_EQ(NLM_F_REQUEST | NLM_F_CREATE, message.header().nlmsg_flags);
  EXPECT_EQ(
      "0800010"
      "00a020000",
      to_hex(bytes.last(8)));
  EXPECT_FALSE(message.overflowed());
}

TEST(NetlinkMessage, RemembersWhatDidNotFit) {
  NetlinkMessage message(RTM_NEWROUTE, 0);
  const Bytes large(1500);
  message.put(1, large);
  EXPECT_FALSE(message.overflowed());
  message.put(2, large);
  EXPECT_TRUE(message.overflowed());
}

TEST(NetlinkMessage, Nests) {
  NetlinkMessage message(RTM_NEWROUTE, 0);
  message.put_header<rtmsg>();
  message.begin_nest(RTA_METRICS);
  message.put_u32(RTAX_MTU, 1400);
  message.end_nest();
  message.put_u32(RTA_OIF, 3);
  const NetlinkAttributes attributes(message.header(), sizeof(rtmsg));
  EXPECT_EQ(1400U, NetlinkAttributes(attributes.get(RTA_METRICS)).u32(RTAX_MTU));
  EXPECT_EQ(3U, attributes.u32(RTA_OIF));
}

TEST(NetlinkAttributes, ReadsWhatIsThere) {
  NetlinkMessage message(RTM_NEWADDR, 0);
  message.put_header<rtmsg>();
  message.put_u32(1, 11);
  message.put_u32(1, 12);
  message.put_string(2, "eth0");
  message.put_address(3, *IpAddress::parse("2001:db8::1"));
  const NetlinkAttributes attributes(message.header(), sizeof(rtmsg));
  EXPECT_EQ(12U, attributes.u32(1)) << "the last counts";
  EXPECT_EQ("eth0", attributes.text(2));
  EXPECT_EQ(IpAddress::parse("2001:db8::1"), attributes.address(3));
  EXPECT_FALSE(attributes.has(4));
  EXPECT_EQ(9U, attributes.u32(4, 9));
  EXPECT_EQ(9U, attributes.u32(3 + 1, 9));
  EXPECT_EQ(std::nullopt, attributes.address(1 + 3));
  EXPECT_EQ(std::nullopt, attributes.as<std::uint64_t>(1)) << "shorter than asked";
}

TEST(NetlinkAttributes, SurvivesEveryCutAndFlip) {
  NetlinkMessage message(RTM_NEWADDR, 0);
  message.put_u32(1, 11);
  message.put_string(2, "some text");
  const Bytes whole = to_bytes(message.view().subspan(sizeof(nlmsghdr)));
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const NetlinkAttributes attributes(ByteView(whole).first(length));
    EXPECT_FALSE(attributes.has(2) && length < whole.size() - 3);
  }
  for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
    Bytes flipped = whole;
    flipped[bit / 8] = static_cast<std::uint8_t>(flipped[bit / 8] ^ (1 << bit % 8));
    const NetlinkAttributes attributes(flipped);
    EXPECT_LE(attributes.get(2).size(), whole.size());
  }
}

}  // namespace
}  // namespace oakgate
