// Marks, interfaces and offload on the kernel plane. The topology is data_plane_contract.h's; traffic is the
// gateways' own, from their LAN sides, for a socket can say its mark.

#include <sys/socket.h>

#include "tests/xfrm/data_plane_contract.h"

namespace oakgate::test {

namespace {

constexpr std::uint16_t kPort = 7790;

Tunnel marked(std::uint32_t number, std::uint32_t mark) {
  Tunnel tunnel;
  tunnel.number = number;
  tunnel.ties.mark = {mark, 0xff};
  return tunnel;
}

}  // namespace

class KernelPlaneTies : public DataPlaneContract {
 protected:
  // Whether a datagram with the mark gets from gateway to gateway.
  bool passes(Side from, std::uint32_t mark, int patience_ms = 3000) {
    const Side to = from == Side::a ? Side::b : Side::a;
    const UdpSocket sender(gateway(from).ns, gateway_lan_address(from, Family::ipv4), kPort);
    const UdpSocket receiver(gateway(to).ns, gateway_lan_address(to, Family::ipv4), kPort);
    EXPECT_EQ(0, setsockopt(sender.fd(), SOL_SOCKET, SO_MARK, &mark, sizeof(mark)));
    static_cast<void>(sender.send(receiver.local(), "marked"));
    return receiver.receive(patience_ms) == "marked";
  }
  std::uint64_t packets(Side side, const SaId& id) { return counters(side, id).packets; }
};

TEST_F(KernelPlaneTies, TheMarkChoosesAmongTunnelsOfTheSameSelectors) {
  const Tunnel one = marked(1, 1);
  const Tunnel two = marked(2, 2);
  up(one);
  up(two);
  for (const Side from : {Side::a, Side::b}) {
    const Side to = from == Side::a ? Side::b : Side::a;
    EXPECT_TRUE(passes(from, 1));
    EXPECT_EQ(1U, packets(to, one.inbound(to)));
    EXPECT_EQ(0U, packets(to, two.inbound(to)));
    EXPECT_TRUE(passes(from, 2));
    EXPECT_TRUE(passes(from, 0x102)) << "what the mask leaves out does not count";
    EXPECT_EQ(1U, packets(to, one.inbound(to)));
    EXPECT_EQ(2U, packets(to, two.inbound(to)));
    EXPECT_EQ(2U, counters(from, two.outbound(from)).sequence);
    EXPECT_EQ(2U, counters(to, two.inbound(to)).sequence);
  }
}

TEST_F(KernelPlaneTies, AMarkedTunnelThatIsDownLetsNothingOut) {
  const Tunnel tunnel = marked(1, 1);
  protect(tunnel);
  EXPECT_FALSE(passes(Side::a, 1, 300));
  EXPECT_TRUE(passes(Side::a, 0)) << "what has no mark is none of the tunnel's";
  install(tunnel);
  EXPECT_TRUE(passes(Side::a, 1));
  remove(tunnel);
  EXPECT_EQ("0\n", gateway(Side::a).ns.output("ip xfrm state | grep -c '^src' || true"));
  EXPECT_FALSE(passes(Side::a, 1, 300));
  unprotect(tunnel);
  EXPECT_EQ("", gateway(Side::a).ns.output("ip xfrm policy list | grep 'mark 0x1' || true"));
}

TEST_F(KernelPlaneTies, AnotherMarkTakesThePlaceOfTheOld) {
  Tunnel tunnel = marked(1, 1);
  protect(tunnel);
  tunnel.ties.mark = {2, 0xff};
  protect(tunnel);
  EXPECT_EQ("", gateway(Side::a).ns.output("ip xfrm policy list | grep 'mark 0x1' || true"));
  install(tunnel);
  EXPECT_TRUE(passes(Side::a, 2));
}

// User-mode Linux has no such devices: the refusal says so, and the pair is guarded all the same.
TEST_F(KernelPlaneTies, WithoutXfrmDevicesAnInterfaceIsRefusedInWords) {
  Tunnel tunnel;
  tunnel.ties.interface = TunnelInterface{.name = "ipsec7", .if_id = 7};
  const auto refused =
      gateway(Side::a).with_plane([&](DataPlane& plane) { return plane.protect(tunnel.policy(Side::a)); });
  if (refused) {
    EXPECT_EQ(0, gateway(Side::a).ns.sh("ip -d link show ipsec7 | grep -q 'xfrm if_id 0x7'"));
  } else {
    EXPECT_EQ(ErrorCode::unsupported, refused.error().code);
    EXPECT_NE(std::string::npos, refused.error().expected.find("CONFIG_XFRM_INTERFACE"));
  }
  EXPECT_EQ("3\n", gateway(Side::a).ns.output("ip xfrm policy list | grep -c 'if_id 0x7'"));
  gateway(Side::a).with_plane([](DataPlane& plane) { plane.shut_down(); });
  EXPECT_EQ(1, gateway(Side::a).ns.sh("ip link show ipsec7 2>/dev/null"));
  EXPECT_EQ("", gateway(Side::a).ns.output("ip xfrm policy list | grep if_id || true"));
}

TEST_F(KernelPlaneTies, WithoutOffloadItIsToldAndWorks) {
  Tunnel tunnel;
  tunnel.ties.offload = Offload::crypto;
  up(tunnel);
  EXPECT_TRUE(await([&] { return gateway(Side::a).heard.warnings.size() == 1; }));
  EXPECT_NE(std::string::npos, gateway(Side::a).heard.warnings.front().find("is not offloaded"));
  EXPECT_TRUE(carries());
  tunnel.number = 2;
  tunnel.left = "10.1.7.0/24";
  tunnel.ties.offload_device = "no-such-device";
  const auto refused = install(Side::a, tunnel);
  ASSERT_FALSE(refused);
  EXPECT_EQ("there is no device no-such-device to offload to", refused.error().text);
}

}  // namespace oakgate::test
