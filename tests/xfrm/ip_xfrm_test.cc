// One of our planes (gateway a of data_plane_contract.h) against states and policies that are made by hand
// with ip-xfrm(8) on gateway b: what another implementation of AH and of AH over ESP takes and sends. Keys
// are known, there is no IKE. Linked with each plane's make_plane(); needs a kernel with ESP and AH.

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <tuple>

#include "tests/xfrm/data_plane_contract.h"

namespace oakgate::test {

namespace {

constexpr std::size_t kEthernet = 14;
constexpr auto kAhAlgorithms =
    std::to_array<Integrity>({Integrity::md5, Integrity::sha, Integrity::sha256, Integrity::sha256_96});

std::string hex(const SecretBytes& key) {
  std::string text = "0x";
  for (const std::uint8_t byte : key.view()) text += fmt::format("{:02x}", byte);
  return text;
}

std::string_view mode_word(EncapsulationMode mode) {
  return mode == EncapsulationMode::tunnel ? "tunnel" : "transport";
}

// How long the AH header is over IPv4. RFC 4302 section 2.6: a multiple of 4 bytes. Linux pads it to a
// multiple of 8 unless the state says `align4`: with HMAC-SHA2-256 that is 32 bytes instead of 28.
enum class AhPadding : std::uint8_t { rfc, to_eight };

struct HandMade {
  AhPadding padding = AhPadding::rfc;
  bool foreign_keys = false;  // each AH key differs from ours by a bit
};

std::string state_command(const SaSpec& sa, const HandMade& hand) {
  const bool ah = sa.id.protocol == IpsecProtocol::ah;
  std::string command = fmt::format("ip xfrm state add src {} dst {} proto {} spi {:#x} reqid {} mode {}",
                                    sa.source.to_string(), sa.id.destination.to_string(), ah ? "ah" : "esp",
                                    sa.id.spi.value, sa.reqid.value, mode_word(sa.mode));
  const bool in = sa.direction == Direction::in;
  if (in || sa.esn) command += fmt::format(" replay-window {}", sa.esn ? sa.replay_window : 32);
  if (sa.last_sequence != 0) {
    command += fmt::format(" replay-{0} {1} replay-{0}-hi {2}", in ? "seq" : "oseq",
                           sa.last_sequence & 0xffff'ffff, sa.last_sequence >> 32);
  }
  const bool aead = !ah && info(sa.cipher).aead();
  if (aead) {
    command += fmt::format(" aead '{}' {} {}", info(sa.cipher).kernel, hex(sa.encryption_key),
                           info(sa.cipher).icv_bytes * 8);
  } else if (!ah) {
    command += fmt::format(" enc '{}' {}", info(sa.cipher).kernel, hex(sa.encryption_key));
  }
  if (sa.integrity) {
    std::string key = hex(sa.integrity_key);
    if (ah && hand.foreign_keys) key.back() = key.back() == '0' ? '1' : '0';
    command += fmt::format(" auth-trunc '{}' {} {}", info(*sa.integrity).kernel, key,
                           info(*sa.integrity).icv_bytes * 8);
  }
  if (sa.esn) command += " flag esn";
  if (ah && sa.source.is_v4() && hand.padding == AhPadding::rfc) command += " flag align4";
  // Else the state takes the outer family for that of what it carries.
  const bool over_esp = ah && sa.bundle.has_value();
  const bool other_family = sa.selectors.local.subnet.family() != sa.source.family();
  if (over_esp || other_family) command += " flag af-unspec";
  return command;
}

std::string policy_command(const Tunnel& tunnel, std::string_view direction) {
  const ProtectPolicy policy = tunnel.policy(Side::b);
  const bool out = direction == "out";
  const std::string source = (out ? policy.local_gateway : *policy.remote_gateway).to_string();
  const std::string destination = (out ? *policy.remote_gateway : policy.local_gateway).to_string();
  const Selector& from = out ? policy.selectors.local : policy.selectors.remote;
  const Selector& to = out ? policy.selectors.remote : policy.selectors.local;
  // In transport mode UDP alone: not the neighbour discovery between the two.
  const bool tunnels = tunnel.mode == EncapsulationMode::tunnel;
  std::string command = fmt::format("ip xfrm policy add src {} dst {}{} dir {}", from.subnet.to_string(),
                                    to.subnet.to_string(), tunnels ? "" : " proto udp", direction);
  const auto add = [&](std::string_view protocol, EncapsulationMode mode) {
    command += fmt::format(" tmpl src {} dst {} proto {} reqid {} mode {}", source, destination, protocol,
                           policy.reqid.value, mode_word(mode));
  };
  if (tunnel.protection != Protection::ah) add("esp", tunnel.mode);
  if (tunnel.protection == Protection::ah) add("ah", tunnel.mode);
  if (tunnel.protection == Protection::ah_esp) add("ah", EncapsulationMode::transport);
  return command;
}

// The AH headers of a batch of frames without IP options or extension headers: by its own length, and what is
// behind it.
struct SeenAh {
  std::size_t bytes = 0;
  std::uint8_t next_header = 0;
  friend bool operator==(const SeenAh&, const SeenAh&) = default;
};
std::vector<SeenAh> ah_headers(const std::vector<Bytes>& frames) {
  std::vector<SeenAh> seen;
  for (const Bytes& frame : frames) {
    const bool v4 = frame.size() > kEthernet + 40 && frame[12] == 0x08 && frame[13] == 0x00;
    const bool v6 = frame.size() > kEthernet + 60 && frame[12] == 0x86 && frame[13] == 0xdd;
    if (!v4 && !v6) continue;
    if (frame[kEthernet + (v4 ? 9 : 6)] != IPPROTO_AH) continue;
    const std::size_t at = kEthernet + (v4 ? 20 : 40);
    seen.push_back({(frame[at + 1] + std::size_t{2}) * 4, frame[at]});
  }
  return seen;
}

void between_the_gateways(Tunnel& tunnel) {
  const std::string bits = tunnel.outer == Family::ipv4 ? "/32" : "/128";
  tunnel.left = outer_address(Side::a, tunnel.outer).to_string() + bits;
  tunnel.right = outer_address(Side::b, tunnel.outer).to_string() + bits;
}

Tunnel in_transport_mode(Protection protection, Family outer) {
  Tunnel tunnel;
  tunnel.protection = protection;
  tunnel.mode = EncapsulationMode::transport;
  tunnel.outer = tunnel.inner = outer;
  between_the_gateways(tunnel);
  return tunnel;
}

std::size_t ah_size(Integrity integrity, Family outer, AhPadding padding) {
  const std::size_t unit = outer == Family::ipv6 || padding == AhPadding::to_eight ? 8 : 4;
  return (12 + std::size_t{info(integrity).icv_bytes} + unit - 1) / unit * unit;
}

}  // namespace

class IpXfrm : public DataPlaneContract {
 protected:
  void SetUp() override {
    Gateway& ours = gateway(Side::a);
    auto made = ours.ns.enter([] { return make_plane(); });
    ASSERT_TRUE(made.has_value()) << made.error().text;
    ours.plane = std::move(*made);
  }

