// What an SA carries: every algorithm, both families inside and outside, UDP encapsulation, rekeying,
// counters, replay, forgery, selectors.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>

#include "tests/xfrm/data_plane_contract.h"

namespace oakgate::test {

using DataPlaneTraffic = DataPlaneContract;

namespace {

constexpr std::size_t kEthernet = 14;

bool is_esp(const Bytes& frame) {
  return frame.size() > 34 && frame[12] == 8 && frame[13] == 0 && frame[23] == 50;
}

bool to_gateway_b(const Bytes& frame) {
  return frame[33] == 2;
}  // 192.0.2.2

Bytes last_esp_to_b(const std::vector<Bytes>& frames) {
  const auto found = std::find_if(frames.rbegin(), frames.rend(),
                                  [](const Bytes& frame) { return is_esp(frame) && to_gateway_b(frame); });
  return found == frames.rend() ? Bytes{} : *found;
}

}  // namespace

TEST_F(DataPlaneTraffic, CarriesByEveryAlgorithm) {
  Tunnel tunnel;
  protect(tunnel);
  std::vector<std::pair<EspCipher, std::optional<Integrity>>> suites;
  for (const EspCipherInfo& cipher : esp_ciphers()) {
    if (cipher.aead()) {
      suites.emplace_back(cipher.id, std::nullopt);
      continue;
    }
    for (const IntegrityInfo& integrity : integrities()) suites.emplace_back(cipher.id, integrity.id);
  }
  for (const auto& [cipher, integrity] : suites) {
    const Tunnel before = tunnel;
    ++tunnel.generation;
    tunnel.cipher = cipher;
    tunnel.integrity = integrity;
    install(tunnel);
    remove(before);
    EXPECT_TRUE(carries()) << info(cipher).name << (integrity ? info(*integrity).name : "");
    EXPECT_GT(counters(Side::b, tunnel.inbound(Side::b)).packets, 0U) << info(cipher).name;
    const bool encrypts = info(cipher).kind != EspKind::null && info(cipher).kind != EspKind::gmac;
    EXPECT_NE(leaked(), encrypts) << info(cipher).name;
  }
}

TEST_F(DataPlaneTraffic, CarriesBothFamiliesInsideAndOutside) {
  Tunnel tunnel;
  for (const Family outer : {Family::ipv4, Family::ipv6}) {
    for (const Family inner : {Family::ipv4, Family::ipv6}) {
      for (const EspCipher cipher : {EspCipher::aes_128, EspCipher::gcm_256}) {
        ++tunnel.number;
        tunnel.outer = outer;
        tunnel.inner = inner;
        tunnel.cipher = cipher;
        tunnel.integrity = info(cipher).aead() ? std::nullopt : std::optional(Integrity::sha);
        up(tunnel);
        EXPECT_TRUE(carries(inner)) << "outer " << static_cast<int>(outer) << " inner "
                                    << static_cast<int>(inner);
        remove(tunnel);
        for (const Side side : {Side::a, Side::b}) {
          const auto gone =
              gateway(side).with_plane([&](DataPlane& p) { return p.unprotect(tunnel.reqid()); });
          EXPECT_TRUE(gone.has_value()) << gone.error().text;
        }
      }
    }
  }
  EXPECT_FALSE(leaked());
}

TEST_F(DataPlaneTraffic, OnlyEspIsOnTheWire) {
  up({});
  std::ignore = on_wire();
  EXPECT_TRUE(carries());
  std::size_t esp = 0;
  for (const Bytes& frame : on_wire()) {
    const bool ipv4 = frame.size() > kEthernet && frame[12] == 8 && frame[13] == 0;
    EXPECT_TRUE(!ipv4 || is_esp(frame)) << to_hex(frame);
    if (is_esp(frame)) ++esp;
  }
  EXPECT_GE(esp, 2U);
}

TEST_F(DataPlaneTraffic, CarriesInUdp) {
  for (const Family outer : {Family::ipv4, Family::ipv6}) {
    Tunnel tunnel;
    tunnel.number = outer == Family::ipv4 ? 1 : 2;
    tunnel.outer = outer;
    tunnel.inner = outer;
    tunnel.udp = true;
    const UdpSocket at_a = encapsulation_socket(Side::a, outer);
    const UdpSocket at_b = encapsulation_socket(Side::b, outer);
    up(tunnel);
    std::ignore = on_wire();
    EXPECT_TRUE(carries(outer));
    const auto frames = on_wire();
    EXPECT_FALSE(std::any_of(frames.begin(), frames.end(), is_esp)) << "protocol 50 beside UDP";
    // IKE on the same port, behind the non-ESP marker (RFC 3948 section 2.2), reaches the daemon either way.
    const std::string ike = "an ISAKMP message";
    ASSERT_EQ(0, at_a.send({outer_address(Side::b, outer), 4500}, std::string(4, '\0') + ike));
    const bool plane_reads = b_.plane->reads_encapsulation_socket();
    if (plane_reads) {
      EXPECT_TRUE(await([&] { return !b_.heard.ike.empty(); }));
      EXPECT_THAT(b_.heard.ike, ::testing::ElementsAre(ike));
      b_.heard.ike.clear();
    } else {
      EXPECT_EQ(std::string(4, '\0') + ike, at_b.receive());
    }
    a_.with_plane([&](DataPlane& p) { p.detach_encapsulation_socket(at_a.fd()); });
    b_.with_plane([&](DataPlane& p) { p.detach_encapsulation_socket(at_b.fd()); });
  }
}

// As drafts 00 and 01 of NAT traversal have it: on the IKE port, behind 8 zero bytes where IKE has its
// cookie.
TEST_F(DataPlaneTraffic, CarriesBesideIkeOnItsPort) {
  for (const Family outer : {Family::ipv4, Family::ipv6}) {
    Tunnel tunnel;
    tunnel.number = outer == Family::ipv4 ? 1 : 2;
    tunnel.outer = outer;
    tunnel.inner = outer;
    tunnel.non_ike_marker = true;
    const UdpSocket at_a = encapsulation_socket(Side::a, outer, true);
    const UdpSocket at_b = encapsulation_socket(Side::b, outer, true);
    up(tunnel);
    std::ignore = on_wire();
    EXPECT_TRUE(carries(outer));
    const std::size_t payload = outer == Family::ipv4 ? 14 + 20 + 8 : 14 + 40 + 8;
    std::size_t marked = 0;
    for (const Bytes& frame : on_wire()) {
      EXPECT_FALSE(is_esp(frame)) << "protocol 50 beside UDP";
      if (frame.size() < payload + 16 || frame[payload - 7] != (500 & 0xff) || frame[payload - 8] != 500 >> 8)
        continue;
      const auto begin = frame.begin() + static_cast<std::ptrdiff_t>(payload);
      EXPECT_TRUE(std::all_of(begin, begin + 8, [](std::uint8_t byte) { return byte == 0; }));
      ++marked;
    }
    EXPECT_GE(marked, 2U);
    // IKE goes by itself there.
    const std::string ike = "an ISAKMP message of some length";
    ASSERT_EQ(0, at_a.send({outer_address(Side::b, outer), 500}, ike));
    if (b_.plane->reads_encapsulation_socket()) {
      EXPECT_TRUE(await([&] { return !b_.heard.ike.empty(); }));
      EXPECT_THAT(b_.heard.ike, ::testing::ElementsAre(ike));
      b_.heard.ike.clear();
    } else {
      EXPECT_EQ(ike, at_b.receive());
    }
    a_.with_plane([&](DataPlane& p) { p.detach_encapsulation_socket(at_a.fd()); });
    b_.with_plane([&](DataPlane& p) { p.detach_encapsulation_socket(at_b.fd()); });
  }
}

// RFC 3948 section 4: a NAT has changed its translation. Here it is the SA that expects another port.
TEST_F(DataPlaneTraffic, AnAuthenticPacketFromElsewhereIsTold) {
  Tunnel tunnel;
  tunnel.udp = true;
  const UdpSocket at_a = encapsulation_socket(Side::a, Family::ipv4);
  const UdpSocket at_b = encapsulation_socket(Side::b, Family::ipv4);
  protect(tunnel);
  ASSERT_TRUE(install(Side::a, tunnel));
  std::vector<SaSpec> sas = tunnel.sas(Side::b);
  for (SaSpec& sa : sas) {
    if (sa.direction == Direction::in) sa.encapsulation->remote_port = 4711;
  }
  ASSERT_TRUE(b_.with_plane([&](DataPlane& p) { return p.install(sas); }));
  EXPECT_TRUE(carries(Family::ipv4)) << "and it is carried";
  ASSERT_TRUE(await([&] { return !b_.heard.moved.empty(); }));
  EXPECT_EQ(b_.heard.moved.front().first, tunnel.inbound(Side::b));
  EXPECT_EQ(b_.heard.moved.front().second, (Endpoint{outer_address(Side::a, Family::ipv4), 4500}));
  EXPECT_TRUE(a_.heard.moved.empty()) << "what comes from where it should is no news";
  a_.with_plane([&](DataPlane& p) { p.detach_encapsulation_socket(at_a.fd()); });
  b_.with_plane([&](DataPlane& p) { p.detach_encapsulation_socket(at_b.fd()); });
}

TEST_F(DataPlaneTraffic, RekeyingLosesNothing) {
  Tunnel old;
  up(old);
  ASSERT_TRUE(carries());
  const UdpSocket from(host_a_, host_address(Side::a, Family::ipv4), 0);
  const UdpSocket to(host_b_, host_address(Side::b, Family::ipv4), 7777);
  int sent = 0;
  int arrived = 0;
  const auto burst = [&] {
    for (int i = 0; i < 20; ++i) {
      ASSERT_EQ(0, from.send(to.local(), fmt::format("datagram {}", ++sent)));
      if (to.receive() == fmt::format("datagram {}", sent)) ++arrived;
    }
  };
  Tunnel fresh = old;
  for (int round = 0; round < 3; ++round) {
    ++fresh.generation;
    burst();
    // The responder's side first, as Quick Mode does it.
    ASSERT_TRUE(install(Side::b, fresh).has_value());
    burst();
    ASSERT_TRUE(install(Side::a, fresh).has_value());
    burst();
    EXPECT_GE(counters(Side::a, fresh.outbound(Side::a)).packets, 20U) << "the newest outbound SA carries";
    remove(old);
    burst();
    old = fresh;
  }
  EXPECT_EQ(sent, arrived);
}

TEST_F(DataPlaneTraffic, Counts) {
  const Tunnel tunnel;
  up(tunnel);
  ASSERT_TRUE(carries());
  const auto out = counters(Side::a, tunnel.outbound(Side::a));
  const auto in = counters(Side::b, tunnel.inbound(Side::b));
  EXPECT_EQ(out.id, tunnel.outbound(Side::a));
  EXPECT_GE(out.packets, 1U);
  EXPECT_EQ(out.packets, in.packets);
  EXPECT_EQ(out.bytes, in.bytes);
  EXPECT_GE(out.bytes, out.packets * (20 + 8 + 30));  // inner packets: IPv4, UDP, the text
  EXPECT_LE(out.bytes, out.packets * (20 + 8 + 50));
  const SaId unknown{outer_address(Side::a, Family::ipv4), IpsecProtocol::esp, Spi{0x7777}};
  EXPECT_EQ(unknown, counters(Side::a, unknown).id);
  EXPECT_EQ(0U, counters(Side::a, unknown).packets);
}

TEST_F(DataPlaneTraffic, DropsReplayedPackets) {
  std::uint64_t replays = 0;
  for (const std::uint16_t window : {32, 64, 1024}) {
    Tunnel tunnel;
    tunnel.number = window;
    tunnel.replay_window = window;
    tunnel.right = "10.2.0.0/24";
    up(tunnel);
    std::ignore = on_wire();
    ASSERT_TRUE(carries());
    const UdpSocket to(host_b_, host_address(Side::b, Family::ipv4), 7777);
    const Bytes frame = last_esp_to_b(on_wire());
    ASSERT_FALSE(frame.empty());
    const Sniffer injector(a_.ns, "outer");
    injector.inject(frame);
    EXPECT_TRUE(await([&] { return counters(Side::b, tunnel.inbound(Side::b)).replayed == 1; })) << window;
    EXPECT_EQ(++replays, dropped(Side::b, DropReason::replayed));
    EXPECT_EQ("", to.receive(50));
    ASSERT_TRUE(b_.with_plane([&](DataPlane& p) { return p.unprotect(tunnel.reqid()); }).has_value());
    ASSERT_TRUE(a_.with_plane([&](DataPlane& p) { return p.unprotect(tunnel.reqid()); }).has_value());
    remove(tunnel);
  }
}

// RFC 4303 section 2.2.1, RFC 4302 section 2.5.1.
TEST_F(DataPlaneTraffic, ExtendedSequenceNumbersPass2To32) {
  Tunnel tunnel;
  for (const auto& [protection, cipher] :
       {std::pair{Protection::esp, EspCipher::aes_256}, std::pair{Protection::esp, EspCipher::gcm_128},
        std::pair{Protection::ah, EspCipher::aes_256}, std::pair{Protection::ah_esp, EspCipher::aes_256}}) {
    ++tunnel.generation;
    tunnel.protection = protection;
    tunnel.cipher = cipher;
    const bool aead = protection == Protection::esp && info(cipher).aead();
    tunnel.integrity = aead ? std::nullopt : std::optional(Integrity::sha256);
    tunnel.esn = true;
    tunnel.replay_window = 256;
    tunnel.last_sequence = (std::uint64_t{1} << 32) - 3;
    up(tunnel);
    for (int i = 0; i < 6; ++i) ASSERT_TRUE(carries()) << i;
    EXPECT_GE(counters(Side::b, tunnel.inbound(Side::b)).packets, 6U);
    EXPECT_EQ(0U, counters(Side::b, tunnel.inbound(Side::b)).replayed);
    remove(tunnel);
    unprotect(tunnel);
  }
}

TEST_F(DataPlaneTraffic, DropsForgedPackets) {
  Tunnel tunnel;
  std::uint64_t forged = 0;
  for (const EspCipher cipher : {EspCipher::aes_256, EspCipher::gcm_128}) {
    ++tunnel.generation;
    tunnel.cipher = cipher;
    tunnel.integrity = info(cipher).aead() ? std::nullopt : std::optional(Integrity::sha256);
    up(tunnel);
    std::ignore = on_wire();
    ASSERT_TRUE(carries());
    Bytes frame = last_esp_to_b(on_wire());
    ASSERT_FALSE(frame.empty());
    frame.back() ^= 1;
    frame[kEthernet + 20 + 7] =
        static_cast<std::uint8_t>(frame[kEthernet + 20 + 7] + 5);  // a fresh sequence number
    Sniffer(a_.ns, "outer").inject(frame);
    EXPECT_TRUE(await([&] { return counters(Side::b, tunnel.inbound(Side::b)).not_authentic == 1; }))
        << info(cipher).name;
    EXPECT_TRUE(carries());
    EXPECT_EQ(++forged, dropped(Side::b, DropReason::not_authentic));
    const std::uint64_t unknown = dropped(Side::b, DropReason::invalid_spi);
    frame[kEthernet + 20 + 3] ^= 0x80;  // an SPI that nobody has
    Sniffer(a_.ns, "outer").inject(frame);
    EXPECT_TRUE(await([&] { return dropped(Side::b, DropReason::invalid_spi) == unknown + 1; }));
    remove(tunnel);
  }
}

TEST_F(DataPlaneTraffic, InnerPacketsMustLieInTheSelectors) {
  // Gateway a protects more than gateway b agreed to: what lies outside b's selectors stops at b.
  host_a_.must("ip addr add 10.9.0.9/32 dev eth0");
  a_.ns.must("ip route add 10.9.0.9/32 dev lan");
  Tunnel wide;
  wide.left = "10.0.0.0/8";
  const Tunnel exact;
  ASSERT_TRUE(a_.with_plane([&](DataPlane& p) { return p.protect(wide.policy(Side::a)); }).has_value());
  ASSERT_TRUE(b_.with_plane([&](DataPlane& p) { return p.protect(exact.policy(Side::b)); }).has_value());
  ASSERT_TRUE(install(Side::a, wide).has_value());
  ASSERT_TRUE(install(Side::b, exact).has_value());
  ASSERT_TRUE(carries());
  const auto before = counters(Side::b, exact.inbound(Side::b));
  const UdpSocket from(host_a_, *IpAddress::parse("10.9.0.9"), 0);
  const UdpSocket to(host_b_, host_address(Side::b, Family::ipv4), 7777);
  ASSERT_EQ(0, from.send(to.local(), "from outside the selectors"));
  EXPECT_TRUE(await([&] {
    const auto now = counters(Side::b, exact.inbound(Side::b));
    return now.packets > before.packets || now.selector_mismatch > 0;
  }));
  EXPECT_EQ("", to.receive(100));
  EXPECT_EQ(1U, dropped(Side::b, DropReason::selector_mismatch));
}

TEST_F(DataPlaneTraffic, MoreSpecificSelectorsWin) {
  Tunnel all;
  Tunnel one_port;
  one_port.number = 2;
  one_port.protocol = 17;
  one_port.right_port = 7788;
  up(all);
  up(one_port);
  ASSERT_TRUE(carries(Family::ipv4, 7777));
  const auto of_all = counters(Side::a, all.outbound(Side::a)).packets;
  EXPECT_GE(of_all, 1U);
  EXPECT_EQ(0U, counters(Side::a, one_port.outbound(Side::a)).packets);
  const UdpSocket from(host_a_, host_address(Side::a, Family::ipv4), 0);
  const UdpSocket to(host_b_, host_address(Side::b, Family::ipv4), 7788);
  ASSERT_EQ(0, from.send(to.local(), "for the narrow one"));
  EXPECT_EQ("for the narrow one", to.receive());
  EXPECT_EQ(1U, counters(Side::a, one_port.outbound(Side::a)).packets);
  EXPECT_EQ(of_all, counters(Side::a, all.outbound(Side::a)).packets);
}

// `df_bit` and `copy_dscp`, as the wire shows them.
TEST_F(DataPlaneTraffic, TheOuterHeaderIsAsTheTunnelHandlesIt) {
  constexpr int kExpedited = 0xb8;
  for (const PacketHandling& handling : {PacketHandling{}, PacketHandling{DfBit::clear, false, {}}}) {
    Tunnel tunnel;
    tunnel.generation = handling.copy_dscp ? 1 : 2;
    tunnel.handling = handling;
    up(tunnel);
    ASSERT_TRUE(carries());
    const UdpSocket from(host_a_, host_address(Side::a, Family::ipv4), 0);
    const int probe = IP_PMTUDISC_DO;
    ASSERT_EQ(0, setsockopt(from.fd(), IPPROTO_IP, IP_MTU_DISCOVER, &probe, sizeof(probe)));
    ASSERT_EQ(0, setsockopt(from.fd(), IPPROTO_IP, IP_TOS, &kExpedited, sizeof(kExpedited)));
    const UdpSocket to(host_b_, host_address(Side::b, Family::ipv4), 7799);
    std::ignore = on_wire();
    ASSERT_EQ(0, from.send(to.local(), "with DF and a DSCP"));
    EXPECT_EQ("with DF and a DSCP", to.receive());
    const Bytes frame = last_esp_to_b(on_wire());
    ASSERT_GT(frame.size(), kEthernet + 20);
    EXPECT_EQ(handling.df_bit == DfBit::copy ? 0x40 : 0, frame[kEthernet + 6] & 0x40);
    EXPECT_EQ(handling.copy_dscp ? kExpedited : 0, frame[kEthernet + 1]);
    remove(tunnel);
  }
}

TEST_F(DataPlaneTraffic, TellsHostsOfTheSmallerPathMtu) {
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    Tunnel tunnel;
    tunnel.number = family == Family::ipv4 ? 1 : 2;
    tunnel.inner = family;
    up(tunnel);
    const bool v4 = family == Family::ipv4;
    const UdpSocket from(host_a_, host_address(Side::a, family), 0);
    const int probe = v4 ? IP_PMTUDISC_DO : IPV6_PMTUDISC_DO;
    ASSERT_EQ(0, setsockopt(from.fd(), v4 ? IPPROTO_IP : IPPROTO_IPV6,
                            v4 ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER, &probe, sizeof(probe)));
    const std::string text(v4 ? 1472 : 1452, 'x');  // 1500 bytes: with ESP around it too long for the wire
    const Endpoint to{host_address(Side::b, family), 7777};
    ASSERT_EQ(0, from.send(to, text));
    EXPECT_TRUE(await([&] { return from.send(to, text) == EMSGSIZE; })) << "no ICMP \"too big\" came";
    EXPECT_TRUE(carries(family));
  }
}

}  // namespace oakgate::test
