// Two sets of sockets talk over loopback, on ports nobody else has.
#include "daemon/sockets.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <unistd.h>

#include <array>

#include "daemon/sockaddr.h"

namespace oakgate {
namespace {

const IpAddress kLoopback = *IpAddress::parse("127.0.0.1");
const IpAddress kOther = *IpAddress::parse("127.0.0.2");

// A UDP socket of the test's own, bound to a port of the kernel's choice.
struct PlainSocket {
  explicit PlainSocket(const IpAddress& address) : fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    const SocketAddress bound = to_socket_address({address, 0});
    EXPECT_EQ(::bind(fd.get(), bound.get(), bound.length), 0);
    SocketAddress name;
    name.length = sizeof name.storage;
    EXPECT_EQ(::getsockname(fd.get(), name.get(), &name.length), 0);
    endpoint = *from_socket_address(name.storage);
  }
  void send(const Endpoint& to, const Bytes& data) const {
    const SocketAddress address = to_socket_address(to);
    EXPECT_EQ(::sendto(fd.get(), data.data(), data.size(), 0, address.get(), address.length),
              static_cast<ssize_t>(data.size()));
  }
  [[nodiscard]] std::pair<Bytes, Endpoint> receive() const {
    pollfd one{fd.get(), POLLIN, 0};
    EXPECT_EQ(::poll(&one, 1, 5000), 1);
    std::array<std::uint8_t, 2000> data{};
    SocketAddress from;
    from.length = sizeof from.storage;
    const ssize_t got = ::recvfrom(fd.get(), data.data(), data.size(), 0, from.get(), &from.length);
    EXPECT_GE(got, 0);
    const auto size = static_cast<std::ptrdiff_t>(std::max<ssize_t>(got, 0));
    return {Bytes(data.begin(), data.begin() + size), from_socket_address(from.storage).value_or(Endpoint{})};
  }
  UniqueFd fd;
  Endpoint endpoint;
};

// Two ports that were free a moment ago.
UdpPorts free_ports() {
  const PlainSocket a(kLoopback);
  const PlainSocket b(kLoopback);
  return {a.endpoint.port, b.endpoint.port};
}

struct Received {
  Endpoint local;
  Endpoint remote;
  Bytes data;
};

std::vector<Received> receive_all(UdpSockets& sockets, const UdpSocket& socket, int at_least) {
  std::vector<Received> all;
  pollfd one{socket.fd.get(), POLLIN, 0};
  while (static_cast<int>(all.size()) < at_least && ::poll(&one, 1, 5000) == 1) {
    sockets.receive(socket, [&](const ike::Datagram& datagram) {
      all.push_back({datagram.local, datagram.remote, to_bytes(datagram.data)});
    });
  }
  return all;
}

const UdpSocket& socket_on(const UdpSockets& sockets, std::uint16_t port, const IpAddress& address) {
  for (const UdpSocket& socket : sockets.all()) {
    if (socket.bound.port == port && socket.bound.address == address) return socket;
  }
  ADD_FAILURE() << "no socket on " << address.to_string();
  return sockets.all()[0];
}

TEST(UdpSockets, WildcardsKnowTheAddressADatagramCameTo) {
  const UdpPorts ports = free_ports();
  const auto sockets = UdpSockets::open({}, ports);
  ASSERT_TRUE(sockets) << sockets.error().text;
  const PlainSocket peer(kLoopback);
  peer.send({kOther, ports.ike}, {1, 2, 3});
  const auto received =
      receive_all(**sockets, socket_on(**sockets, ports.ike, IpAddress::any(Family::ipv4)), 1);
  ASSERT_EQ(received.size(), 1U);
  EXPECT_EQ(received[0].local, (Endpoint{kOther, ports.ike}));
  EXPECT_EQ(received[0].remote, peer.endpoint);
  EXPECT_EQ(received[0].data, (Bytes{1, 2, 3}));
}

TEST(UdpSockets, WildcardsSendFromTheAddressAskedFor) {
  const UdpPorts ports = free_ports();
  const auto sockets = UdpSockets::open({}, ports);
  ASSERT_TRUE(sockets);
  const PlainSocket peer(kLoopback);
  ASSERT_TRUE((*sockets)->send({{kOther, ports.ike}, peer.endpoint, {7, 8}, false}));
  const auto [data, from] = peer.receive();
  EXPECT_EQ(data, (Bytes{7, 8}));
  EXPECT_EQ(from, (Endpoint{kOther, ports.ike}));
}

TEST(UdpSockets, TheNonEspMarkerGoesOnAndComesOff) {
  const UdpPorts ports = free_ports();
  const std::vector listen{kLoopback};
  const auto sockets = UdpSockets::open(listen, ports);
  ASSERT_TRUE(sockets);
  const Endpoint local{kLoopback, ports.nat_traversal};
  const PlainSocket peer(kLoopback);
  ASSERT_TRUE((*sockets)->send({local, peer.endpoint, {5, 6}, false}));
  EXPECT_EQ(peer.receive().first, (Bytes{0, 0, 0, 0, 5, 6}));
  ASSERT_TRUE((*sockets)->send({local, peer.endpoint, {0xff}, true}));
  EXPECT_EQ(peer.receive().first, (Bytes{0xff}));

  peer.send(local, {0xff});                       // keep-alive
  peer.send(local, {0, 0, 1, 0, 9, 9, 9, 9});     // ESP of no SA
  peer.send(local, {0, 0, 0});                    // neither
  peer.send(local, {0, 0, 0, 0});                 // a marker with nothing behind it
  peer.send(local, {0, 0, 0, 0, 0xff, 1, 2, 3});  // IKE
  std::vector<Received> received = receive_all(**sockets, socket_on(**sockets, local.port, kLoopback), 2);
  ASSERT_EQ(received.size(), 2U);
  EXPECT_TRUE(received[0].data.empty());
  EXPECT_EQ(received[1].data, (Bytes{0xff, 1, 2, 3}));
}

TEST(UdpSockets, AFloodIsTakenInBatches) {
  const UdpPorts ports = free_ports();
  const std::vector listen{kLoopback};
  const auto sockets = UdpSockets::open(listen, ports);
  ASSERT_TRUE(sockets);
  const PlainSocket peer(kLoopback);
  for (int i = 0; i < 100; ++i) peer.send({kLoopback, ports.ike}, {static_cast<std::uint8_t>(i)});
  int first_batch = 0;
  (*sockets)->receive(socket_on(**sockets, ports.ike, kLoopback),
                      [&](const ike::Datagram&) { ++first_batch; });
  EXPECT_GT(first_batch, 0);
  EXPECT_LT(first_batch, 100);
}

TEST(UdpSockets, AListedAddressNeedNotBeThereYet) {
  const std::vector listen{*IpAddress::parse("192.0.2.77"), *IpAddress::parse("2001:db8::77")};
  const auto sockets = UdpSockets::open(listen, free_ports());
  ASSERT_TRUE(sockets) << sockets.error().text;
  EXPECT_EQ((*sockets)->all().size(), 4U);
}

TEST(UdpSockets, SaysWhoHasThePort) {
  const PlainSocket holder(kLoopback);
  const std::vector listen{kLoopback};
  const auto sockets = UdpSockets::open(listen, {holder.endpoint.port, free_ports().ike});
  ASSERT_FALSE(sockets);
  EXPECT_EQ(sockets.error().code, ErrorCode::in_use);
  EXPECT_NE(sockets.error().text.find("(pid " + std::to_string(::getpid()) + ")"), std::string::npos)
      << sockets.error().text;
  EXPECT_FALSE(sockets.error().remedy.empty());
}

TEST(UdpSockets, RefusesToSendFromAnAddressItDoesNotHave) {
  const UdpPorts ports = free_ports();
  const std::vector listen{kLoopback};
  const auto sockets = UdpSockets::open(listen, ports);
  ASSERT_TRUE(sockets);
  const Result<void> sent = (*sockets)->send({{kOther, ports.ike}, {kLoopback, 9}, {1}, false});
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code, ErrorCode::address_unknown);
}

}  // namespace
}  // namespace oakgate