  void up_by_hand(const Tunnel& tunnel, const HandMade& hand = {}) {
    gateway(Side::a).with_plane([&](DataPlane& p) {
      const auto done = p.protect(tunnel.policy(Side::a));
      ASSERT_TRUE(done.has_value()) << done.error().text;
    });
    const auto installed = install(Side::a, tunnel);
    ASSERT_TRUE(installed.has_value()) << installed.error().text;
    const Namespace& b = gateway(Side::b).ns;
    for (const SaSpec& sa : tunnel.sas(Side::b)) b.must(state_command(sa, hand));
    for (const std::string_view direction : {"out", "in", "fwd"}) b.must(policy_command(tunnel, direction));
    std::ignore = on_wire();
  }

  void down(const Tunnel& tunnel) {
    std::vector<SaId> ids;
    for (const SaSpec& sa : tunnel.sas(Side::a)) ids.push_back(sa.id);
    gateway(Side::a).with_plane([&](DataPlane& p) {
      EXPECT_TRUE(p.remove(ids).has_value());
      EXPECT_TRUE(p.unprotect(tunnel.reqid()).has_value());
    });
    gateway(Side::b).ns.must("ip xfrm policy flush; ip xfrm state flush");
  }

  bool talks(const Tunnel& tunnel) {
    if (tunnel.mode == EncapsulationMode::tunnel) return carries(tunnel.inner);
    gateway(Side::a).dispatch();
    if (gateway(Side::a).heard.warnings.empty()) return gateways_talk(tunnel.outer);
    // Without nftables for IPv6, as in user-mode Linux, the software plane warns that what it opens does not
    // reach the gateway itself (xfrm/soft/ipv6_admission.h): then its counter has to tell.
    const UdpSocket at_a(gateway(Side::a).ns, outer_address(Side::a, tunnel.outer), 7777);
    const UdpSocket at_b(gateway(Side::b).ns, outer_address(Side::b, tunnel.outer), 7777);
    std::ignore = at_a.send(at_b.local(), "from a");
    std::ignore = at_b.send(at_a.local(), "from b");
    return at_b.receive() == "from a" &&
           await([&] { return counters(Side::a, tunnel.inbound(Side::a)).packets > 0; });
  }

