// What the plane keeps in and out while there is no SA, around IKE, at its end, and after a kill -9.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "tests/xfrm/data_plane_contract.h"

namespace oakgate::test {

using DataPlaneGuard = DataPlaneContract;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

namespace {

std::string kernel_objects(const Namespace& ns) {
  return ns.output(
      "ip xfrm policy list nosock; ip xfrm state; ip route show table all proto 111; ip -6 route show table "
      "all proto "
      "111;"
      "ip rule | grep 111; ip -6 rule | grep 111; nft list table inet oakgate 2>/dev/null;"
      "nft list table inet oakgate-next 2>/dev/null; true");
}

}  // namespace

TEST_F(DataPlaneGuard, PlaintextTravelsWhereNothingIsProtected) {
  EXPECT_TRUE(carries());
  EXPECT_TRUE(carries(Family::ipv6));
  EXPECT_TRUE(leaked()) << "else the tests below would prove nothing";
}

TEST_F(DataPlaneGuard, OutboundWithoutSaIsDroppedAndRaisesAcquire) {
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    Tunnel tunnel;
    tunnel.number = family == Family::ipv4 ? 1 : 2;
    tunnel.outer = tunnel.inner = family;
    tunnel.acquire = true;
    protect(tunnel);
    for (int i = 0; i < 10; ++i) send(Side::a, family);
    EXPECT_TRUE(await([&] { return !a_.heard.acquires.empty(); }));
    EXPECT_THAT(a_.heard.acquires, ElementsAre(tunnel.reqid())) << "one a second at most";
    a_.heard.acquires.clear();
    EXPECT_FALSE(leaked());
    install(tunnel);
    EXPECT_TRUE(carries(family)) << "what waited for an SA does not stand in its way";
    remove(tunnel);
  }
}

TEST_F(DataPlaneGuard, AcquiresAtMostOnceASecond) {
  Tunnel tunnel;
  tunnel.acquire = true;
  protect(tunnel);
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 4; ++i) {
    send(Side::a, Family::ipv4);
    EXPECT_FALSE(await([] { return false; }, 20));
    ++tunnel.generation;
    install(tunnel);  // what the plane remembers of the packet before is settled
    remove(tunnel);
  }
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - start);
  EXPECT_GE(a_.heard.acquires.size(), 1U);
  EXPECT_LE(a_.heard.acquires.size(), 1U + static_cast<std::size_t>(seconds.count()));
}

TEST_F(DataPlaneGuard, ThisHostsOwnTrafficIsProtected) {
  Tunnel tunnel;
  tunnel.acquire = true;
  protect(tunnel);
  const UdpSocket any(a_.ns, IpAddress::any(Family::ipv4), 0);
  static_cast<void>(any.send({host_address(Side::b, Family::ipv4), 7777}, "from the gateway itself"));
  EXPECT_TRUE(await([&] { return !a_.heard.acquires.empty(); }));
  install(tunnel);
  const UdpSocket to(host_b_, host_address(Side::b, Family::ipv4), 7777);
  Endpoint from;
  ASSERT_EQ(0, any.send(to.local(), "from the gateway itself"));
  EXPECT_EQ("from the gateway itself", to.receive(3000, &from));
  EXPECT_EQ(gateway_lan_address(Side::a, Family::ipv4), from.address)
      << "the source address lies in the selector";
}

TEST_F(DataPlaneGuard, NoAcquireUnlessAsked) {
  protect({});
  send(Side::a, Family::ipv4);
  EXPECT_FALSE(await([&] { return !a_.heard.acquires.empty(); }, 300));
  EXPECT_FALSE(leaked());
  install(Tunnel{});
  EXPECT_TRUE(carries());
}

