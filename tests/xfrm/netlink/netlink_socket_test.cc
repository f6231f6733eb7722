#include "xfrm/netlink/netlink_socket.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include "tests/xfrm/netns.h"
#include "xfrm/netlink/routes.h"

namespace oakgate {
namespace {

using ::testing::HasSubstr;

class NetlinkSocketTest : public ::testing::Test {
 protected:
  NetlinkSocket open() {
    return ns_.enter([] { return std::move(NetlinkSocket::open(NetlinkFamily::route).value()); });
  }
  test::Namespace ns_;
};

Route to_loopback(const char* subnet, std::uint32_t metric) {
  Route route;
  route.destination = Subnet::parse(subnet).value();
  route.ifindex = 1;
  route.metric = metric;
  return route;
}

TEST_F(NetlinkSocketTest, ClosesOnExec) {
  const NetlinkSocket socket = open();
  EXPECT_NE(0, fcntl(socket.fd(), F_GETFD) & FD_CLOEXEC);
}

TEST_F(NetlinkSocketTest, AnswersEachMessageOfABatch) {
  NetlinkSocket socket = open();
  std::vector<NetlinkMessage> batch;
  for (std::uint32_t i = 0; i < 200; ++i)
    batch.push_back(add_route_message(to_loopback("10.2.0.0/24", i + 1)));
  Route impossible = to_loopback("10.3.0.0/24", 1);
  impossible.ifindex = 4711;
  batch.insert(batch.begin() + 100, add_route_message(impossible));
  const auto answers = socket.transact(batch);
  ASSERT_TRUE(answers.has_value()) << answers.error().text;
  ASSERT_EQ(201U, answers->size());
  for (std::size_t i = 0; i < answers->size(); ++i) EXPECT_EQ(i != 100, (*answers)[i].ok()) << i;
  EXPECT_EQ(ENODEV, (*answers)[100].error);
  EXPECT_THAT(ns_.output("ip route show 10.2.0.0/24 | wc -l"), HasSubstr("200"))
      << "those behind it were done";
}

TEST_F(NetlinkSocketTest, SaysWhatFailedInTheKernelsWords) {
  NetlinkSocket socket = open();
  Route bad = to_loopback("10.2.0.0/24", 1);
  bad.gateway = IpAddress::parse("192.0.2.9");
  NetlinkMessage message = add_route_message(bad);
  const auto refused = socket.request(message, "add a route that cannot be");
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(ErrorCode::data_plane, refused.error().code);
  EXPECT_THAT(refused.error().text, HasSubstr("cannot add a route that cannot be"));
  EXPECT_THAT(refused.error().text, HasSubstr("the kernel says: Nexthop has invalid gateway"));
}

TEST_F(NetlinkSocketTest, GivesErrnosTheirCodes) {
  EXPECT_EQ(ErrorCode::not_permitted, netlink_error({EPERM, {}}, "x").code);
  EXPECT_EQ(ErrorCode::in_use, netlink_error({EEXIST, {}}, "x").code);
  EXPECT_EQ(ErrorCode::not_found, netlink_error({ESRCH, {}}, "x").code);
  EXPECT_EQ(ErrorCode::data_plane, netlink_error({EINVAL, {}}, "x").code);
  EXPECT_FALSE(netlink_error({EPERM, {}}, "x").remedy.empty());
}

TEST_F(NetlinkSocketTest, RefusesAMessageThatOverflowed) {
  NetlinkSocket socket = open();
  NetlinkMessage message = add_route_message(to_loopback("10.2.0.0/24", 1));
  message.put(200, Bytes(3000));
  const auto refused = socket.request(message, "send too much");
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(ErrorCode::internal, refused.error().code);
}

TEST_F(NetlinkSocketTest, DumpsMoreThanOneDatagram) {
  NetlinkSocket socket = open();
  std::vector<NetlinkMessage> batch;
  for (std::uint32_t i = 0; i < 2000; ++i)
    batch.push_back(add_route_message(to_loopback("10.2.0.0/24", i + 1)));
  ASSERT_TRUE(socket.transact(batch).has_value());
  NetlinkMessage message(RTM_GETROUTE, 0);
  message.put_header<rtmsg>().rtm_protocol = kRouteProtocol;
  std::size_t seen = 0;
  ASSERT_TRUE(socket.dump(message, "list routes", [&](const nlmsghdr&) { ++seen; }).has_value());
  EXPECT_EQ(2000U, seen);
}

TEST_F(NetlinkSocketTest, FollowsGroupsAndReportsOverruns) {
  const unsigned groups[] = {RTNLGRP_IPV4_ROUTE};
  NetlinkSocket events =
      ns_.enter([&] { return std::move(NetlinkSocket::open_events(NetlinkFamily::route, groups).value()); });
  std::size_t seen = 0;
  const auto count = [&](const nlmsghdr&) { ++seen; };
  EXPECT_EQ(false, events.receive(count).value()) << "nothing waits, and it does not either";
  ns_.must("ip route add 10.9.0.0/24 dev lo");
  EXPECT_EQ(false, events.receive(count).value());
  EXPECT_EQ(1U, seen);
  NetlinkSocket socket = open();
  std::vector<NetlinkMessage> flood;
  for (std::uint32_t i = 0; i < 3000; ++i)
    flood.push_back(add_route_message(to_loopback("10.2.0.0/24", i + 1)));
  ASSERT_TRUE(socket.transact(flood).has_value());
  EXPECT_EQ(true, events.receive(count).value()) << "3000 events do not fit";
  EXPECT_EQ(false, events.receive(count).value()) << "told once";
}

}  // namespace
}  // namespace oakgate
