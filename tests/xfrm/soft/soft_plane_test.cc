// What is the software plane's own, with real packets: sizes, ICMP to the hosts, waiting packets, a stream,
// its errors. The topology is data_plane_contract.h's.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <thread>

#include "tests/xfrm/data_plane_contract.h"
#include "xfrm/soft/checksum.h"
#include "xfrm/soft/event_queue.h"
#include "xfrm/soft/inner_packet.h"
#include "xfrm/soft/soft_data_plane.h"

namespace oakgate::test {

using SoftPlane = DataPlaneContract;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

namespace {

constexpr std::size_t kEthernet = 14;

void set_option(const UdpSocket& socket, int level, int option, int value) {
  ASSERT_EQ(0, setsockopt(socket.fd(), level, option, &value, sizeof(value)));
}

sockaddr_in to_sockaddr(const Endpoint& endpoint) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(endpoint.port);
  std::memcpy(&out.sin_addr, endpoint.address.bytes().data(), 4);
  return out;
}

// The IPv4 packets among the frames.
std::vector<Bytes> ipv4_packets(const std::vector<Bytes>& frames) {
  std::vector<Bytes> out;
  for (const Bytes& frame : frames) {
    if (frame.size() > kEthernet + 20 && frame[12] == 8 && frame[13] == 0) {
      out.emplace_back(frame.begin() + kEthernet, frame.end());
    }
  }
  return out;
}

bool is_fragment(const Bytes& packet) {
  return (packet[6] & 0x3f) != 0 || packet[7] != 0;
}

// A connected pair of TCP sockets, `from` a port of any number to `to`.
struct TcpPair {
  FileDescriptor client;
  FileDescriptor server;
};
TcpPair tcp_pair(const Namespace& client_ns, const Namespace& server_ns, const Endpoint& to) {
  const sockaddr_in address = to_sockaddr(to);
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  const auto socket_in = [](const Namespace& ns) {
    return ns.enter([] { return FileDescriptor(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)); });
  };
  const FileDescriptor listener = socket_in(server_ns);
  TcpPair pair{socket_in(client_ns), FileDescriptor()};
  EXPECT_EQ(0, bind(listener.get(), generic, sizeof(address)));
  EXPECT_EQ(0, listen(listener.get(), 1));
  const timeval limit{10, 0};
  for (const int fd : {pair.client.get(), listener.get()}) {
    EXPECT_EQ(0, setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
    EXPECT_EQ(0, setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)));
  }
  EXPECT_EQ(0, connect(pair.client.get(), generic, sizeof(address))) << std::strerror(errno);
  pair.server = FileDescriptor(accept(listener.get(), nullptr, nullptr));
  return pair;
}

std::uint8_t pattern(std::size_t i) {
  return static_cast<std::uint8_t>(i * 31 + (i >> 8) * 7 + (i >> 16));
}

// Sends `size` bytes of the pattern, closing behind them.
void feed(int fd, std::size_t size) {
  Bytes chunk;
  for (std::size_t done = 0; done < size; done += chunk.size()) {
    chunk.resize(std::min<std::size_t>(65536, size - done));
    for (std::size_t i = 0; i < chunk.size(); ++i) chunk[i] = pattern(done + i);
    for (std::size_t at = 0; at < chunk.size();) {
      const ssize_t sent = send(fd, chunk.data() + at, chunk.size() - at, MSG_NOSIGNAL);
      if (sent <= 0) return;
      at += static_cast<std::size_t>(sent);
    }
  }
  shutdown(fd, SHUT_WR);
}

// How many bytes came, as far as they are the pattern's.
std::size_t drain(int fd) {
  Bytes chunk(65536);
  std::size_t done = 0;
  for (;;) {
    const ssize_t got = recv(fd, chunk.data(), chunk.size(), 0);
    if (got <= 0) return done;
    for (std::size_t i = 0; i < static_cast<std::size_t>(got); ++i) {
      if (chunk[i] != pattern(done + i)) return done + i;
    }
    done += static_cast<std::size_t>(got);
  }
}