TEST_F(DataPlaneGuard, UnknownPeerAddressDrops) {
  Tunnel tunnel;
  ProtectPolicy policy = tunnel.policy(Side::a);
  policy.remote_gateway.reset();
  ASSERT_TRUE(a_.with_plane([&](DataPlane& p) { return p.protect(policy); }).has_value());
  ASSERT_TRUE(b_.with_plane([&](DataPlane& p) { return p.protect(tunnel.policy(Side::b)); }).has_value());
  send(Side::a, Family::ipv4);
  send(Side::a, Family::ipv4);
  EXPECT_FALSE(await([&] { return false; }, 100));
  EXPECT_FALSE(leaked());
  up(tunnel);
  EXPECT_TRUE(carries());
}

TEST_F(DataPlaneGuard, InboundPlaintextIsDropped) {
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    Tunnel tunnel;
    tunnel.number = family == Family::ipv4 ? 1 : 2;
    tunnel.inner = family;
    ASSERT_TRUE(a_.with_plane([&](DataPlane& p) { return p.protect(tunnel.policy(Side::a)); }).has_value());
    const UdpSocket forwarded(host_a_, host_address(Side::a, family), 7777);
    const UdpSocket to_gateway(a_.ns, gateway_lan_address(Side::a, family), 7777);
    const UdpSocket from(host_b_, host_address(Side::b, family), 0);
    ASSERT_EQ(0, from.send(forwarded.local(), "injected"));
    ASSERT_EQ(0, from.send(to_gateway.local(), "injected"));
    EXPECT_EQ("", forwarded.receive(200));
    EXPECT_EQ("", to_gateway.receive(100));
    ASSERT_TRUE(a_.with_plane([&](DataPlane& p) { return p.unprotect(tunnel.reqid()); }).has_value());
    ASSERT_EQ(0, from.send(forwarded.local(), "in plain again"));
    EXPECT_EQ("in plain again", forwarded.receive()) << "the route of the injection does work";
  }
}

TEST_F(DataPlaneGuard, WithoutSaNothingLeaksAfterRemoval) {
  const Tunnel tunnel;
  up(tunnel);
  ASSERT_TRUE(carries());
  remove(tunnel);
  send(Side::a, Family::ipv4);
  send(Side::b, Family::ipv4);
  const UdpSocket forwarded(host_a_, host_address(Side::a, Family::ipv4), 7777);
  EXPECT_EQ("", forwarded.receive(100));
  EXPECT_FALSE(leaked());
}

// Selectors that hold the gateways themselves: IKE, and the ESP around the protected packets, must get
// through.
TEST_F(DataPlaneGuard, SelectorsThatHoldTheGateways) {
  struct Case {
    Family family;
    const char* left;
    const char* right;
  };
  const Case cases[] = {{Family::ipv4, "192.0.2.1/32", "192.0.2.2/32"},
                        {Family::ipv4, "10.1.0.0/24", "0.0.0.0/0"},
                        {Family::ipv4, "0.0.0.0/0", "10.2.0.0/24"},
                        {Family::ipv6, "2001:db8::1/128", "2001:db8::2/128"},
                        {Family::ipv6, "2001:db8:1::/64", "::/0"}};
  Tunnel tunnel;
  for (const Case& c : cases) {
    ++tunnel.number;
    tunnel.outer = tunnel.inner = c.family;
    tunnel.left = c.left;
    tunnel.right = c.right;
    protect(tunnel);
    {  // before there is any SA, as at the first start

      const UdpSocket at_a(a_.ns, outer_address(Side::a, c.family), 500);
      const UdpSocket at_b(b_.ns, outer_address(Side::b, c.family), 500);
      for (auto [side, socket] : {std::pair(Side::a, &at_a), std::pair(Side::b, &at_b)}) {
        const int fd = socket->fd();
        const auto exempt =
            gateway(side).with_plane([&](DataPlane& p) { return p.exempt_socket(fd, c.family); });
        ASSERT_TRUE(exempt.has_value()) << exempt.error().text;
      }
      for (Gateway* gateway : {&a_, &b_}) {  // Neighbor Discovery and ARP must work, too
        gateway->ns.must("ip neigh flush dev outer nud all; ip -6 neigh flush dev outer nud all");
      }
      ASSERT_EQ(0, at_a.send(at_b.local(), "an ISAKMP message"));
      EXPECT_EQ("an ISAKMP message", at_b.receive()) << c.left << " === " << c.right;
      ASSERT_EQ(0, at_b.send(at_a.local(), "its answer"));
      EXPECT_EQ("its answer", at_a.receive()) << c.left << " === " << c.right;
    }
    install(tunnel);
    if (Subnet::parse(c.right)->is_host()) {
      const UdpSocket at_a(a_.ns, outer_address(Side::a, c.family), 7777);
      const UdpSocket at_b(b_.ns, outer_address(Side::b, c.family), 7777);
      ASSERT_EQ(0, at_a.send(at_b.local(), "protected"));
      EXPECT_EQ("protected", at_b.receive());
    } else {
      EXPECT_TRUE(carries(c.family)) << c.left << " === " << c.right;
      EXPECT_FALSE(leaked()) << c.left << " === " << c.right;
    }
    EXPECT_GE(counters(Side::b, tunnel.inbound(Side::b)).packets, 1U) << c.left << " === " << c.right;
    remove(tunnel);
    for (const Side side : {Side::a, Side::b}) {
      ASSERT_TRUE(
          gateway(side).with_plane([&](DataPlane& p) { return p.unprotect(tunnel.reqid()); }).has_value());
    }
  }
}

