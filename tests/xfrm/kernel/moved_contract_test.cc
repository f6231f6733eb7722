// States of the kernel plane that go on with the numbers of others. The topology is data_plane_contract.h's.

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
  // One datagram between the hosts, not tried again.
  bool passes(Side from) {
    const Side to = from == Side::a ? Side::b : Side::a;
    const UdpSocket receiver(host(to), host_address(to, inner_), 7777);
    send(from, inner_);
    return !receiver.receive(500).empty();
  }
  Family inner_ = Family::ipv4;
};

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