// What making a plane says in a process of its own that `prepare` has changed: code and text.
std::string error_after(const std::function<bool()>& prepare) {
  int ends[2];
  if (pipe(ends) != 0) return "no pipe";
  const pid_t child = fork();
  if (child == 0) {
    std::string text = "cannot prepare";
    if (prepare()) {
      const auto made = make_soft_data_plane();
      text = made ? "made"
                  : fmt::format("{}: {} / {}", to_string(made.error().code), made.error().text,
                                made.error().expected);
    }
    const bool told = write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size());
    _exit(told ? 0 : 1);
  }
  close(ends[1]);
  std::string out(1000, '\0');
  const ssize_t got = read(ends[0], out.data(), out.size());
  out.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  close(ends[0]);
  waitpid(child, nullptr, 0);
  return out;
}

}  // namespace

TEST_F(SoftPlane, CarriesAStreamBothWays) {
  for (const bool udp : {false, true}) {
    Tunnel tunnel;
    tunnel.number = udp ? 2 : 1;
    tunnel.cipher = udp ? EspCipher::gcm_256 : EspCipher::aes_128;
    tunnel.integrity = udp ? std::nullopt : std::optional(Integrity::sha256);
    tunnel.udp = udp;
    const UdpSocket at_a = encapsulation_socket(Side::a, Family::ipv4);
    const UdpSocket at_b = encapsulation_socket(Side::b, Family::ipv4);
    up(tunnel);
    const TcpPair pair =
        tcp_pair(host_a_, host_b_,
                 {host_address(Side::b, Family::ipv4), static_cast<std::uint16_t>(udp ? 5002 : 5001)});
    constexpr std::size_t kSize = 20'000'000;
    std::size_t at_server = 0;
    std::thread up_link([&] { feed(pair.client.get(), kSize); });
    std::thread down_link([&] { feed(pair.server.get(), kSize / 2); });
    std::thread receiver([&] { at_server = drain(pair.server.get()); });
    const std::size_t at_client = drain(pair.client.get());
    for (std::thread* thread : {&up_link, &down_link, &receiver}) thread->join();
    EXPECT_EQ(at_server, kSize);
    EXPECT_EQ(at_client, kSize / 2);
    EXPECT_GE(counters(Side::b, tunnel.inbound(Side::b)).bytes, kSize);
    EXPECT_EQ(counters(Side::b, tunnel.inbound(Side::b)).not_authentic, 0U);
    for (const Side side : {Side::a, Side::b}) {
      const int fd = side == Side::a ? at_a.fd() : at_b.fd();
      gateway(side).with_plane([&](DataPlane& p) {
        p.detach_encapsulation_socket(fd);
        EXPECT_TRUE(p.unprotect(tunnel.reqid()).has_value());
      });
    }
  }
}

// The outer path is smaller than the TUN: the kernel cannot know, the plane does.
TEST_F(SoftPlane, TellsOfAPathSmallerThanTheDevice) {
  a_.ns.must("ip link set outer mtu 1300");
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    Tunnel tunnel;
    tunnel.number = family == Family::ipv4 ? 1 : 2;
    tunnel.inner = family;
    up(tunnel);
    const bool v4 = family == Family::ipv4;
    const Endpoint to{host_address(Side::b, family), 7777};
    for (const bool from_host : {true, false}) {
      const UdpSocket from(from_host ? host_a_ : a_.ns,
                           from_host ? host_address(Side::a, family) : gateway_lan_address(Side::a, family),
                           0);
      set_option(from, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER,
                 v4 ? IP_PMTUDISC_DO : IPV6_PMTUDISC_DO);
      const std::string text(v4 ? 1260 : 1250, 'x');
      ASSERT_EQ(0, from.send(to, text));
      EXPECT_TRUE(await([&] { return from.send(to, text) == EMSGSIZE; }))
          << (from_host ? "host " : "gateway ") << v4;
    }
    EXPECT_TRUE(carries(family));
  }
}

