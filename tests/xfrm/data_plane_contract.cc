#include "tests/xfrm/data_plane_contract.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <chrono>

namespace oakgate::test {

namespace {

constexpr std::string_view kMarker = "the plaintext of a host's datagram";

const char* lan(Side side, Family family) {
  if (family == Family::ipv4) return side == Side::a ? "10.1.0.0/24" : "10.2.0.0/24";
  return side == Side::a ? "2001:db8:1::/64" : "2001:db8:2::/64";
}

Side other(Side side) {
  return side == Side::a ? Side::b : Side::a;
}

IpAddress address(const std::string& text) {
  return IpAddress::parse(text).value();
}

Selector selector(const std::string& text, std::uint8_t protocol, std::uint16_t port) {
  const std::size_t dash = text.find('-');
  if (dash == std::string::npos) return {*Subnet::parse(text), protocol, port};
  return Selector::of_range({address(text.substr(0, dash)), address(text.substr(dash + 1))}, protocol, port);
}

// Fixed keys that differ for each SA.
SecretBytes key(std::size_t size, std::uint32_t spi, std::uint8_t salt) {
  SecretBytes out(size);
  std::uint32_t state = spi * 2654435761U + salt;
  for (std::uint8_t& byte : out.mutable_view()) {
    state = state * 1664525U + 1013904223U;
    byte = static_cast<std::uint8_t>(state >> 24);
  }
  return out;
}

bool shows_marker(const Bytes& frame) {
  return std::search(frame.begin(), frame.end(), kMarker.begin(), kMarker.end()) != frame.end();
}

void configure(Side side, const Namespace& host, const Namespace& gateway) {
  const int n = side == Side::a ? 1 : 2;
  connect(host, "eth0", gateway, "lan");
  gateway.must(
      fmt::format("ip addr add 10.{0}.0.1/24 dev lan; ip addr add 2001:db8:{0}::1/64 dev lan nodad;"
                  "ip addr add 192.0.2.{0}/24 dev outer; ip addr add 2001:db8::{0}/64 dev outer nodad",
                  n));
  host.must(
      fmt::format("ip addr add 10.{0}.0.10/24 dev eth0; ip addr add 2001:db8:{0}::10/64 dev eth0 nodad;"
                  "ip route add default via 10.{0}.0.1; ip -6 route add default via 2001:db8:{0}::1",
                  n));
  // Whoever looks for a LAN's host on the wire finds the gateway before it: no leak fails for want of an
  // answer.
  gateway.must(
      fmt::format("cd /proc/sys/net; echo 1 >ipv4/conf/outer/proxy_arp; echo 1 >ipv6/conf/outer/proxy_ndp;"
                  "echo 0 >ipv4/neigh/outer/proxy_delay; echo 0 >ipv6/neigh/outer/proxy_delay;"
                  "ip neigh add proxy 2001:db8:{}::10 dev outer",
                  n));
  const int m = 3 - n;
  gateway.must(
      fmt::format("ip route add 10.{0}.0.0/24 via 192.0.2.{0};"
                  "ip -6 route add 2001:db8:{0}::/64 via 2001:db8::{0}",
                  m));
}

}  // namespace

IpAddress outer_address(Side side, Family family) {
  return address(
      fmt::format("{}{}", family == Family::ipv4 ? "192.0.2." : "2001:db8::", side == Side::a ? 1 : 2));
}

IpAddress gateway_lan_address(Side side, Family family) {
  const int n = side == Side::a ? 1 : 2;
  return address(family == Family::ipv4 ? fmt::format("10.{}.0.1", n) : fmt::format("2001:db8:{}::1", n));
}

IpAddress host_address(Side side, Family family) {
  const int n = side == Side::a ? 1 : 2;
  return address(family == Family::ipv4 ? fmt::format("10.{}.0.10", n) : fmt::format("2001:db8:{}::10", n));
}

ProtectPolicy Tunnel::policy(Side side) const {
  const Selector behind_a = selector(left.empty() ? lan(Side::a, inner) : left, protocol, 0);
  const Selector behind_b = selector(right.empty() ? lan(Side::b, inner) : right, protocol, right_port);
  ProtectPolicy policy;
  policy.reqid = reqid();
  policy.selectors = side == Side::a ? SelectorPair{behind_a, behind_b} : SelectorPair{behind_b, behind_a};
  policy.local_gateway = outer_address(side, outer);
  policy.remote_gateway = outer_address(other(side), outer);
  policy.acquire = acquire;
  policy.mode = mode;
  policy.protection = protection;
  policy.compression = compression;
  policy.ties = ties;
  return policy;
}

SaId Tunnel::inbound(Side side, IpsecProtocol of) const {
  // A CPI has 16 bits (RFC 3173).
  const std::uint32_t cpi = (side == Side::a ? 0x1000U : 0x2000U) + number * 0x10U + generation;
  if (of == IpsecProtocol::comp) return {outer_address(side, outer), of, Spi{cpi}};
  const std::uint32_t spi = 0x1000'0000U * (side == Side::a ? 1 : 2) + number * 0x1'0000U + generation * 2;
  return {outer_address(side, outer), of, Spi{of == IpsecProtocol::ah ? spi + 1 : spi}};
}

std::vector<SaSpec> Tunnel::sas(Side side) const {
  std::vector<SaSpec> specs;
  const bool bundle = protection == Protection::ah_esp;
  const auto make = [&](Direction direction, IpsecProtocol of) {
    const bool in = direction == Direction::in;
    const bool is_ah = of == IpsecProtocol::ah;
    const bool is_comp = of == IpsecProtocol::comp;
    const Side receiver = in ? side : other(side);
    SaSpec sa;
    sa.direction = direction;
    sa.id = inbound(receiver, of);
    sa.over_ipcomp = compression && !is_comp;
    sa.mode = (bundle && is_ah) || sa.over_ipcomp ? EncapsulationMode::transport : mode;
    if (bundle && !is_comp) sa.bundle = inbound(receiver, is_ah ? IpsecProtocol::esp : IpsecProtocol::ah);
    sa.source = outer_address(in ? other(side) : side, outer);
    sa.reqid = reqid();
    sa.selectors = policy(side).selectors;
    if (is_comp) {
      sa.compression = Compression::deflate;
    } else {
      sa.integrity = is_ah ? std::optional(ah) : integrity;
    }
    if (of == IpsecProtocol::esp) {
      sa.cipher = cipher;
      sa.encryption_key = key(info(cipher).key_bytes + info(cipher).salt_bytes, sa.id.spi.value, 1);
    }
    if (sa.integrity) sa.integrity_key = key(info(*sa.integrity).key_bytes, sa.id.spi.value, 2);
    sa.replay_window = replay_window;
    sa.esn = esn;
    sa.last_sequence = last_sequence;
    sa.handling = handling;
    sa.ties = ties;
    if (udp && !is_comp) sa.encapsulation = UdpEncapsulation{};
    if (non_ike_marker && !is_comp) sa.encapsulation = UdpEncapsulation{500, 500, true};
    sa.hard_time = hard_time;
    sa.hard_kilobytes = hard_kilobytes;
    sa.soft_kilobytes = soft_kilobytes;
    sa.hard_packets = hard_packets;
    sa.soft_packets = soft_packets;
    specs.push_back(std::move(sa));
  };
  for (const Direction direction : {Direction::in, Direction::out}) {
    make(direction, carrier());
    if (bundle) make(direction, IpsecProtocol::ah);
    if (compression) make(direction, IpsecProtocol::comp);
  }
  return specs;
}

DataPlaneContract::DataPlaneContract() {
  connect(a_.ns, "outer", b_.ns, "outer");
  configure(Side::a, host_a_, a_.ns);
  configure(Side::b, host_b_, b_.ns);
  from_a_ = std::make_unique<Sniffer>(a_.ns, "outer");
  from_b_ = std::make_unique<Sniffer>(b_.ns, "outer");
}

void DataPlaneContract::SetUp() {
  for (Gateway* gateway : {&a_, &b_}) {
    auto made = gateway->ns.enter([] { return make_plane(); });
    ASSERT_TRUE(made.has_value()) << made.error().text;
    gateway->plane = std::move(*made);
  }
}

void DataPlaneContract::protect(const Tunnel& tunnel) {
  for (const Side side : {Side::a, Side::b}) {
    const auto done = gateway(side).with_plane([&](DataPlane& p) { return p.protect(tunnel.policy(side)); });
    ASSERT_TRUE(done.has_value()) << done.error().text;
  }
}

Result<void> DataPlaneContract::install(Side side, const Tunnel& tunnel) {
  const std::vector<SaSpec> sas = tunnel.sas(side);
  return gateway(side).with_plane([&](DataPlane& p) { return p.install(sas); });
}

void DataPlaneContract::install(const Tunnel& tunnel) {
  for (const Side side : {Side::a, Side::b}) {
    const auto done = install(side, tunnel);
    ASSERT_TRUE(done.has_value()) << done.error().text;
  }
}

void DataPlaneContract::up(const Tunnel& tunnel) {
  protect(tunnel);
  install(tunnel);
}

void DataPlaneContract::remove(const Tunnel& tunnel) {
  for (const Side side : {Side::a, Side::b}) {
    std::vector<SaId> ids;
    for (const SaSpec& sa : tunnel.sas(side)) ids.push_back(sa.id);
    const auto done = gateway(side).with_plane([&](DataPlane& p) { return p.remove(ids); });
    ASSERT_TRUE(done.has_value()) << done.error().text;
  }
}

void DataPlaneContract::unprotect(const Tunnel& tunnel) {
  for (const Side side : {Side::a, Side::b}) {
    const auto gone = gateway(side).with_plane([&](DataPlane& p) { return p.unprotect(tunnel.reqid()); });
    EXPECT_TRUE(gone.has_value()) << gone.error().text;
  }
}

UdpSocket DataPlaneContract::encapsulation_socket(Side side, Family family, bool non_ike_marker) {
  const std::uint16_t port = non_ike_marker ? 500 : 4500;
  const IpAddress bound = outer_address(side, family);
  UdpSocket socket(gateway(side).ns, bound, port);
  gateway(side).with_plane([&](DataPlane& p) {
    const auto exempt = p.exempt_socket(socket.fd(), family);
    EXPECT_TRUE(exempt.has_value()) << exempt.error().text;
    const auto attached = p.attach_encapsulation_socket(socket.fd(), {bound, port}, non_ike_marker);
    EXPECT_TRUE(attached.has_value()) << attached.error().text;
  });
  return socket;
}

void DataPlaneContract::send(Side from, Family inner, std::uint16_t port) {
  const UdpSocket sender(host(from), host_address(from, inner), 0);
  static_cast<void>(sender.send({host_address(other(from), inner), port}, kMarker));
}

namespace {

bool delivers(const UdpSocket& from, const UdpSocket& to, std::size_t size = 0) {
  static std::uint32_t count = 0;
  std::string text = fmt::format("{} {}", kMarker, ++count);
  if (text.size() < size) text.resize(size, '.');
  for (int attempt = 0; attempt < 5; ++attempt) {
    if (from.send(to.local(), text) != 0) continue;
    // What waited for the SA may come first.
    for (std::string got = to.receive(1000); !got.empty(); got = to.receive(1000)) {
      if (got == text) return true;
    }
  }
  return false;
}

}  // namespace

bool DataPlaneContract::carries(Family inner, std::uint16_t port) {
  const UdpSocket at_a(host_a_, host_address(Side::a, inner), port);
  const UdpSocket at_b(host_b_, host_address(Side::b, inner), port);
  return delivers(at_a, at_b) && delivers(at_b, at_a);
}

bool DataPlaneContract::gateways_talk(Family outer, std::size_t size) {
  const UdpSocket at_a(a_.ns, outer_address(Side::a, outer), 7777);
  const UdpSocket at_b(b_.ns, outer_address(Side::b, outer), 7777);
  return delivers(at_a, at_b, size) && delivers(at_b, at_a, size);
}

bool DataPlaneContract::await(const std::function<bool()>& done, int patience_ms) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(patience_ms);
  while (!done()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    pollfd planes[] = {{a_.plane ? a_.plane->fd() : -1, POLLIN, 0},
                       {b_.plane ? b_.plane->fd() : -1, POLLIN, 0}};
    poll(planes, 2, 20);  // counters have no descriptor: look again after 20 ms
    if ((planes[0].revents & POLLIN) != 0) a_.dispatch();
    if ((planes[1].revents & POLLIN) != 0) b_.dispatch();
  }
  return true;
}

std::vector<Bytes> DataPlaneContract::on_wire() {
  std::vector<Bytes> frames = from_a_->take();
  std::vector<Bytes> more = from_b_->take();
  std::move(more.begin(), more.end(), std::back_inserter(frames));
  return frames;
}

bool DataPlaneContract::leaked() {
  const std::vector<Bytes> frames = on_wire();
  return std::any_of(frames.begin(), frames.end(), shows_marker);
}

std::uint64_t DataPlaneContract::dropped(Side side, DropReason reason) {
  const auto drops = gateway(side).with_plane([](DataPlane& p) { return p.drops(); });
  EXPECT_TRUE(drops.has_value()) << (drops ? "" : drops.error().text);
  return drops ? drops->of(reason) : 0;
}

SaCounters DataPlaneContract::counters(Side side, const SaId& id) {
  const auto found = gateway(side).with_plane([&](DataPlane& p) { return p.counters({&id, 1}); });
  EXPECT_TRUE(found.has_value()) << found.error().text;
  return found && found->size() == 1 ? found->front() : SaCounters{};
}

}  // namespace oakgate::test
