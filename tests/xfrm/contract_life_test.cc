// The life of SAs in the plane: all or none, names in use, limits, removal.

#include <gmock/gmock.h>

#include "tests/xfrm/data_plane_contract.h"

namespace oakgate::test {

using DataPlaneLife = DataPlaneContract;
using ::testing::Contains;

TEST_F(DataPlaneLife, HasANameAndADescriptor) {
  EXPECT_TRUE(a_.plane->name() == "kernel" || a_.plane->name() == "software");
  EXPECT_GE(a_.plane->fd(), 0);
  a_.dispatch();  // with nothing to do it returns
  EXPECT_TRUE(a_.heard.warnings.empty()) << a_.heard.warnings.front();
}

TEST_F(DataPlaneLife, AnSaThatIsThereIsInUse) {
  const Tunnel tunnel;
  up(tunnel);
  const auto again = install(Side::a, tunnel);
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(ErrorCode::in_use, again.error().code);
  EXPECT_TRUE(carries()) << "the first is as it was";
}

TEST_F(DataPlaneLife, InstallsAllOrNone) {
  Tunnel tunnel;
  up(tunnel);
  Tunnel next = tunnel;
  next.generation = 2;
  std::vector<SaSpec> batch = next.sas(Side::a);
  std::vector<SaSpec> taken = tunnel.sas(Side::a);
  batch.push_back(std::move(taken.front()));
  const auto refused = a_.with_plane([&](DataPlane& p) { return p.install(batch); });
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(ErrorCode::in_use, refused.error().code);
  const auto again = install(Side::a, next);
  EXPECT_TRUE(again.has_value()) << "nothing of the refused batch stayed: " << again.error().text;
  ASSERT_TRUE(install(Side::b, next).has_value());
  EXPECT_TRUE(carries());
}

TEST_F(DataPlaneLife, RemovingWhatIsNotThereIsNoError) {
  const Tunnel tunnel;
  protect(tunnel);
  remove(tunnel);
  install(tunnel);
  remove(tunnel);
  remove(tunnel);
  EXPECT_EQ(0U, counters(Side::a, tunnel.inbound(Side::a)).packets);
}

TEST_F(DataPlaneLife, UnprotectingWhatIsNotThereIsAnError) {
  const auto refused = a_.with_plane([](DataPlane& p) { return p.unprotect(Reqid{kReqidBase + 99}); });
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(ErrorCode::not_found, refused.error().code);
}

TEST_F(DataPlaneLife, HardTimeEndsAnSa) {
  Tunnel tunnel;
  tunnel.hard_time = Seconds(1);
  up(tunnel);
  ASSERT_TRUE(carries());
  EXPECT_TRUE(await([&] { return a_.heard.expired.size() == 2 && b_.heard.expired.size() == 2; }, 10000));
  EXPECT_THAT(a_.heard.expired, Contains(tunnel.inbound(Side::a)));
  EXPECT_THAT(a_.heard.expired, Contains(tunnel.outbound(Side::a)));
  send(Side::a, Family::ipv4);
  EXPECT_FALSE(leaked());
  tunnel.hard_time = Seconds(0);
  install(tunnel);  // the name is free again
  EXPECT_TRUE(carries());
}

TEST_F(DataPlaneLife, HardBytesEndAnSa) {
  Tunnel tunnel;
  tunnel.hard_kilobytes = Kilobytes{2};
  up(tunnel);
  const UdpSocket from(host_a_, host_address(Side::a, Family::ipv4), 0);
  const UdpSocket to(host_b_, host_address(Side::b, Family::ipv4), 7777);
  int arrived = 0;
  for (int i = 0; i < 8; ++i) {
    ASSERT_EQ(0, from.send(to.local(), std::string(500, 'x')));
    if (!to.receive(300).empty()) ++arrived;
  }
  EXPECT_GE(arrived, 2);
  EXPECT_LE(arrived, 4) << "of 2 KB, in packets of 528 bytes";
  EXPECT_TRUE(await([&] { return !a_.heard.expired.empty(); }));
  EXPECT_THAT(a_.heard.expired, Contains(tunnel.outbound(Side::a)));
  // Nothing that was carried is lost to the counts.
  ASSERT_EQ(a_.heard.last_counts.size(), 1U);
  EXPECT_EQ(a_.heard.last_counts[0].id, tunnel.outbound(Side::a));
  EXPECT_GE(a_.heard.last_counts[0].packets, static_cast<std::uint64_t>(arrived));
  EXPECT_LE(a_.heard.last_counts[0].packets, static_cast<std::uint64_t>(arrived) + 1);
  EXPECT_EQ(a_.heard.last_counts[0].bytes, a_.heard.last_counts[0].packets * 528);
  EXPECT_FALSE(leaked());
}

TEST_F(DataPlaneLife, PacketsEndAnSaAndTheSoftLimitSaysSoBefore) {
  for (const bool esn : {false, true}) {
    Tunnel tunnel;
    tunnel.number = esn ? 2 : 1;
    tunnel.esn = esn;
    tunnel.soft_packets = 3;
    tunnel.hard_packets = 5;
    up(tunnel);
    const UdpSocket from(host_a_, host_address(Side::a, Family::ipv4), 0);
    const UdpSocket to(host_b_, host_address(Side::b, Family::ipv4), 7777);
    const auto arrives = [&] { return from.send(to.local(), "x") == 0 && !to.receive(500).empty(); };
    for (int i = 0; i < 5; ++i) EXPECT_TRUE(arrives()) << i;
    EXPECT_TRUE(await([&] { return !a_.heard.soft_limits.empty() && !b_.heard.soft_limits.empty(); }));
    EXPECT_THAT(a_.heard.soft_limits, ::testing::ElementsAre(tunnel.outbound(Side::a)));
    EXPECT_THAT(b_.heard.soft_limits, ::testing::ElementsAre(tunnel.inbound(Side::b)));
    EXPECT_TRUE(a_.heard.expired.empty());
    EXPECT_FALSE(arrives());
    EXPECT_TRUE(await([&] { return !a_.heard.expired.empty(); }));
    EXPECT_THAT(a_.heard.expired, ::testing::ElementsAre(tunnel.outbound(Side::a)));
    EXPECT_EQ(a_.heard.last_counts.at(0).packets, 5U);
    EXPECT_FALSE(leaked());
    remove(tunnel);
    unprotect(tunnel);
    for (Gateway* one : {&a_, &b_}) one->heard = {};
  }
}

TEST_F(DataPlaneLife, SoftBytesAreToldOnceAndTheSaGoesOn) {
  Tunnel tunnel;
  tunnel.soft_kilobytes = Kilobytes{1};
  up(tunnel);
  const UdpSocket from(host_a_, host_address(Side::a, Family::ipv4), 0);
  const UdpSocket to(host_b_, host_address(Side::b, Family::ipv4), 7777);
  for (int i = 0; i < 8; ++i) {
    ASSERT_EQ(0, from.send(to.local(), std::string(500, 'x')));
    EXPECT_FALSE(to.receive().empty());
  }
  EXPECT_TRUE(await([&] { return !a_.heard.soft_limits.empty() && !b_.heard.soft_limits.empty(); }));
  EXPECT_FALSE(await([] { return false; }, 50));
  EXPECT_THAT(a_.heard.soft_limits, ::testing::ElementsAre(tunnel.outbound(Side::a)));
  EXPECT_THAT(b_.heard.soft_limits, ::testing::ElementsAre(tunnel.inbound(Side::b)));
  EXPECT_TRUE(a_.heard.expired.empty());
}

}  // namespace oakgate::test