TEST_F(SoftPlane, FragmentsOutsideWhatMayBeFragmented) {
  a_.ns.must("ip link set outer mtu 1300");
  for (const bool udp : {false, true}) {
    Tunnel tunnel;
    tunnel.number = udp ? 2 : 1;
    tunnel.udp = udp;
    if (udp) tunnel.right = "10.2.0.10/32";
    const UdpSocket at_a = encapsulation_socket(Side::a, Family::ipv4);
    const UdpSocket at_b = encapsulation_socket(Side::b, Family::ipv4);
    up(tunnel);
    const UdpSocket from(host_a_, host_address(Side::a, Family::ipv4), 0);
    const UdpSocket to(host_b_, host_address(Side::b, Family::ipv4), 7777);
    set_option(from, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
    std::ignore = on_wire();
    const std::string text(1350, 'x');
    ASSERT_EQ(0, from.send(to.local(), text));
    EXPECT_EQ(text, to.receive()) << (udp ? "in UDP" : "native");
    int fragments = 0;
    for (const Bytes& packet : ipv4_packets(on_wire())) {
      fragments += is_fragment(packet) ? 1 : 0;
      EXPECT_LE(packet.size(), 1300U);
    }
    EXPECT_EQ(fragments, 2);
    for (const Side side : {Side::a, Side::b}) {
      const int fd = side == Side::a ? at_a.fd() : at_b.fd();
      gateway(side).with_plane([&](DataPlane& p) { p.detach_encapsulation_socket(fd); });
    }
  }
}

// DF is copied (RFC 4301 section 8.1), and so are DSCP and ECN.
TEST_F(SoftPlane, OuterHeaderFollowsTheInner) {
  const Tunnel tunnel;
  up(tunnel);
  const UdpSocket to(host_b_, host_address(Side::b, Family::ipv4), 7777);
  for (const bool df : {true, false}) {
    const UdpSocket from(host_a_, host_address(Side::a, Family::ipv4), 0);
    set_option(from, IPPROTO_IP, IP_MTU_DISCOVER, df ? IP_PMTUDISC_DO : IP_PMTUDISC_DONT);
    set_option(from, IPPROTO_IP, IP_TOS, 0xba);
    std::ignore = on_wire();
    ASSERT_EQ(0, from.send(to.local(), "text"));
    ASSERT_EQ("text", to.receive());
    const auto packets = ipv4_packets(on_wire());
    ASSERT_EQ(packets.size(), 1U);
    EXPECT_EQ(packets[0][9], 50);
    EXPECT_EQ((packets[0][6] & 0x40) != 0, df);
    EXPECT_EQ(packets[0][1], 0xba);
  }
}

// A router far away says that its link is small: ICMP about our ESP packet (RFC 1191).
TEST_F(SoftPlane, LearnsThePathMtuFromTheNetwork) {
  const Tunnel tunnel;
  up(tunnel);
  const Endpoint to{host_address(Side::b, Family::ipv4), 7777};
  const UdpSocket from(host_a_, host_address(Side::a, Family::ipv4), 0);
  set_option(from, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO);
  std::ignore = on_wire();
  ASSERT_EQ(0, from.send(to, std::string(1300, 'x')));
  std::vector<Bytes> packets;
  ASSERT_TRUE(await([&] { return !(packets = ipv4_packets(on_wire())).empty(); }));
  const Bytes& esp = packets[0];
  Bytes icmp = *from_hex("03040000000004b0");  // fragmentation needed, 1200 bytes
  icmp.insert(icmp.end(), esp.begin(), esp.begin() + 28);
  const std::uint16_t checksum = soft::internet_checksum(icmp);
  icmp[2] = static_cast<std::uint8_t>(checksum >> 8);
  icmp[3] = static_cast<std::uint8_t>(checksum);
  const FileDescriptor raw =
      b_.ns.enter([] { return FileDescriptor(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)); });
  const sockaddr_in gateway_a = to_sockaddr({outer_address(Side::a, Family::ipv4), 0});
  ASSERT_GT(sendto(raw.get(), icmp.data(), icmp.size(), 0, reinterpret_cast<const sockaddr*>(&gateway_a),
                   sizeof(gateway_a)),
            0);
  EXPECT_TRUE(await([&] { return from.send(to, std::string(1300, 'x')) == EMSGSIZE; }));
  EXPECT_TRUE(carries());
}

