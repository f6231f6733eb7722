#include "xfrm/netlink/address_monitor.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <poll.h>

#include "tests/xfrm/netns.h"

namespace oakgate {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

IpAddress address(const char* text) {
  return IpAddress::parse(text).value();
}

class AddressMonitorTest : public ::testing::Test {
 protected:
  AddressMonitorTest() {
    ns_.must(
        "ip link add eth0 type veth peer name eth0-end; ip link set eth0-end up addrgenmode "
        "none; ip link set eth0 up "
        "addrgenmode none; ip addr add 192.0.2.1/24 dev "
        "eth0");
    monitor_ = ns_.enter([] { return std::move(AddressMonitor::open().value()); });
    settle();
  }
  // Whether something comes within five seconds.
  bool readable() {
    pollfd waiting{monitor_->fd(), POLLIN, 0};
    return poll(&waiting, 1, 5000) == 1;
  }
  AddressMonitor::Change next() {
    EXPECT_TRUE(readable());
    return monitor_->dispatch().value();
  }
  void settle() {
    while (monitor_->dispatch().value().any()) {
    }
  }
  test::Namespace ns_;
  std::unique_ptr<AddressMonitor> monitor_;
};

TEST_F(AddressMonitorTest, KnowsWhatWasThere) {
  EXPECT_TRUE(monitor_->has(address("192.0.2.1")));
  EXPECT_TRUE(monitor_->has(address("127.0.0.1")));
  EXPECT_FALSE(monitor_->has(address("192.0.2.9")));
  for (const LocalAddress& local : monitor_->addresses()) {
    EXPECT_TRUE(local.address != address("192.0.2.1") || local.prefix == 24);
    EXPECT_EQ(local.address == address("127.0.0.1") || local.address == address("::1"), local.host_scope);
  }
}

TEST_F(AddressMonitorTest, TellsOfAddressesThatComeAndGo) {
  ns_.must("ip addr add 192.0.2.9/24 dev eth0; ip addr add 2001:db8::9/64 dev eth0 nodad");
  // The kernel may tell of the second a moment later.
  std::vector<IpAddress> added = next().added;
  if (added.size() == 1) added.push_back(next().added.at(0));
  EXPECT_THAT(added, ElementsAre(address("192.0.2.9"), address("2001:db8::9")));
  EXPECT_TRUE(monitor_->has(address("2001:db8::9")));
  ns_.must("ip addr del 192.0.2.9/24 dev eth0");
  const auto change = next();
  EXPECT_THAT(change.removed, ElementsAre(address("192.0.2.9")));
  EXPECT_THAT(change.added, IsEmpty());
  EXPECT_FALSE(monitor_->has(address("192.0.2.9")));
}

TEST_F(AddressMonitorTest, AnAddressOnTwoDevicesIsThereUntilTheLastGoes) {
  ns_.must(
      "ip link add eth1 type veth peer name eth1-end; ip link set eth1 up; ip addr add 192.0.2.1/32 dev "
      "eth1");
  settle();
  ns_.must("ip addr del 192.0.2.1/24 dev eth0");
  EXPECT_THAT(next().removed, IsEmpty());
  EXPECT_TRUE(monitor_->has(address("192.0.2.1")));
  ns_.must("ip addr del 192.0.2.1/32 dev eth1");
  EXPECT_THAT(next().removed, ElementsAre(address("192.0.2.1")));
}

TEST_F(AddressMonitorTest, AnAddressUnderDuplicateDetectionIsNotUsableYet) {
  ns_.must("echo 1 >/proc/sys/net/ipv6/conf/eth0/accept_dad");
  settle();
  ns_.must("ip addr add 2001:db8:7::1/64 dev eth0");
  static_cast<void>(monitor_->dispatch());
  const bool at_once = monitor_->has(address("2001:db8:7::1"));
  bool added = at_once;
  while (!added && readable()) {
    const auto change = monitor_->dispatch().value();
    added =
        std::find(change.added.begin(), change.added.end(), address("2001:db8:7::1")) != change.added.end();
  }
  EXPECT_FALSE(at_once);
  EXPECT_TRUE(added);
}

TEST_F(AddressMonitorTest, TellsOfLinksAndRoutesButNotOfOurs) {
  ns_.must("ip route add 10.9.0.0/24 dev eth0");
  EXPECT_TRUE(next().network);
  ns_.must("ip link set eth0 mtu 1400");
  EXPECT_TRUE(next().network);
  settle();
  ns_.must("ip route add 10.8.0.0/24 dev eth0 proto 111");
  EXPECT_FALSE(next().any());
  ns_.must("ip route del 10.8.0.0/24 dev eth0 proto 111");
  EXPECT_TRUE(next().network) << "one of ours that goes is to be mended";
}

TEST_F(AddressMonitorTest, TellsOfRulesButNotOfOurs) {
  ns_.must("ip rule add to 10.9.0.0/24 lookup 100");
  EXPECT_TRUE(next().network);
  ns_.must("ip -6 rule add to 2001:db8:9::/64 lookup 100");
  EXPECT_TRUE(next().network);
  ns_.must("ip rule add to 10.8.0.0/24 lookup 100 proto 111");
  EXPECT_FALSE(next().any());
  ns_.must("ip rule del to 10.8.0.0/24 lookup 100 proto 111");
  EXPECT_TRUE(next().network) << "one of ours that goes is to be mended";
}

TEST_F(AddressMonitorTest, ReadsEverythingAnewAfterAnOverrun) {
  ns_.must(
      "for i in $(seq 1 2000); do echo addr add 10.5.$((i / 250)).$((i % 250 + 1))/32 dev eth0; done | ip -b "
      "-");
  ns_.must("ip addr del 192.0.2.1/24 dev eth0");
  const auto change = next();
  EXPECT_EQ(2000U, change.added.size());
  EXPECT_THAT(change.removed, ElementsAre(address("192.0.2.1")));
  EXPECT_TRUE(change.network);
  EXPECT_TRUE(monitor_->has(address("10.5.7.250")));
}

}  // namespace
}  // namespace oakgate
