// Several workers and several tunnels between the same gateways, so that packets arrive at workers that do
// not own them: what comes of it is what one worker makes of it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <thread>

#include "tests/xfrm/data_plane_contract.h"

namespace oakgate::test {
namespace {

constexpr std::uint16_t kFirstPort = 7000;
constexpr int kTunnels = 5;

class WorkerSharing : public DataPlaneContract {
 protected:
  // A tunnel for each of some UDP ports of host b.
  static Tunnel tunnel_of(int number, bool udp) {
    Tunnel tunnel;
    tunnel.number = static_cast<std::uint32_t>(number + 1);
    tunnel.protocol = 17;
    tunnel.right_port = static_cast<std::uint16_t>(kFirstPort + number);
    tunnel.udp = udp;
    tunnel.replay_window = 4096;
    return tunnel;
  }
};

// Reads what `socket` gets until nothing more comes. How many of the numbers that it was sent, none twice and
// none after a higher one.
int in_order(const UdpSocket& socket, std::string& wrong) {
  int last = -1;
  int count = 0;
  for (std::string got = socket.receive(1000); !got.empty(); got = socket.receive(300)) {
    const int number = std::atoi(got.c_str());
    if (number <= last) wrong += fmt::format("{} after {}; ", number, last);
    last = number;
    ++count;
  }
  return count;
}

TEST_F(WorkerSharing, FlowsStayInOrder) {
  constexpr int kDatagrams = 1500;
  for (const bool udp : {false, true}) {
    SCOPED_TRACE(udp ? "in UDP" : "native");
    const UdpSocket ours = encapsulation_socket(Side::a, Family::ipv4);
    const UdpSocket theirs = encapsulation_socket(Side::b, Family::ipv4);
    std::vector<UdpSocket> at_a;
    std::vector<UdpSocket> at_b;
    for (int i = 0; i < kTunnels; ++i) {
      up(tunnel_of(i, udp));
      const auto port = static_cast<std::uint16_t>(kFirstPort + i);
      at_a.emplace_back(host_a_, host_address(Side::a, Family::ipv4), static_cast<std::uint16_t>(port + 100));
      at_b.emplace_back(host_b_, host_address(Side::b, Family::ipv4), port);
    }
    // A datagram each way first: the kernel may then move a flow from one queue of the TUN to another, once.
    for (int i = 0; i < kTunnels; ++i) {
      ASSERT_EQ(0, at_a[i].send(at_b[i].local(), "there"));
      ASSERT_EQ(at_b[i].receive(), "there") << i;
      ASSERT_EQ(0, at_b[i].send(at_a[i].local(), "back"));
      ASSERT_EQ(at_a[i].receive(), "back") << i;
    }
    const auto send_all = [](const std::vector<UdpSocket>& from, const std::vector<UdpSocket>& to) {
      for (int number = 0; number < kDatagrams; ++number) {
        for (int i = 0; i < kTunnels; ++i) {
          static_cast<void>(from[i].send(to[i].local(), std::to_string(number)));
        }
      }
    };
    std::thread there([&] { send_all(at_a, at_b); });
    std::thread back([&] { send_all(at_b, at_a); });
    there.join();
    back.join();
    for (int i = 0; i < kTunnels; ++i) {
      for (const auto* sockets : {&at_a, &at_b}) {
        std::string wrong;
        EXPECT_GT(in_order((*sockets)[i], wrong), 100) << i;
        EXPECT_EQ(wrong, "") << i;
      }
      const SaCounters seen = counters(Side::b, tunnel_of(i, udp).inbound(Side::b));
      EXPECT_EQ(seen.replayed, 0U);
      EXPECT_GT(seen.packets, 100U);
    }
    for (int i = 0; i < kTunnels; ++i) unprotect(tunnel_of(i, udp)), remove(tunnel_of(i, udp));
    for (const Side side : {Side::a, Side::b}) {
      const int fd = side == Side::a ? ours.fd() : theirs.fd();
      gateway(side).with_plane([fd](DataPlane& p) { p.detach_encapsulation_socket(fd); });
    }
  }
}

// Whichever worker sees the packet: one acquire, and the packet leaves when its SA comes.
TEST_F(WorkerSharing, ThePacketThatAcquiresIsCarried) {
  std::vector<UdpSocket> at_b;
  for (int i = 0; i < kTunnels; ++i) {
    Tunnel tunnel = tunnel_of(i, false);
    tunnel.acquire = true;
    protect(tunnel);
    at_b.emplace_back(host_b_, host_address(Side::b, Family::ipv4), tunnel.right_port);
    send(Side::a, Family::ipv4, tunnel.right_port);
    send(Side::a, Family::ipv4, tunnel.right_port);
  }
  ASSERT_TRUE(await([&] { return a_.heard.acquires.size() >= kTunnels; }));
  EXPECT_EQ(a_.heard.acquires.size(), std::size_t{kTunnels});
  for (int i = 0; i < kTunnels; ++i) {
    ASSERT_TRUE(install(Side::b, tunnel_of(i, false)));
    ASSERT_TRUE(install(Side::a, tunnel_of(i, false)));
    EXPECT_NE(at_b[i].receive(), "") << i;
    EXPECT_NE(at_b[i].receive(), "") << i;
  }
}

// All or none, though the SAs of one call have several owners.
TEST_F(WorkerSharing, InstallsAllOrNone) {
  for (int i = 0; i < 3; ++i) protect(tunnel_of(i, false));
  ASSERT_TRUE(install(Side::a, tunnel_of(2, false)));
  const auto all = [&] {
    std::vector<SaSpec> sas;
    for (int i = 0; i < 3; ++i) {
      for (SaSpec& sa : tunnel_of(i, false).sas(Side::a)) sas.push_back(std::move(sa));
    }
    return gateway(Side::a).with_plane([&](DataPlane& p) { return p.install(sas); });
  };
  const auto refused = all();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::in_use);
  // Of the refused call nothing stays: its SAs may come again.
  std::vector<SaId> third;
  for (const SaSpec& sa : tunnel_of(2, false).sas(Side::a)) third.push_back(sa.id);
  ASSERT_TRUE(gateway(Side::a).with_plane([&](DataPlane& p) { return p.remove(third); }));
  EXPECT_TRUE(all());
}

}  // namespace
}  // namespace oakgate::test
