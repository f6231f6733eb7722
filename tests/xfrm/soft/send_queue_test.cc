#include "xfrm/soft/send_queue.h"

#include <gtest/gtest.h>
#include <netinet/in.h>

#include "tests/xfrm/soft/packets.h"
#include "xfrm/netlink/unique_fd.h"

namespace oakgate::soft {
namespace {

using test::address;

const Bytes kContent(70000);

SealedPacket packet(std::size_t size) {
  return {.bytes = ByteView(kContent).first(size),
          .path = {address("192.0.2.1"), address("192.0.2.2"), UdpEncapsulation{}},
          .dont_fragment = true};
}

std::size_t length(const std::vector<SealedPacket>& packets) {
  return vector_length(packets);
}

TEST(SendQueue, AVectorIsOfEqualsAndAShorterLast) {
  EXPECT_EQ(length({}), 0U);
  EXPECT_EQ(length({packet(100)}), 1U);
  EXPECT_EQ(length({packet(100), packet(100), packet(100)}), 3U);
  EXPECT_EQ(length({packet(100), packet(100), packet(40), packet(40)}), 3U);
  EXPECT_EQ(length({packet(100), packet(101)}), 1U);
  EXPECT_EQ(length(std::vector<SealedPacket>(80, packet(100))), 64U);
  // 44 * 1488 = 65472 bytes
  EXPECT_EQ(length(std::vector<SealedPacket>(60, packet(1488))), 44U);
}

TEST(SendQueue, WhatDiffersIsNotInOne) {
  const auto joins = [](auto change) {
    SealedPacket second = packet(100);
    change(second);
    return length({packet(100), second}) == 2;
  };
  EXPECT_TRUE(joins([](SealedPacket&) {}));
  EXPECT_FALSE(joins([](SealedPacket& p) { p.traffic_class = 1; }));
  EXPECT_FALSE(joins([](SealedPacket& p) { p.dont_fragment = false; }));
  EXPECT_FALSE(joins([](SealedPacket& p) { p.fragment_to = 90; }));
  EXPECT_FALSE(joins([](SealedPacket& p) { p.path.destination = address("192.0.2.3"); }));
  EXPECT_FALSE(joins([](SealedPacket& p) { p.path.source = address("192.0.2.3"); }));
  EXPECT_FALSE(joins([](SealedPacket& p) { p.path.encapsulation->remote_port = 4501; }));
  EXPECT_FALSE(joins([](SealedPacket& p) { p.path.encapsulation.reset(); }));
}

TEST(SendQueue, NativePacketsAndFragmentsNeverAre) {
  SealedPacket native = packet(100);
  native.path.encapsulation.reset();
  EXPECT_EQ(length({native, native}), 1U);
  SealedPacket large = packet(100);
  large.fragment_to = 90;
  EXPECT_EQ(length({large, large}), 1U);
}

// A vector larger than the path is refused whole; then its packets go one by one, and so do later ones.
TEST(SendQueue, AVectorThatIsRefusedGoesInPieces) {
  const UniqueFd receiver(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const UniqueFd sender(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(0, bind(receiver.get(), reinterpret_cast<sockaddr*>(&any), sizeof(any)));
  socklen_t size = sizeof(any);
  ASSERT_EQ(0, getsockname(receiver.get(), reinterpret_cast<sockaddr*>(&any), &size));
  // Without checksums the kernel makes no vectors: EINVAL.
  ASSERT_TRUE(set_socket_option(sender.get(), SOL_SOCKET, SO_NO_CHECK, 1));
  std::vector<SealedPacket> packets;
  for (std::size_t i = 0; i < 6; ++i) {
    SealedPacket one = packet(i < 3 ? 500 : 600);
    one.path = {address("127.0.0.1"), address("127.0.0.1"), UdpEncapsulation{0, ntohs(any.sin_port), false}};
    packets.push_back(one);
  }
  SendQueue queue;
  for (int round = 0; round < 2; ++round) {
    SendReport report;
    queue.send(sender.get(), packets, report);
    EXPECT_EQ(report.sent, 6U);
    EXPECT_EQ(report.refused, 0U);
    EXPECT_EQ(report.error, 0);
    std::array<std::uint8_t, 2000> room{};
    for (std::size_t i = 0; i < 6; ++i) {
      EXPECT_EQ(recv(receiver.get(), room.data(), room.size(), 0), i < 3 ? 500 : 600);
    }
    EXPECT_EQ(recv(receiver.get(), room.data(), room.size(), 0), -1);
  }
}

}  // namespace
}  // namespace oakgate::soft