TEST_F(SoftPlane, TheFirstPacketWaitsForItsSa) {
  Tunnel tunnel;
  tunnel.acquire = true;
  protect(tunnel);
  const UdpSocket from(host_a_, host_address(Side::a, Family::ipv4), 0);
  const UdpSocket to(host_b_, host_address(Side::b, Family::ipv4), 7777);
  ASSERT_EQ(0, from.send(to.local(), "the very first"));
  ASSERT_TRUE(await([&] { return !a_.heard.acquires.empty(); }));
  ASSERT_TRUE(install(Side::b, tunnel).has_value());
  ASSERT_TRUE(install(Side::a, tunnel).has_value());
  EXPECT_EQ("the very first", to.receive());
}

TEST_F(SoftPlane, HostsAreToldWhatIsProhibited) {
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    Tunnel tunnel;
    tunnel.number = family == Family::ipv4 ? 1 : 2;
    tunnel.inner = family;
    protect(tunnel);
    const bool v4 = family == Family::ipv4;
    const UdpSocket from(host_a_, host_address(Side::a, family), 0);
    set_option(from, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_RECVERR : IPV6_RECVERR, 1);
    const Endpoint to{host_address(Side::b, family), 7777};
    ASSERT_EQ(0, from.send(to, "x"));
    EXPECT_TRUE(await([&] { return from.send(to, "x") == (v4 ? EHOSTUNREACH : EACCES); }));
  }
}

TEST_F(SoftPlane, GatewaysOwnAddressesAreReached) {
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    Tunnel tunnel;
    tunnel.number = family == Family::ipv4 ? 1 : 2;
    tunnel.inner = family;
    up(tunnel);
    const UdpSocket from(host_a_, host_address(Side::a, family), 0);
    const UdpSocket to(b_.ns, gateway_lan_address(Side::b, family), 7777);
    ASSERT_EQ(0, from.send(to.local(), "to the gateway"));
    Endpoint who;
    EXPECT_EQ("to the gateway", to.receive(3000, &who));
    ASSERT_EQ(0, to.send(who, "its answer"));
    EXPECT_EQ("its answer", from.receive());
  }
  // The same from outside, in plain, is refused: gateway b has given up, gateway a has not.
  b_.with_plane([](DataPlane& p) { p.shut_down(); });
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    const UdpSocket injector(b_.ns, gateway_lan_address(Side::b, family), 0);
    const UdpSocket victim(a_.ns, gateway_lan_address(Side::a, family), 7778);
    ASSERT_EQ(0, injector.send(victim.local(), "injected"));
    EXPECT_EQ("", victim.receive(200));
    ASSERT_TRUE(a_.with_plane([&](DataPlane& p) {
                    return p.unprotect(Reqid{kReqidBase + (family == Family::ipv4 ? 1 : 2)});
                  }).has_value());
    ASSERT_EQ(0, injector.send(victim.local(), "injected"));
    EXPECT_EQ("injected", victim.receive()) << "else the line above proved nothing";
  }
}

