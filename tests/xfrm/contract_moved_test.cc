// SAs that go on where a NAT has put their peer: RFC 3948 section 4. Gateway a is the one that moves: it has
// two more addresses on the wire, and its SAs are made anew there with the numbers they had.

#include <gmock/gmock.h>

#include <array>
#include <optional>

#include "tests/xfrm/data_plane_contract.h"

namespace oakgate::test {

namespace {

IpAddress elsewhere(Family family) {
  return *IpAddress::parse(family == Family::ipv4 ? "192.0.2.77" : "2001:db8::77");
}

// A frame of a veth may wait for its UDP checksum, which an injected one gets from nobody.
Bytes with_udp_checksum(Bytes frame) {
  constexpr std::size_t kEthernet = 14;
  const bool v4 = frame.size() > kEthernet + 28 && frame[12] == 0x08 && frame[13] == 0x00 && frame[23] == 17;
  const bool v6 = frame.size() > kEthernet + 48 && frame[12] == 0x86 && frame[13] == 0xdd && frame[20] == 17;
  if (!v4 && !v6) return frame;
  const std::size_t udp = kEthernet + (v4 ? 20 : 40);
  frame[udp + 6] = frame[udp + 7] = 0;
  if (v4) return frame;  // RFC 768: none
  // RFC 8200 section 8.1: addresses, length and protocol, and the datagram.
  const std::size_t size = std::size_t{frame[udp + 4]} * 256 + frame[udp + 5];
  std::uint32_t sum = static_cast<std::uint32_t>(size) + 17;
  for (std::size_t at = kEthernet + 8; at < std::min(frame.size(), udp + size); ++at)
    sum += (at - udp) % 2 == 0 ? frame[at] * 256U : frame[at];
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  frame[udp + 6] = static_cast<std::uint8_t>(~sum >> 8);
  frame[udp + 7] = static_cast<std::uint8_t>(~sum);
  return frame;
}

}  // namespace

class DataPlaneMoved : public DataPlaneContract {
 protected:
  DataPlaneMoved() {
    a_.ns.must("ip addr add 192.0.2.77/24 dev outer; ip addr add 2001:db8::77/64 dev outer nodad");
  }
  // One datagram between the hosts, not tried again.
  bool passes(Side from) {
    const Side to = from == Side::a ? Side::b : Side::a;
    const UdpSocket receiver(host(to), host_address(to, Family::ipv4), 7777);
    send(from, Family::ipv4);
    return !receiver.receive(500).empty();
  }
  UdpSocket encapsulation_socket_at(Side side, const Endpoint& place) {
    UdpSocket socket(gateway(side).ns, place.address, place.port);
    gateway(side).with_plane([&](DataPlane& plane) {
      EXPECT_TRUE(plane.exempt_socket(socket.fd(), place.address.family()).has_value());
      EXPECT_TRUE(plane.attach_encapsulation_socket(socket.fd(), socket.local(), false).has_value());
    });
    return socket;
  }
  // One side's SAs, with gateway a at `place`.
  static std::vector<SaSpec> sas_with(const Tunnel& tunnel, Side side, const Endpoint& place) {
    std::vector<SaSpec> sas = tunnel.sas(side);
    for (SaSpec& sa : sas) {
      const bool to_a = (side == Side::a) == (sa.direction == Direction::in);
      (to_a ? sa.id.destination : sa.source) = place.address;
      if (sa.encapsulation)
        (side == Side::a ? sa.encapsulation->local_port : sa.encapsulation->remote_port) = place.port;
    }
    return sas;
  }
  static std::vector<SaId> ids(const std::vector<SaSpec>& sas) {
    std::vector<SaId> found;
    for (const SaSpec& sa : sas) found.push_back(sa.id);
    return found;
  }
  void guard(const Tunnel& tunnel, Side side, const Endpoint& place) {
    ProtectPolicy policy = tunnel.policy(side);
    (side == Side::a ? policy.local_gateway : *policy.remote_gateway) = place.address;
    const auto done = gateway(side).with_plane([&](DataPlane& plane) { return plane.protect(policy); });
    ASSERT_TRUE(done.has_value()) << done.error().text;
  }
  void begin(const Tunnel& tunnel, Side side, const Endpoint& place) {
    guard(tunnel, side, place);
    const std::vector<SaSpec> sas = sas_with(tunnel, side, place);
    const auto done = gateway(side).with_plane([&](DataPlane& plane) { return plane.install(sas); });
    ASSERT_TRUE(done.has_value()) << done.error().text;
  }
  // As its NAT would have it: gateway a is somewhere else, and its SAs know nothing of that.
  void translate(const Tunnel& tunnel, const Endpoint& from, const Endpoint& to) {
    const std::vector<SaId> old = ids(sas_with(tunnel, Side::a, from));
    std::vector<SaSpec> anew = sas_with(tunnel, Side::a, to);
    for (std::size_t i = 0; i < old.size(); ++i) anew[i].last_sequence = counters(Side::a, old[i]).sequence;
    guard(tunnel, Side::a, to);
    const auto done = a_.with_plane([&](DataPlane& plane) {
      const auto removed = plane.remove(old);
      return removed ? plane.install(anew) : removed;
    });
    ASSERT_TRUE(done.has_value()) << done.error().text;
  }
  Result<void> follow(const Tunnel& tunnel, const Endpoint& from, const Endpoint& to) {
    guard(tunnel, Side::b, to);
    std::vector<SaMove> moves;
    for (const SaId& id : ids(sas_with(tunnel, Side::b, from))) moves.push_back({id, to});
    return b_.with_plane([&](DataPlane& plane) { return plane.move(moves); });
  }
  bool told(const Endpoint& place) {
    return await([&] { return !b_.heard.moved.empty() && b_.heard.moved.back().second == place; });
  }
  // The SA that gateway b sends with.
  static SaId sends(const Tunnel& tunnel, const Endpoint& place) {
    return {place.address, tunnel.carrier(), tunnel.outbound(Side::b).spi};
  }
  void replay(const std::vector<Bytes>& frames) {
    const Sniffer injector(a_.ns, "outer");
    for (const Bytes& frame : frames) injector.inject(with_udp_checksum(frame));
  }
};

TEST_F(DataPlaneMoved, ThePeerIsFollowedWithNumbersWindowAndCounts) {
  std::uint32_t number = 0;
  for (const Family outer : {Family::ipv4, Family::ipv6}) {
    const Endpoint home{outer_address(Side::a, outer), 4711};
    // Another port, another address, and back.
    const std::array places{Endpoint{home.address, 4800}, Endpoint{elsewhere(outer), 4900}, home};
    for (const bool esn : {false, true}) {
      Tunnel tunnel;
      tunnel.outer = outer;
      tunnel.udp = true;
      tunnel.esn = esn;
      tunnel.number = ++number;
      std::vector<UdpSocket> sockets;
      for (const Endpoint& place : places) sockets.push_back(encapsulation_socket_at(Side::a, place));
      const UdpSocket at_b = encapsulation_socket_at(Side::b, {outer_address(Side::b, outer), 4500});
      begin(tunnel, Side::a, home);
      begin(tunnel, Side::b, home);
      ASSERT_TRUE(passes(Side::a) && passes(Side::b));
      EXPECT_TRUE(b_.heard.moved.empty());
      std::uint64_t packets = 1;
      Endpoint from = home;
      for (const Endpoint& to : places) {
        SCOPED_TRACE(to.to_string() + (esn ? " esn" : ""));
        std::ignore = on_wire();
        const std::uint64_t sent_before = counters(Side::b, sends(tunnel, from)).sequence;
        translate(tunnel, from, to);
        ASSERT_TRUE(passes(Side::a)) << "it is carried before anybody has followed";
        ASSERT_TRUE(told(to));
        const std::vector<Bytes> seen = on_wire();
        const auto moved = follow(tunnel, from, to);
        ASSERT_TRUE(moved.has_value()) << moved.error().text;
        EXPECT_TRUE(passes(Side::b)) << "it goes to the new place";
        EXPECT_TRUE(passes(Side::a));
        packets += 1;
        const SaCounters out = counters(Side::b, sends(tunnel, to));
        EXPECT_EQ(packets, out.packets);
        EXPECT_GT(out.sequence, sent_before) << "the numbers go on";
        EXPECT_EQ(2 * packets - 1, counters(Side::b, tunnel.inbound(Side::b)).packets);
        if (to.address != from.address) {
          EXPECT_EQ(0U, counters(Side::b, sends(tunnel, from)).packets) << "under its new name alone";
        }
        // What was seen stays seen.
        const std::uint64_t before = counters(Side::b, tunnel.inbound(Side::b)).replayed;
        replay(seen);
        EXPECT_TRUE(await([&] { return counters(Side::b, tunnel.inbound(Side::b)).replayed > before; }));
        EXPECT_EQ(2 * packets - 1, counters(Side::b, tunnel.inbound(Side::b)).packets);
        from = to;
      }
      EXPECT_FALSE(leaked());
      EXPECT_TRUE(b_.heard.warnings.empty()) << b_.heard.warnings.front();
      remove(tunnel);
      unprotect(tunnel);
      for (const UdpSocket& socket : sockets)
        a_.with_plane([&](DataPlane& plane) { plane.detach_encapsulation_socket(socket.fd()); });
      b_.with_plane([&](DataPlane& plane) { plane.detach_encapsulation_socket(at_b.fd()); });
      b_.heard.moved.clear();
    }
  }
}

// A renewal has two pairs for a while.
TEST_F(DataPlaneMoved, AllOfATunnelsSasGo) {
  Tunnel old;
  old.udp = true;
  old.cipher = EspCipher::gcm_128;
  old.integrity.reset();
  Tunnel newer = old;
  newer.generation = 2;
  const Endpoint home{outer_address(Side::a, Family::ipv4), 4711};
  const Endpoint away{elsewhere(Family::ipv4), 4900};
  const UdpSocket first = encapsulation_socket_at(Side::a, home);
  const UdpSocket second = encapsulation_socket_at(Side::a, away);
  const UdpSocket at_b = encapsulation_socket_at(Side::b, {outer_address(Side::b, Family::ipv4), 4500});
  for (const Tunnel& tunnel : {old, newer}) {
    begin(tunnel, Side::a, home);
    begin(tunnel, Side::b, home);
  }
  ASSERT_TRUE(passes(Side::a) && passes(Side::b));
  for (const Tunnel& tunnel : {old, newer}) {
    translate(tunnel, home, away);
    const auto moved = follow(tunnel, home, away);
    ASSERT_TRUE(moved.has_value()) << moved.error().text;
  }
  EXPECT_TRUE(passes(Side::a) && passes(Side::b));
  EXPECT_EQ(2U, counters(Side::b, sends(newer, away)).packets);
  const std::vector<SaId> gone = ids(sas_with(newer, Side::b, away));
  ASSERT_TRUE(b_.with_plane([&](DataPlane& plane) { return plane.remove(gone); }).has_value());
  const std::vector<SaId> gone_there = ids(sas_with(newer, Side::a, away));
  ASSERT_TRUE(a_.with_plane([&](DataPlane& plane) { return plane.remove(gone_there); }).has_value());
  EXPECT_TRUE(passes(Side::a) && passes(Side::b)) << "the older ones are there, too";
  EXPECT_FALSE(leaked());
}

TEST_F(DataPlaneMoved, WhatIsNotThereIsSaidAndNothingMoves) {
  Tunnel tunnel;
  tunnel.udp = true;
  const Endpoint home{outer_address(Side::a, Family::ipv4), 4500};
  const UdpSocket at_a = encapsulation_socket_at(Side::a, home);
  const UdpSocket at_b = encapsulation_socket_at(Side::b, {outer_address(Side::b, Family::ipv4), 4500});
  up(tunnel);
  ASSERT_TRUE(passes(Side::a) && passes(Side::b));
  const std::array moves{SaMove{tunnel.outbound(Side::b), {home.address, 4900}},
                         SaMove{{home.address, IpsecProtocol::esp, Spi{0x77777777}}, {home.address, 4900}}};
  const auto moved = b_.with_plane([&](DataPlane& plane) { return plane.move(moves); });
  ASSERT_FALSE(moved.has_value());
  EXPECT_EQ(ErrorCode::not_found, moved.error().code);
  EXPECT_TRUE(passes(Side::b));
}

}  // namespace oakgate::test
