// IPComp inside ESP and AH on the kernel plane, with real packets: what compression makes smaller and what it
// leaves, and what is not taken. The topology is data_plane_contract.h's.

#include <netinet/in.h>

#include <algorithm>

#include "tests/xfrm/data_plane_contract.h"

namespace oakgate::test {

namespace {

constexpr std::size_t kEthernet = 14;
constexpr std::size_t kPayload = 1000;

std::string compressible() {
  return std::string(kPayload, 'x');
}

// The same bytes each time; deflate finds nothing in them.
std::string incompressible() {
  std::string text(kPayload, '\0');
  std::uint32_t state = 0x6f616b67;
  for (char& c : text) {
    state = state * 1664525U + 1013904223U;
    c = static_cast<char>(state >> 24);
  }
  return text;
}

// The largest frame of the protocol that is outermost, of those that left.
std::size_t largest(const std::vector<Bytes>& frames, std::uint8_t protocol) {
  std::size_t size = 0;
  for (const Bytes& frame : frames) {
    const bool v4 = frame.size() > kEthernet + 20 && frame[12] == 0x08 && frame[13] == 0x00;
    const bool v6 = frame.size() > kEthernet + 40 && frame[12] == 0x86 && frame[13] == 0xdd;
    if ((v4 && frame[kEthernet + 9] == protocol) || (v6 && frame[kEthernet + 6] == protocol))
      size = std::max(size, frame.size());
  }
  return size;
}

}  // namespace

class DataPlaneIpcomp : public DataPlaneContract {
 protected:
  // One datagram from `from` to `to` arrives as it was sent, tried for up to 5 s.
  static bool arrives(const UdpSocket& from, const UdpSocket& to, const std::string& text) {
    for (int attempt = 0; attempt < 5; ++attempt) {
      if (from.send(to.local(), text) == 0 && to.receive(1000) == text) return true;
    }
    return false;
  }