TEST_F(SoftPlane, OnTheEncapsulationPortOnlyIkeIsHandedUp) {
  const UdpSocket at_b = encapsulation_socket(Side::b, Family::ipv4);
  const UdpSocket from(a_.ns, outer_address(Side::a, Family::ipv4), 0);
  using namespace std::string_view_literals;
  for (const auto text :
       {"\xff"sv, "\0"sv, "\0\0\0\0"sv, "ab"sv, "\0\0\1\1\0\0\0\1garbage"sv, "\0\0\0\0IKE"sv}) {
    ASSERT_EQ(0, from.send(at_b.local(), text));
  }
  EXPECT_TRUE(await([&] { return !b_.heard.ike.empty(); }));
  EXPECT_THAT(b_.heard.ike, ElementsAre("IKE"));
}

TEST_F(SoftPlane, AFloodOfIkeIsBoundedAndLeavesTheRestItsPlace) {
  Tunnel tunnel;
  tunnel.acquire = true;
  protect(tunnel);
  const UdpSocket at_a = encapsulation_socket(Side::a, Family::ipv4);
  const UdpSocket from(b_.ns, outer_address(Side::b, Family::ipv4), 0);
  for (std::size_t i = 0; i < 3 * soft::EventQueue::kMaxIke; ++i) {
    ASSERT_EQ(0, from.send(at_a.local(), std::string(4, '\0') + "flood"));
    if (i % 32 == 31)
      static_cast<void>(counters(Side::a, tunnel.inbound(Side::a)));  // the worker has its turn
  }
  send(Side::a, Family::ipv4);
  EXPECT_TRUE(await([&] { return !a_.heard.acquires.empty() && !a_.heard.warnings.empty(); }));
  // At once there is room for kMaxIke (event_queue_test.cc); more may have come after some were fetched.
  EXPECT_LT(a_.heard.ike.size(), 3 * soft::EventQueue::kMaxIke);
  EXPECT_THAT(a_.heard.warnings[0], HasSubstr("IKE datagrams were dropped"));
}

// Somebody deletes the TUN while packets come: none of them goes out in plain, and they are carried again
// soon.
TEST_F(SoftPlane, MakesALostDeviceAnew) {
  Tunnel tunnel;
  Tunnel six;
  six.number = 2;
  six.inner = Family::ipv6;
  up(tunnel);
  up(six);
  ASSERT_TRUE(carries());
  ASSERT_TRUE(carries(Family::ipv6));
  const std::string before = a_.ns.output("ip -o link show dev oakgate0 | cut -d: -f1");
  for (const bool again : {false, true}) {
    a_.heard.warnings.clear();
    for (int i = 0; i < 20; ++i) {
      send(Side::a, Family::ipv4);
      send(Side::b, Family::ipv4);
      if (i == 5) a_.ns.must("ip link del oakgate0");
    }
    ASSERT_TRUE(await([&] {
      send(Side::a, Family::ipv4);
      send(Side::a, Family::ipv6);
      return !a_.heard.warnings.empty();
    }));
    EXPECT_THAT(a_.heard.warnings[0],
                HasSubstr("the TUN device oakgate0 was deleted, and has been made anew"));
    EXPECT_EQ(a_.heard.warnings[0].find("2. time") != std::string::npos, again);
    // The guard's routes come back when it hears of the device.
    ASSERT_TRUE(await([&] { return !a_.ns.output("ip route show table all dev oakgate0").empty(); }));
    EXPECT_TRUE(carries());
    EXPECT_TRUE(carries(Family::ipv6));
    EXPECT_EQ(a_.ns.output("ip -o link show dev oakgate0 | cut -d: -f1"), before) << "the index stays";
    EXPECT_THAT(a_.ns.output("ip -o link show dev oakgate0"), HasSubstr("mtu 1400"));
  }
  EXPECT_FALSE(leaked());
}

