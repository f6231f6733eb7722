// AH, AH over ESP, and transport mode, with real packets: what crosses the wire, in both families, and what
// is not taken.

#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>

#include "tests/xfrm/data_plane_contract.h"

namespace oakgate::test {

using DataPlaneBundle = DataPlaneContract;

namespace {

constexpr std::size_t kEthernet = 14;

// The protocol of an IPv4 or IPv6 frame without extension headers; 0: another kind of frame.
std::uint8_t protocol_of(const Bytes& frame) {
  if (frame.size() > kEthernet + 20 && frame[12] == 0x08 && frame[13] == 0x00) return frame[kEthernet + 9];
  if (frame.size() > kEthernet + 40 && frame[12] == 0x86 && frame[13] == 0xdd) return frame[kEthernet + 6];
  return 0;
}

// Where the payload of the outer header begins.
std::size_t payload_at(const Bytes& frame) {
  return kEthernet + (frame[12] == 0x08 ? 20 : 40);
}

Tunnel host_to_host(Family outer) {
  Tunnel tunnel;
  tunnel.outer = tunnel.inner = outer;
  const std::string bits = outer == Family::ipv4 ? "/32" : "/128";
  tunnel.left = outer_address(Side::a, outer).to_string() + bits;
  tunnel.right = outer_address(Side::b, outer).to_string() + bits;
  return tunnel;
}

}  // namespace

TEST_F(DataPlaneBundle, AhAndBundlesCarryInTunnelModeInBothFamilies) {
  Tunnel tunnel;
  for (const Protection protection : {Protection::ah, Protection::ah_esp}) {
    for (const Family outer : {Family::ipv4, Family::ipv6}) {
      for (const Family inner : {Family::ipv4, Family::ipv6}) {
        ++tunnel.number;
        tunnel.protection = protection;
        tunnel.outer = outer;
        tunnel.inner = inner;
        up(tunnel);
        std::ignore = on_wire();
        EXPECT_TRUE(carries(inner)) << "protection " << static_cast<int>(protection) << " outer "
                                    << static_cast<int>(outer) << " inner " << static_cast<int>(inner);
        std::size_t ah = 0;
        for (const Bytes& frame : on_wire()) {
          EXPECT_NE(protocol_of(frame), IPPROTO_ESP) << "AH is outermost";
          EXPECT_NE(protocol_of(frame), IPPROTO_UDP);
          if (protocol_of(frame) != IPPROTO_AH) continue;
          ++ah;
          const std::uint8_t inside = frame[payload_at(frame)];
          const int alone = inner == Family::ipv4 ? int{IPPROTO_IPIP} : int{IPPROTO_IPV6};
          EXPECT_EQ(inside, protection == Protection::ah ? alone : int{IPPROTO_ESP});
        }
        EXPECT_GE(ah, 2U);
        for (const IpsecProtocol protocol : {IpsecProtocol::ah, tunnel.carrier()})
          EXPECT_GT(counters(Side::b, tunnel.inbound(Side::b, protocol)).packets, 0U);
        remove(tunnel);
        unprotect(tunnel);
      }
    }
  }
}

TEST_F(DataPlaneBundle, EveryAhAlgorithmCarries) {
  Tunnel tunnel;
  tunnel.protection = Protection::ah;
  protect(tunnel);
  for (const IntegrityInfo& row : integrities()) {
    const Tunnel before = tunnel;
    ++tunnel.generation;
    tunnel.ah = row.id;
    install(tunnel);
    remove(before);
    EXPECT_TRUE(carries()) << row.name;
  }
}

TEST_F(DataPlaneBundle, EspWithoutIntegrityIsCarriedUnderAh) {
  Tunnel tunnel;
  tunnel.protection = Protection::ah_esp;
  tunnel.integrity.reset();
  up(tunnel);
  EXPECT_TRUE(carries());
  EXPECT_FALSE(leaked());
}

TEST_F(DataPlaneBundle, ARenewalCarriesOn) {
  Tunnel tunnel;
  tunnel.protection = Protection::ah_esp;
  up(tunnel);
  EXPECT_TRUE(carries());
  const Tunnel before = tunnel;
  ++tunnel.generation;
  install(tunnel);
  EXPECT_TRUE(carries());
  remove(before);
  EXPECT_TRUE(carries());
  EXPECT_GT(counters(Side::b, tunnel.inbound(Side::b, IpsecProtocol::ah)).packets, 0U);
}

TEST_F(DataPlaneBundle, PlainEspDoesNotPassWhereAhIsAskedFor) {
  Tunnel tunnel;
  tunnel.protection = Protection::ah_esp;
  up(tunnel);
  ASSERT_TRUE(carries());
  // Side a has ESP alone now, with the keys and the SPI of the bundle's; side b still has the bundle.
  Tunnel bare = tunnel;
  bare.protection = Protection::esp;
  std::vector<SaId> gone;
  for (const SaSpec& sa : tunnel.sas(Side::a)) gone.push_back(sa.id);
  gateway(Side::a).with_plane([&](DataPlane& p) {
    EXPECT_TRUE(p.remove(gone).has_value());
    EXPECT_TRUE(p.protect(bare.policy(Side::a)).has_value());
    EXPECT_TRUE(p.install(bare.sas(Side::a)).has_value());
  });
  const UdpSocket at_b(host(Side::b), host_address(Side::b, Family::ipv4), 7777);
  std::ignore = on_wire();
  send(Side::a, Family::ipv4);
  EXPECT_TRUE(at_b.receive(500).empty());
  const std::vector<Bytes> frames = on_wire();
  EXPECT_TRUE(std::any_of(frames.begin(), frames.end(), [](const Bytes& frame) {
    return protocol_of(frame) == IPPROTO_ESP;
  })) << "it was sent";
}

TEST_F(DataPlaneBundle, LargePacketsAreFragmentedOutsideAh) {
  Tunnel tunnel;
  tunnel.protection = Protection::ah_esp;
  up(tunnel);
  ASSERT_TRUE(carries());
  for (const Side side : {Side::a, Side::b}) gateway(side).ns.must("ip link set dev outer mtu 1000");
  const UdpSocket from(host(Side::a), host_address(Side::a, Family::ipv4), 7000);
  const UdpSocket to(host(Side::b), host_address(Side::b, Family::ipv4), 7001);
  std::string got;
  const std::string text(1300, 'x');
  for (int attempt = 0; attempt < 5 && got != text; ++attempt) {
    std::ignore = from.send(to.local(), text);
    got = to.receive(1000);
  }
  EXPECT_EQ(got.size(), text.size());
}

TEST_F(DataPlaneBundle, TransportModeKeepsTheGatewaysHeader) {
  for (const Family outer : {Family::ipv4, Family::ipv6}) {
    for (const Protection protection : {Protection::esp, Protection::ah, Protection::ah_esp}) {
      Tunnel tunnel = host_to_host(outer);
      tunnel.number = 10 + static_cast<std::uint32_t>(protection) + (outer == Family::ipv4 ? 0 : 10);
      tunnel.mode = EncapsulationMode::transport;
      tunnel.protection = protection;
      up(tunnel);
      std::ignore = on_wire();
      EXPECT_TRUE(gateways_talk(outer)) << static_cast<int>(protection) << " " << static_cast<int>(outer);
      const std::uint8_t outermost = protection == Protection::esp ? IPPROTO_ESP : IPPROTO_AH;
      std::size_t seen = 0;
      for (const Bytes& frame : on_wire()) {
        EXPECT_NE(protocol_of(frame), IPPROTO_UDP) << "in plain";
        if (protocol_of(frame) != outermost) continue;
        ++seen;
        // AH alone shows what it carries: no second IP header.
        if (protection == Protection::ah) {
          EXPECT_EQ(frame[payload_at(frame)], IPPROTO_UDP);
        }
      }
      EXPECT_GE(seen, 2U);
      EXPECT_GT(counters(Side::b, tunnel.inbound(Side::b)).packets, 0U);
      remove(tunnel);
      unprotect(tunnel);
    }
  }
}

TEST_F(DataPlaneBundle, TransportModeDropsPlaintextBothWays) {
  Tunnel tunnel = host_to_host(Family::ipv4);
  tunnel.mode = EncapsulationMode::transport;
  gateway(Side::b).with_plane(
      [&](DataPlane& p) { EXPECT_TRUE(p.protect(tunnel.policy(Side::b)).has_value()); });
  const UdpSocket at_a(gateway(Side::a).ns, outer_address(Side::a, Family::ipv4), 7777);
  const UdpSocket at_b(gateway(Side::b).ns, outer_address(Side::b, Family::ipv4), 7777);
  std::ignore = at_a.send(at_b.local(), "in plain");
  EXPECT_TRUE(at_b.receive(500).empty()) << "only a protects nothing yet";
  std::ignore = on_wire();
  std::ignore = at_b.send(at_a.local(), "in plain");
  EXPECT_TRUE(at_a.receive(500).empty()) << "no SA: nothing leaves";
}

}  // namespace oakgate::test