  // A datagram each way, and nothing on the wire but AH as it should be.
  void expect_traffic(const Tunnel& tunnel, std::uint8_t inside) {
    const std::string what = fmt::format("{} {} over {}", info(tunnel.ah).name, mode_word(tunnel.mode),
                                         tunnel.outer == Family::ipv4 ? "IPv4" : "IPv6");
    EXPECT_TRUE(talks(tunnel)) << what;
    const std::vector<Bytes> frames = on_wire();
    const std::vector<SeenAh> seen = ah_headers(frames);
    EXPECT_GE(seen.size(), 2U) << what << ": both ways";
    const SeenAh expected{ah_size(tunnel.ah, tunnel.outer, AhPadding::rfc), inside};
    for (const SeenAh& one : seen)
      EXPECT_EQ(one, expected) << what << ": " << one.bytes << " bytes, then " << int{one.next_header};
    for (const IpsecProtocol protocol : {IpsecProtocol::ah, tunnel.carrier()}) {
      const SaCounters counted = counters(Side::a, tunnel.inbound(Side::a, protocol));
      EXPECT_GT(counted.packets, 0U) << what;
      EXPECT_EQ(counted.not_authentic, 0U) << what;
    }
  }

  // `tunnel` with every algorithm of AH, over both families, one after the other.
  void expect_every_algorithm(Tunnel tunnel) {
    for (const Family outer : {Family::ipv4, Family::ipv6}) {
      for (const Integrity ah : kAhAlgorithms) {
        ++tunnel.number;
        tunnel.outer = outer;
        tunnel.inner = outer;
        tunnel.ah = ah;
        if (tunnel.mode == EncapsulationMode::transport) between_the_gateways(tunnel);
        up_by_hand(tunnel);
        std::uint8_t inside = outer == Family::ipv4 ? IPPROTO_IPIP : IPPROTO_IPV6;
        if (tunnel.mode == EncapsulationMode::transport) inside = IPPROTO_UDP;
        if (tunnel.protection == Protection::ah_esp) inside = IPPROTO_ESP;
        expect_traffic(tunnel, inside);
        down(tunnel);
      }
    }
  }
};

TEST_F(IpXfrm, AhInTunnelMode) {
  Tunnel tunnel;
  tunnel.protection = Protection::ah;
  expect_every_algorithm(tunnel);
}

TEST_F(IpXfrm, AhInTransportMode) {
  Tunnel tunnel;
  tunnel.protection = Protection::ah;
  tunnel.mode = EncapsulationMode::transport;
  expect_every_algorithm(tunnel);
}

TEST_F(IpXfrm, AhOverEspInTunnelMode) {
  Tunnel tunnel;
  tunnel.protection = Protection::ah_esp;
  expect_every_algorithm(tunnel);
}

TEST_F(IpXfrm, AhOverEspInTransportMode) {
  Tunnel tunnel;
  tunnel.protection = Protection::ah_esp;
  tunnel.mode = EncapsulationMode::transport;
  expect_every_algorithm(tunnel);
}

TEST_F(IpXfrm, TheInnerFamilyMayBeAnother) {
  Tunnel tunnel;
  for (const Protection protection : {Protection::ah, Protection::ah_esp}) {
    for (const Family outer : {Family::ipv4, Family::ipv6}) {
      ++tunnel.number;
      tunnel.protection = protection;
      tunnel.outer = outer;
      tunnel.inner = outer == Family::ipv4 ? Family::ipv6 : Family::ipv4;
      up_by_hand(tunnel);
      const std::uint8_t alone = tunnel.inner == Family::ipv4 ? IPPROTO_IPIP : IPPROTO_IPV6;
      expect_traffic(tunnel, protection == Protection::ah ? alone : std::uint8_t{IPPROTO_ESP});
      down(tunnel);
    }
  }
}

// `ah-sha-hmac esp-3des`: ESP without integrity of its own, which IOS allows under AH.
TEST_F(IpXfrm, EspWithoutIntegrityUnderAh) {
  Tunnel tunnel;
  tunnel.protection = Protection::ah_esp;
  tunnel.cipher = EspCipher::des3;
  tunnel.integrity.reset();
  tunnel.ah = Integrity::sha;
  up_by_hand(tunnel);
  expect_traffic(tunnel, IPPROTO_ESP);
}

TEST_F(IpXfrm, LargePacketsAreFragmentedOutsideAh) {
  Tunnel tunnel;
  tunnel.protection = Protection::ah_esp;
  up_by_hand(tunnel);
  for (const Side side : {Side::a, Side::b}) gateway(side).ns.must("ip link set dev outer mtu 1000");
  const UdpSocket at_a(host(Side::a), host_address(Side::a, Family::ipv4), 7000);
  const UdpSocket at_b(host(Side::b), host_address(Side::b, Family::ipv4), 7001);
  const std::string text(1300, 'x');
  const auto arrives = [&](const UdpSocket& from, const UdpSocket& to) {
    // The first may be answered by the path's MTU instead.
    for (int attempt = 0; attempt < 5; ++attempt) {
      std::ignore = from.send(to.local(), text);
      if (to.receive(1000) == text) return true;
    }
    return false;
  };
  EXPECT_TRUE(arrives(at_a, at_b));
  EXPECT_TRUE(arrives(at_b, at_a));
}

TEST_F(IpXfrm, ForeignKeysAreCounted) {
  Tunnel tunnel;
  tunnel.protection = Protection::ah;
  up_by_hand(tunnel, {.foreign_keys = true});
  const UdpSocket at_a(host(Side::a), host_address(Side::a, Family::ipv4), 7777);
  send(Side::b, Family::ipv4);
  EXPECT_TRUE(await([&] { return counters(Side::a, tunnel.inbound(Side::a)).not_authentic > 0; }));
  EXPECT_TRUE(at_a.receive(0).empty());
}

// RFC 4302 appendix A: in transport mode the options of the packet itself stand before AH, some of them
// covered, some counted as zero.
TEST_F(IpXfrm, OptionsAndExtensionHeadersBeforeAh) {
  // Router alert, record route with room for three addresses, end of list.
  const Bytes options = {148, 4, 0, 0, 7, 15, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  // Hop-by-hop: an option that may change on the way and one that may not. The kernel sets the next header.
  const Bytes hop_by_hop = {0, 1, 0x3e, 4, 1, 2, 3, 4, 0x1e, 4, 5, 6, 7, 8, 1, 0};
  // Linux puts these before AH, too.
  const Bytes destination = {0, 0, 0x1e, 4, 5, 6, 7, 8};
  for (const Family outer : {Family::ipv4, Family::ipv6}) {
    Tunnel tunnel = in_transport_mode(Protection::ah, outer);
    tunnel.number = outer == Family::ipv4 ? 1 : 2;
    up_by_hand(tunnel);
    const UdpSocket from(gateway(Side::b).ns, outer_address(Side::b, outer), 7777);
    const auto set = [&](int level, int option, const Bytes& value) {
      EXPECT_EQ(0, setsockopt(from.fd(), level, option, value.data(), static_cast<socklen_t>(value.size())));
    };
    if (outer == Family::ipv4) {
      set(IPPROTO_IP, IP_OPTIONS, options);
    } else {
      set(IPPROTO_IPV6, IPV6_HOPOPTS, hop_by_hop);
      set(IPPROTO_IPV6, IPV6_DSTOPTS, destination);
    }
    EXPECT_EQ(0, from.send({outer_address(Side::a, outer), 7777}, "with options"));
    EXPECT_TRUE(await([&] { return counters(Side::a, tunnel.inbound(Side::a)).packets > 0; }));
    EXPECT_EQ(counters(Side::a, tunnel.inbound(Side::a)).not_authentic, 0U);
    const std::vector<Bytes> frames = on_wire();
    const bool shown = std::any_of(frames.begin(), frames.end(), [&](const Bytes& frame) {
      if (frame.size() < kEthernet + 64) return false;
      if (outer == Family::ipv4) return frame[kEthernet] == 0x4a && frame[kEthernet + 9] == IPPROTO_AH;
      return frame[kEthernet + 6] == IPPROTO_HOPOPTS && frame[kEthernet + 40] == IPPROTO_DSTOPTS &&
             frame[kEthernet + 40 + hop_by_hop.size()] == IPPROTO_AH;
    });
    EXPECT_TRUE(shown) << "they were there";
    down(tunnel);
  }
}

// Linux without `align4` sends 32 bytes of AH where RFC 4302 section 2.6 says 28, and takes no other: ours
// stay at 28. The software plane reads the padded header; the kernel with `align4` drops it.
TEST_F(IpXfrm, LinuxThatPadsToEightBytes) {
  Tunnel tunnel;
  tunnel.protection = Protection::ah;
  tunnel.ah = Integrity::sha256;
  up_by_hand(tunnel, {.padding = AhPadding::to_eight});
  const bool software = gateway(Side::a).with_plane([](DataPlane& p) { return p.name() == "software"; });
  const UdpSocket at_a(host(Side::a), host_address(Side::a, Family::ipv4), 7777);
  const UdpSocket at_b(host(Side::b), host_address(Side::b, Family::ipv4), 7777);
  std::ignore = at_b.send(at_a.local(), "padded");
  EXPECT_EQ(at_a.receive(software ? 3000 : 500), software ? "padded" : "");
  const std::vector<SeenAh> theirs = ah_headers(on_wire());
  ASSERT_FALSE(theirs.empty());
  EXPECT_EQ(theirs.front().bytes, 32U);
  std::ignore = at_a.send(at_b.local(), "as the RFC says");
  EXPECT_TRUE(at_b.receive(500).empty());
  const std::vector<SeenAh> ours = ah_headers(on_wire());
  ASSERT_FALSE(ours.empty());
  EXPECT_EQ(ours.front().bytes, 28U);
}

// RFC 4303 section 2.2.1 and RFC 4302 section 2.5.1 as Linux has them, across a multiple of 2^32, both ways.
TEST_F(IpXfrm, ExtendedSequenceNumbers) {
  Tunnel tunnel;
  for (const auto& [protection, cipher] :
       {std::pair{Protection::esp, EspCipher::aes_128}, std::pair{Protection::esp, EspCipher::gcm_128},
        std::pair{Protection::esp, EspCipher::gmac_128}, std::pair{Protection::ah, EspCipher::aes_128},
        std::pair{Protection::ah_esp, EspCipher::aes_128}}) {
    ++tunnel.generation;
    tunnel.protection = protection;
    tunnel.cipher = cipher;
    tunnel.integrity = protection == Protection::esp && info(cipher).aead()
                           ? std::nullopt
                           : std::optional(Integrity::sha256);
    tunnel.esn = true;
    tunnel.last_sequence = (std::uint64_t{1} << 32) - 3;
    up_by_hand(tunnel);
    for (int i = 0; i < 6; ++i) EXPECT_TRUE(carries()) << info(cipher).name << " " << i;
    const SaCounters counted = counters(Side::a, tunnel.inbound(Side::a));
    EXPECT_GE(counted.packets, 6U);
    EXPECT_EQ(counted.not_authentic, 0U);
    EXPECT_EQ(counted.replayed, 0U);
    down(tunnel);
  }
}

}  // namespace oakgate::test
