// SAs of the kernel plane that go on elsewhere: the peer's NAT has given it another port, or a state was made
// anew and goes on with the numbers of the old one. The topology is data_plane_contract.h's.

#include <array>
#include <tuple>

#include "tests/xfrm/data_plane_contract.h"
#include "xfrm/netlink/replay_state.h"

namespace oakgate::test {

class KernelPlaneMoved : public DataPlaneContract {
 protected:
  template <typename Body>
  auto with_xfrm(Side side, Body body) {
    return gateway(side).ns.enter([&] {
      auto xfrm = NetlinkSocket::open(NetlinkFamily::xfrm).value();
      return body(xfrm);
    });
  }
  ReplayState replay_state(Side side, const SaId& id) {
    return with_xfrm(side, [&](NetlinkSocket& xfrm) { return read_replay_state(xfrm, id).value(); });
  }
  void set(Side side, const SaId& id, const ReplayState& state) {
    const auto done = with_xfrm(side, [&](NetlinkSocket& xfrm) { return set_replay_state(xfrm, id, state); });
    EXPECT_TRUE(done.has_value()) << done.error().text;
  }
  void change(Side side, std::vector<SaSpec> sas) {
    const auto done = gateway(side).with_plane([&](DataPlane& plane) { return plane.install(sas); });
    ASSERT_TRUE(done.has_value()) << done.error().text;
  }
  // One datagram between the hosts, not tried again.
  bool passes(Side from) {
    const Side to = from == Side::a ? Side::b : Side::a;
    const UdpSocket receiver(host(to), host_address(to, inner_), 7777);
    send(from, inner_);
    return !receiver.receive(500).empty();
  }
  UdpSocket encapsulation_socket_at(Side side, Family outer, std::uint16_t port) {
    UdpSocket socket(gateway(side).ns, outer_address(side, outer), port);
    gateway(side).with_plane([&](DataPlane& plane) {
      EXPECT_TRUE(plane.exempt_socket(socket.fd(), outer).has_value());
      EXPECT_TRUE(plane.attach_encapsulation_socket(socket.fd(), socket.local(), false).has_value());
    });
    return socket;
  }
  // As the NAT of gateway a would have it: its packets leave from `port`, in SAs with the old ones' numbers.
  void translate(const Tunnel& tunnel, std::uint16_t port) {
    const std::array ids{tunnel.inbound(Side::a), tunnel.outbound(Side::a)};
    const std::array before{replay_state(Side::a, ids[0]), replay_state(Side::a, ids[1])};
    ASSERT_TRUE(a_.with_plane([&](DataPlane& plane) { return plane.remove(ids); }).has_value());
    change(Side::a, tunnel_at(tunnel, port));
    for (std::size_t i = 0; i < ids.size(); ++i) set(Side::a, ids[i], before[i]);
  }
  std::vector<SaSpec> tunnel_at(const Tunnel& tunnel, std::uint16_t port) {
    std::vector<SaSpec> sas = tunnel.sas(Side::a);
    for (SaSpec& sa : sas) sa.encapsulation->local_port = port;
    return sas;
  }
  bool told(std::uint16_t port) {
    return await([&] { return !b_.heard.moved.empty() && b_.heard.moved.back().second.port == port; });
  }