// While its name is taken it is tried again and again.
TEST_F(SoftPlane, WaitsForTheNameOfALostDevice) {
  Tunnel tunnel;
  up(tunnel);
  a_.ns.must(
      "ip link set oakgate0 down; ip link set oakgate0 name mine; ip link add oakgate0 type veth peer name "
      "other; ip link "
      "del mine");
  ASSERT_TRUE(await([&] { return !a_.heard.warnings.empty(); }));
  EXPECT_THAT(a_.heard.warnings[0], HasSubstr("cannot be made anew yet"));
  send(Side::a, Family::ipv4);
  a_.ns.must("ip link del oakgate0");
  ASSERT_TRUE(await([&] { return a_.heard.warnings.size() > 1; }));
  EXPECT_THAT(a_.heard.warnings[1], HasSubstr("has been made anew"));
  EXPECT_TRUE(carries());
  EXPECT_FALSE(leaked());
}

TEST_F(SoftPlane, TellsThatNoSocketFits) {
  Tunnel tunnel;
  tunnel.udp = true;
  up(tunnel);
  send(Side::a, Family::ipv4);
  EXPECT_TRUE(await([&] { return !a_.heard.warnings.empty(); }));
  EXPECT_THAT(a_.heard.warnings[0], HasSubstr("no socket"));
}

TEST_F(SoftPlane, TwoPlanesTakeTwoDevices) {
  const auto second = a_.ns.enter([] { return make_soft_data_plane(); });
  ASSERT_TRUE(second.has_value()) << second.error().text;
  EXPECT_THAT(a_.ns.output("ip -o link show dev oakgate1"), HasSubstr("mtu 1400"));
}

// A service with ProtectKernelTunables= cannot write /proc/sys.
TEST_F(SoftPlane, CarriesIpv6WithoutTheRightToSetTheDeviceUp) {
  a_.with_plane([](DataPlane& p) { p.shut_down(); });
  // A thread of its own, for the mounts are the thread's.
  std::thread([&] {
    a_.ns.enter([&] {
      ASSERT_EQ(0, unshare(CLONE_FS | CLONE_NEWNS));
      ASSERT_EQ(0, mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr));
      ASSERT_EQ(0, mount("/proc/sys", "/proc/sys", nullptr, MS_BIND, nullptr));
      ASSERT_EQ(0, mount(nullptr, "/proc/sys", nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr));
      auto made = make_soft_data_plane();
      ASSERT_TRUE(made.has_value()) << made.error().text;
      a_.plane = std::move(*made);
    });
  }).join();
  ASSERT_TRUE(a_.plane);
  Tunnel tunnel;
  tunnel.inner = Family::ipv6;
  up(tunnel);
  EXPECT_TRUE(carries(Family::ipv6));
  EXPECT_THAT(a_.heard.warnings, ::testing::IsEmpty());
  const UdpSocket from(host_b_, host_address(Side::b, Family::ipv6), 0);
  const UdpSocket to(a_.ns, gateway_lan_address(Side::a, Family::ipv6), 7777);
  ASSERT_EQ(0, from.send(to.local(), "to the gateway"));
  EXPECT_EQ("to the gateway", to.receive());
  a_.with_plane([](DataPlane& p) { p.shut_down(); });
  EXPECT_EQ("", a_.ns.output("nft list tables; ip xfrm policy list nosock"));
}

TEST(SoftPlaneErrors, NoDeviceNode) {
  const std::string told = error_after([] {
    return unshare(CLONE_NEWNS | CLONE_NEWNET) == 0 &&
           mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
           mount("none", "/dev/net", "tmpfs", 0, nullptr) == 0;
  });
  EXPECT_THAT(told, HasSubstr("not-found"));
  EXPECT_THAT(told, HasSubstr("/dev/net/tun"));
}

TEST(SoftPlaneErrors, NoPrivileges) {
  const std::string told =
      error_after([] { return unshare(CLONE_NEWNET) == 0 && setgid(65534) == 0 && setuid(65534) == 0; });
  EXPECT_THAT(told, HasSubstr("not-permitted"));
  EXPECT_THAT(told, HasSubstr("TUN device"));
}

}  // namespace oakgate::test