TEST_F(DataPlaneGuard, RemoteEverythingLeavesTheLanAlone) {
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    Tunnel tunnel;
    tunnel.number = family == Family::ipv4 ? 1 : 2;
    tunnel.inner = family;
    tunnel.right = family == Family::ipv4 ? "0.0.0.0/0" : "::/0";
    protect(tunnel);
    const UdpSocket at_gateway(a_.ns, gateway_lan_address(Side::a, family), 7777);
    const UdpSocket at_host(host_a_, host_address(Side::a, family), 7777);
    ASSERT_EQ(0, at_host.send(at_gateway.local(), "to the gateway"));
    EXPECT_EQ("to the gateway", at_gateway.receive());
    ASSERT_EQ(0, at_gateway.send(at_host.local(), "to the LAN"));
    EXPECT_EQ("to the LAN", at_host.receive());
  }
}

TEST_F(DataPlaneGuard, ReplacingAPolicyKeepsItGuarded) {
  Tunnel tunnel;
  up(tunnel);
  ASSERT_TRUE(carries());
  ProtectPolicy moved = tunnel.policy(Side::a);
  moved.remote_gateway = IpAddress::parse("192.0.2.77");
  ASSERT_TRUE(a_.with_plane([&](DataPlane& p) { return p.protect(moved); }).has_value());
  send(Side::a, Family::ipv4);
  EXPECT_FALSE(await([&] { return false; }, 50));
  EXPECT_FALSE(leaked());
  up(Tunnel{.number = 1, .generation = 2});
  EXPECT_TRUE(carries());
  EXPECT_FALSE(leaked());
}

TEST_F(DataPlaneGuard, FragmentsDoNotSlipPastAPortSelector) {
  Tunnel tunnel;
  tunnel.protocol = 17;
  tunnel.right_port = 7777;
  Tunnel another = tunnel;
  another.number = 2;
  another.right_port = 7778;
  for (const Tunnel& one : {tunnel, another}) {
    const auto done = a_.with_plane([&](DataPlane& p) { return p.protect(one.policy(Side::a)); });
    ASSERT_TRUE(done.has_value()) << done.error().text;
  }
  const UdpSocket from(host_a_, host_address(Side::a, Family::ipv4), 0);
  const UdpSocket to(host_b_, host_address(Side::b, Family::ipv4), 7777);
  ASSERT_EQ(0, from.send(to.local(), std::string(3000, 'x')));
  EXPECT_TRUE(to.receive(100).empty());
  const auto frames = on_wire();
  EXPECT_FALSE(
      std::any_of(frames.begin(), frames.end(), [](const Bytes& frame) { return frame.size() > 1000; }));
}