  Family inner_ = Family::ipv4;
};

// RFC 3948 section 4.
TEST_F(KernelPlaneMoved, ThePeersPortIsFollowedInPlace) {
  for (const Family outer : {Family::ipv4, Family::ipv6}) {
    for (const bool esn : {false, true}) {
      b_.heard.moved.clear();
      Tunnel tunnel;
      tunnel.outer = outer;
      tunnel.udp = true;
      tunnel.esn = esn;
      tunnel.number = (outer == Family::ipv4 ? 1U : 2U) + (esn ? 2U : 0U);
      const UdpSocket at_b = encapsulation_socket_at(Side::b, outer, 4500);
      const UdpSocket first = encapsulation_socket_at(Side::a, outer, 4711);
      const UdpSocket second = encapsulation_socket_at(Side::a, outer, 4800);
      protect(tunnel);
      change(Side::a, tunnel_at(tunnel, 4711));
      std::vector<SaSpec> sas = tunnel.sas(Side::b);
      for (SaSpec& sa : sas) sa.encapsulation->remote_port = 4711;
      change(Side::b, std::move(sas));
      ASSERT_TRUE(passes(Side::a) && passes(Side::b));
      EXPECT_TRUE(b_.heard.moved.empty());

      translate(tunnel, 4800);
      ASSERT_TRUE(passes(Side::a));
      ASSERT_TRUE(told(4800));
      std::ignore = on_wire();
      EXPECT_TRUE(passes(Side::b)) << "it goes to the new port";
      EXPECT_TRUE(passes(Side::a));
      EXPECT_TRUE(passes(Side::b));
      EXPECT_EQ(3U, counters(Side::b, tunnel.outbound(Side::b)).sequence) << "the numbers go on";
      EXPECT_EQ(3U, counters(Side::b, tunnel.outbound(Side::b)).packets) << "and the counts";
      EXPECT_EQ(3U, counters(Side::b, tunnel.inbound(Side::b)).sequence);

      // What was seen stays seen.
      const std::vector<Bytes> frames = on_wire();
      const Sniffer injector(a_.ns, "outer");
      for (const Bytes& frame : frames) injector.inject(frame);
      EXPECT_TRUE(await([&] { return counters(Side::b, tunnel.inbound(Side::b)).replayed == 1; }));
      EXPECT_EQ(3U, counters(Side::b, tunnel.inbound(Side::b)).packets);

      // The translation as it was: the kernel has to tell of that, too.
      translate(tunnel, 4711);
      ASSERT_TRUE(passes(Side::a));
      ASSERT_TRUE(told(4711));
      EXPECT_TRUE(passes(Side::b));
      EXPECT_FALSE(leaked());
      EXPECT_TRUE(b_.heard.warnings.empty()) << b_.heard.warnings.front();
      remove(tunnel);
      unprotect(tunnel);
      for (const UdpSocket* socket : {&first, &second})
        a_.with_plane([&](DataPlane& plane) { plane.detach_encapsulation_socket(socket->fd()); });
      b_.with_plane([&](DataPlane& plane) { plane.detach_encapsulation_socket(at_b.fd()); });
    }
  }
}

TEST_F(KernelPlaneMoved, SequenceNumbersAreReadAndSet) {
  for (const std::uint16_t window : {32, 64, 1024}) {
    for (const bool esn : {false, true}) {
      Tunnel tunnel;
      tunnel.number = window + (esn ? 1U : 0U);
      tunnel.replay_window = window;
      tunnel.esn = esn;
      up(tunnel);
      ASSERT_TRUE(passes(Side::a));
      const SaId sends = tunnel.outbound(Side::a);
      const SaId takes = tunnel.inbound(Side::b);
      ReplayState out = replay_state(Side::a, sends);
      EXPECT_EQ(1U, out.sent);
      ASSERT_TRUE(out.used.has_value());
      EXPECT_EQ(1U, out.used->packets);
      EXPECT_NE(0U, out.used->added);
      ReplayState in = replay_state(Side::b, takes);
      EXPECT_EQ(1U, in.received);
      EXPECT_EQ(esn || window > 32 ? window : 0U, in.window);

      out.sent = (esn ? 0x1'0000'0000 : 0) + 1000;
      out.used->packets = 500;
      set(Side::a, sends, out);
      EXPECT_EQ(out, replay_state(Side::a, sends));
      EXPECT_EQ(out.sent, counters(Side::a, sends).sequence);
      EXPECT_EQ(500U, counters(Side::a, sends).packets);
      EXPECT_EQ(0, a_.ns.sh("ip -s xfrm state | grep -qi 'oseq.0x3e8'"));
      in.received = out.sent - 5;
      set(Side::b, takes, in);
      ASSERT_TRUE(passes(Side::a)) << window << esn;
      EXPECT_EQ(out.sent + 1, counters(Side::b, takes).sequence);

      // Of numbers that the window has left behind nothing is taken.
      in = replay_state(Side::b, takes);
      in.received += 5000;
      set(Side::b, takes, in);
      // (With ESN it is taken for one of the next 2^32, whose tag is another: RFC 4303 appendix A2.2.)
      EXPECT_FALSE(passes(Side::a));
      if (!esn) {
        EXPECT_EQ(1U, counters(Side::b, takes).replayed);
      }
      EXPECT_FALSE(leaked());
      remove(tunnel);
      unprotect(tunnel);
    }
  }
}

TEST_F(KernelPlaneMoved, AWindowOfAnotherSizeIsRefused) {
  Tunnel tunnel;
  tunnel.replay_window = 64;
  up(tunnel);
  ReplayState in = replay_state(Side::b, tunnel.inbound(Side::b));
  in.window = 1024;
  in.seen.clear();
  const auto done = with_xfrm(
      Side::b, [&](NetlinkSocket& xfrm) { return set_replay_state(xfrm, tunnel.inbound(Side::b), in); });
  ASSERT_FALSE(done.has_value());
  EXPECT_EQ(64U, replay_state(Side::b, tunnel.inbound(Side::b)).window);
  EXPECT_TRUE(passes(Side::a));
}

}  // namespace oakgate::test