  // Both ways, what can be compressed and what cannot, and how large it was on the wire.
  void expect_compression(const Tunnel& tunnel, std::uint8_t outermost) {
    const bool hosts = tunnel.mode == EncapsulationMode::tunnel;
    const auto socket = [&](Side side) {
      return hosts ? UdpSocket(host(side), host_address(side, tunnel.inner), 7777)
                   : UdpSocket(gateway(side).ns, outer_address(side, tunnel.outer), 7777);
    };
    const UdpSocket at_a = socket(Side::a);
    const UdpSocket at_b = socket(Side::b);
    std::ignore = on_wire();
    EXPECT_TRUE(arrives(at_a, at_b, compressible()));
    EXPECT_TRUE(arrives(at_b, at_a, compressible()));
    const std::size_t small = largest(on_wire(), outermost);
    EXPECT_GT(small, 0U);
    EXPECT_LT(small, kPayload / 2) << "compressed";
    const std::uint64_t before = counters(Side::b, tunnel.inbound(Side::b, IpsecProtocol::comp)).packets;
    EXPECT_GE(before, 1U);
    EXPECT_TRUE(arrives(at_a, at_b, incompressible()));
    EXPECT_TRUE(arrives(at_b, at_a, incompressible()));
    EXPECT_TRUE(arrives(at_a, at_b, "too short to be worth it"));
    EXPECT_GT(largest(on_wire(), outermost), kPayload) << "RFC 3173 section 2.2: as it is";
    EXPECT_EQ(counters(Side::b, tunnel.inbound(Side::b, IpsecProtocol::comp)).packets, before);
    EXPECT_GE(counters(Side::a, tunnel.inbound(Side::b, IpsecProtocol::comp)).packets, 2U);
    EXPECT_GE(counters(Side::b, tunnel.inbound(Side::b)).packets, 3U);
    EXPECT_FALSE(leaked());
  }
};

TEST_F(DataPlaneIpcomp, CompressesInTunnelModeInBothFamilies) {
  Tunnel tunnel;
  tunnel.compression = true;
  for (const Family outer : {Family::ipv4, Family::ipv6}) {
    for (const Family inner : {Family::ipv4, Family::ipv6}) {
      SCOPED_TRACE(::testing::Message()
                   << "outer " << static_cast<int>(outer) << " inner " << static_cast<int>(inner));
      ++tunnel.number;
      tunnel.outer = outer;
      tunnel.inner = inner;
      up(tunnel);
      expect_compression(tunnel, IPPROTO_ESP);
      remove(tunnel);
      unprotect(tunnel);
    }
  }
}

TEST_F(DataPlaneIpcomp, CompressesUnderAhAndUnderBoth) {
  Tunnel tunnel;
  tunnel.compression = true;
  for (const Protection protection : {Protection::ah, Protection::ah_esp}) {
    ++tunnel.number;
    tunnel.protection = protection;
    up(tunnel);
    expect_compression(tunnel, IPPROTO_AH);
    remove(tunnel);
    unprotect(tunnel);
  }
}

TEST_F(DataPlaneIpcomp, CompressesInTransportMode) {
  for (const Family outer : {Family::ipv4, Family::ipv6}) {
    Tunnel tunnel;
    tunnel.compression = true;
    tunnel.number = outer == Family::ipv4 ? 1 : 2;
    tunnel.outer = tunnel.inner = outer;
    tunnel.mode = EncapsulationMode::transport;
    const std::string bits = outer == Family::ipv4 ? "/32" : "/128";
    tunnel.left = outer_address(Side::a, outer).to_string() + bits;
    tunnel.right = outer_address(Side::b, outer).to_string() + bits;
    up(tunnel);
    expect_compression(tunnel, IPPROTO_ESP);
    remove(tunnel);
    unprotect(tunnel);
  }
}

TEST_F(DataPlaneIpcomp, CompressesThroughUdp) {
  Tunnel tunnel;
  tunnel.compression = true;
  tunnel.udp = true;
  const UdpSocket at_a = encapsulation_socket(Side::a, Family::ipv4);
  const UdpSocket at_b = encapsulation_socket(Side::b, Family::ipv4);
  up(tunnel);
  expect_compression(tunnel, IPPROTO_UDP);
}

TEST_F(DataPlaneIpcomp, ARenewalCarriesOn) {
  Tunnel tunnel;
  tunnel.compression = true;
  up(tunnel);
  expect_compression(tunnel, IPPROTO_ESP);
  const Tunnel before = tunnel;
  ++tunnel.generation;
  install(tunnel);
  EXPECT_TRUE(carries());
  remove(before);
  expect_compression(tunnel, IPPROTO_ESP);
  for (const Side side : {Side::a, Side::b}) {
    EXPECT_EQ(counters(side, before.inbound(side, IpsecProtocol::comp)).packets, 0U);
    EXPECT_EQ(gateway(side).ns.output("ip xfrm state | grep -c 'proto comp'"), "2\n");
  }
}

// A renewal may agree on a transform set without it, and the other way round.
TEST_F(DataPlaneIpcomp, ComesAndGoesWithTheNewestSas) {
  Tunnel tunnel;
  up(tunnel);
  ASSERT_TRUE(carries());
  Tunnel with = tunnel;
  with.compression = true;
  ++with.generation;
  up(with);
  remove(tunnel);
  expect_compression(with, IPPROTO_ESP);
  Tunnel without = with;
  without.compression = false;
  ++without.generation;
  up(without);
  remove(with);
  EXPECT_TRUE(carries());
}

// What the kernel keeps for packets that came uncompressed (IP in IP between the gateways) lets nothing in
// that was not protected.
TEST_F(DataPlaneIpcomp, UnprotectedIpInIpIsNotTaken) {
  Tunnel tunnel;
  tunnel.compression = true;
  up(tunnel);
  ASSERT_TRUE(carries());
  const Namespace& b = gateway(Side::b).ns;
  // Gateway b tunnels in plain now, as an attacker in its place could.
  gateway(Side::b).with_plane([&](DataPlane& p) { p.shut_down(); });
  b.must(
      "modprobe -q ipip; ip link add plain type ipip local 192.0.2.2 remote 192.0.2.1 && ip link set plain up"
      " && ip route replace 10.1.0.0/24 dev plain");
  const UdpSocket at_a(host(Side::a), host_address(Side::a, Family::ipv4), 7777);
  std::ignore = on_wire();
  send(Side::b, Family::ipv4);
  EXPECT_TRUE(at_a.receive(500).empty());
  EXPECT_GT(largest(on_wire(), IPPROTO_IPIP), 0U) << "it was sent";
}

TEST_F(DataPlaneIpcomp, NothingStaysBehind) {
  Tunnel tunnel;
  tunnel.compression = true;
  up(tunnel);
  ASSERT_TRUE(carries());
  for (const Side side : {Side::a, Side::b}) {
    gateway(side).with_plane([](DataPlane& p) { p.shut_down(); });
    EXPECT_EQ(gateway(side).ns.output("ip xfrm state | grep -c 'proto comp'"), "0\n");
  }
}

}  // namespace oakgate::test