TEST_F(DataPlaneGuard, OnePairOfSelectorsOneTunnel) {
  const Tunnel tunnel;
  Tunnel twin;
  twin.number = 2;
  up(tunnel);
  const auto refused = a_.with_plane([&](DataPlane& p) { return p.protect(twin.policy(Side::a)); });
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(ErrorCode::in_use, refused.error().code);
  EXPECT_TRUE(carries());
}

TEST_F(DataPlaneGuard, ShutDownLeavesNothing) {
  const std::string before = kernel_objects(a_.ns);
  EXPECT_EQ("", before);
  Tunnel tunnel;
  up(tunnel);
  tunnel.number = 2;
  tunnel.inner = Family::ipv6;
  tunnel.right = "::/0";
  up(tunnel);
  EXPECT_NE("", kernel_objects(a_.ns));
  a_.with_plane([](DataPlane& p) { p.shut_down(); });
  EXPECT_EQ("", kernel_objects(a_.ns));
  a_.plane.reset();
  b_.plane.reset();
}

// A process of its own makes the plane and dies without a word, as by kill -9.
TEST_F(DataPlaneGuard, NothingLeaksAfterAKillAndTheNextStartTakesOver) {
  a_.plane.reset();
  Tunnel tunnel;
  tunnel.acquire = true;
  Tunnel dropped_from_configuration;
  dropped_from_configuration.number = 2;
  dropped_from_configuration.right = "10.3.0.0/24";
  const pid_t child = fork();
  if (child == 0) {
    const bool done = a_.ns.enter([&] {
      auto made = make_plane();
      return made && (*made)->protect(tunnel.policy(Side::a)) &&
             (*made)->protect(dropped_from_configuration.policy(Side::a)) &&
             (*made)->install(tunnel.sas(Side::a)) && (made->release(), true);
    });
    _exit(done ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(child, waitpid(child, &status, 0));
  ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  send(Side::a, Family::ipv4);
  const UdpSocket injector(host_b_, host_address(Side::b, Family::ipv4), 0);
  const UdpSocket victim(host_a_, host_address(Side::a, Family::ipv4), 7778);
  ASSERT_EQ(0, injector.send(victim.local(), "injected"));
  EXPECT_EQ("", victim.receive(100));
  EXPECT_FALSE(leaked());

  auto made = a_.ns.enter([] { return make_plane(); });
  ASSERT_TRUE(made.has_value()) << made.error().text;
  a_.plane = std::move(*made);
  ASSERT_EQ(0, injector.send(victim.local(), "injected"));
  EXPECT_EQ("", victim.receive(100)) << "guarded before protect() is called again";
  tunnel.generation = 2;
  up(tunnel);
  EXPECT_TRUE(await([&] { return kernel_objects(a_.ns).find("10.3.0.0/24") == std::string::npos; }))
      << "what nobody claimed goes when the loop runs\n"
      << kernel_objects(a_.ns);
  EXPECT_TRUE(carries());
  EXPECT_FALSE(leaked());
  a_.with_plane([](DataPlane& p) { p.shut_down(); });
  EXPECT_EQ("", kernel_objects(a_.ns));
}

TEST_F(DataPlaneGuard, AddressesAndLinksThatComeAndGo) {
  Tunnel tunnel;
  up(tunnel);
  ASSERT_TRUE(carries());
  a_.ns.must("ip addr del 10.1.0.1/24 dev lan && ip link set outer down");
  EXPECT_FALSE(await([] { return false; }, 50));
  send(Side::a, Family::ipv4);
  a_.ns.must(
      "ip link set outer up && ip addr add 10.1.0.1/24 dev lan &&"
      "ip addr replace 192.0.2.1/24 dev outer && ip route replace 10.2.0.0/24 via 192.0.2.2");
  EXPECT_TRUE(await([&] {
    return a_.ns.output("ip route get 10.2.0.10").find("src 10.1.0.1") != std::string::npos;
  })) << a_.ns.output("ip rule; ip route show table all; ip route get 10.2.0.10");
  EXPECT_TRUE(carries());
  EXPECT_FALSE(leaked());
}

}  // namespace oakgate::test
