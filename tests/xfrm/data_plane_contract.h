// The contract of ike/ports/data_plane.h as tests: the same for both planes, with real packets through two of
// them.
//
//   host a 10.1.0.10 ---- 10.1.0.1 gateway a 192.0.2.1 ====== 192.0.2.2 gateway b 10.2.0.1 ---- 10.2.0.10
//   host b
//     2001:db8:1::10   2001:db8:1::1        2001:db8::1  wire  2001:db8::2        2001:db8:2::1
//     2001:db8:2::10
//
// The gateways know each other's LANs by ordinary routes too: what is not guarded travels in plain, and is
// seen. A test program links the contract_*_test.cc files and defines make_plane(). Keys are fixed, there is
// no IKE. Everything that moves is awaited; what must not arrive is waited for a short while.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "ike/ports/data_plane.h"
#include "tests/xfrm/netns.h"

namespace oakgate::test {

// The plane under test, made in the namespace it is called in. Defined by each test program.
[[nodiscard]] Result<std::unique_ptr<DataPlane>> make_plane();

class Recorder final : public DataPlaneListener {
 public:
  void on_acquire(Reqid reqid) override { acquires.push_back(reqid); }
  void on_soft_limit(const SaId& id, Reqid) override { soft_limits.push_back(id); }
  void on_last_counts(const SaCounters& counts) override { last_counts.push_back(counts); }
  void on_expired(const SaId& id, Reqid) override { expired.push_back(id); }
  void on_ike_datagram(const Endpoint&, const Endpoint&, ByteView datagram) override {
    ike.emplace_back(datagram.begin(), datagram.end());
  }
  void on_peer_moved(const SaId& id, Reqid, const Endpoint& remote) override {
    moved.emplace_back(id, remote);
  }
  void on_unknown_spi(const SaId& id, const IpAddress& remote) override {
    unknown_spis.emplace_back(id, remote);
  }
  void on_warning(const Error& error) override { warnings.push_back(error.text); }

  std::vector<Reqid> acquires;
  std::vector<SaId> soft_limits;
  std::vector<SaCounters> last_counts;
  std::vector<SaId> expired;
  std::vector<std::pair<SaId, Endpoint>> moved;
  std::vector<std::pair<SaId, IpAddress>> unknown_spis;
  std::vector<std::string> ike;
  std::vector<std::string> warnings;
};

struct Gateway {
  Namespace ns;
  std::unique_ptr<DataPlane> plane;
  Recorder heard;
  // Calls the plane where it lives.
  template <typename Body>
  auto with_plane(Body body) {
    return ns.enter([&] { return body(*plane); });
  }
  void dispatch() {
    with_plane([&](DataPlane& p) { p.dispatch(heard); });
  }
};

enum class Side : std::uint8_t { a, b };

// A selector pair between the gateways and the SA pair that serves it; `left` is behind gateway a.
struct Tunnel {
  std::uint32_t number = 1;      // reqid kReqidBase + number
  std::uint32_t generation = 1;  // of the SAs: SPIs and keys follow from both
  Family outer = Family::ipv4;
  Family inner = Family::ipv4;
  std::string left;   // a subnet or FIRST-LAST; empty: host a's LAN, in the inner family
  std::string right;  // empty: host b's LAN
  std::uint8_t protocol = 0;
  std::uint16_t right_port = 0;
  EspCipher cipher = EspCipher::aes_256;
  std::optional<Integrity> integrity = Integrity::sha256;
  Protection protection = Protection::esp;
  EncapsulationMode mode = EncapsulationMode::tunnel;
  Integrity ah = Integrity::sha256;
  bool compression = false;
  bool non_ike_marker = false;  // in UDP as drafts 00 and 01 of NAT traversal have it
  bool udp = false;
  bool acquire = false;
  std::uint16_t replay_window = 64;
  bool esn = false;
  std::uint64_t last_sequence = 0;
  PacketHandling handling;
  KernelTies ties;
  Seconds hard_time{0};
  Kilobytes hard_kilobytes{0};
  Kilobytes soft_kilobytes{0};
  std::uint64_t hard_packets = 0;
  std::uint64_t soft_packets = 0;

  [[nodiscard]] Reqid reqid() const { return Reqid{kReqidBase + number}; }
  [[nodiscard]] ProtectPolicy policy(Side side) const;
  [[nodiscard]] std::vector<SaSpec> sas(Side side) const;  // inbound first
  [[nodiscard]] SaId inbound(Side side) const { return inbound(side, carrier()); }
  [[nodiscard]] SaId inbound(Side side, IpsecProtocol protocol) const;
  // Of a bundle ESP.
  [[nodiscard]] IpsecProtocol carrier() const {
    return protection == Protection::ah ? IpsecProtocol::ah : IpsecProtocol::esp;
  }
  [[nodiscard]] SaId outbound(Side side) const { return inbound(side == Side::a ? Side::b : Side::a); }
};

[[nodiscard]] IpAddress outer_address(Side side, Family family);
[[nodiscard]] IpAddress gateway_lan_address(Side side, Family family);
[[nodiscard]] IpAddress host_address(Side side, Family family);

class DataPlaneContract : public ::testing::Test {
 protected:
  DataPlaneContract();
  void SetUp() override;

  Gateway& gateway(Side side) { return side == Side::a ? a_ : b_; }
  const Namespace& host(Side side) { return side == Side::a ? host_a_ : host_b_; }

  // Each on both sides, expecting success.
  void protect(const Tunnel& tunnel);
  void install(const Tunnel& tunnel);
  void up(const Tunnel& tunnel);  // both
  void remove(const Tunnel& tunnel);
  void unprotect(const Tunnel& tunnel);
  Result<void> install(Side side, const Tunnel& tunnel);
  // A socket on port 4500, exempt and handed over, as the daemon does it.
  // On port 4500; with the non-IKE marker on port 500.
  UdpSocket encapsulation_socket(Side side, Family family, bool non_ike_marker = false);

  // One datagram from each host to the other arrives, tried for up to 5 s.
  bool carries(Family inner = Family::ipv4, std::uint16_t port = 7777);
  // The same between the gateways themselves, by their outer addresses; `size` bytes of payload.
  bool gateways_talk(Family outer = Family::ipv4, std::size_t size = 100);
  // Dispatches both planes until `done`; false after `patience_ms`.
  bool await(const std::function<bool()>& done, int patience_ms = 5000);
  // Whether any frame on the wire since the last call shows a host's datagram in plain. Forgets the others.
  bool leaked();
  // All frames since the last call; those of gateway a first.
  [[nodiscard]] std::vector<Bytes> on_wire();
  SaCounters counters(Side side, const SaId& id);
  // What the plane says it has dropped for that reason.
  std::uint64_t dropped(Side side, DropReason reason);
  // One datagram from a host, not waiting for anything.
  void send(Side from, Family inner, std::uint16_t port = 7777);

  Namespace host_a_;
  Namespace host_b_;
  Gateway a_;
  Gateway b_;
  std::unique_ptr<Sniffer> from_a_;
  std::unique_ptr<Sniffer> from_b_;
};

}  // namespace oakgate::test
