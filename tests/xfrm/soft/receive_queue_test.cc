// Over loopback, where a vector arrives as it was sent.
#include "xfrm/soft/receive_queue.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/udp.h>

#include <algorithm>
#include <cstring>

#include "tests/xfrm/soft/packets.h"
#include "xfrm/netlink/unique_fd.h"
#include "xfrm/soft/send_queue.h"

namespace oakgate::soft {
namespace {

using test::address;

class ReceiveQueueTest : public ::testing::Test {
 protected:
  void SetUp() override {
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(0, bind(receiver_.get(), reinterpret_cast<sockaddr*>(&any), sizeof(any)));
    socklen_t size = sizeof(any);
    ASSERT_EQ(0, getsockname(receiver_.get(), reinterpret_cast<sockaddr*>(&any), &size));
    path_ = {address("127.0.0.1"), address("127.0.0.1"), UdpEncapsulation{0, ntohs(any.sin_port), false}};
    ASSERT_TRUE(set_socket_option(receiver_.get(), IPPROTO_IP, IP_PKTINFO, 1));
    ASSERT_TRUE(set_socket_option(receiver_.get(), IPPROTO_IP, IP_RECVTOS, 1));
    ASSERT_TRUE(set_socket_option(receiver_.get(), SOL_SOCKET, SO_RCVBUF, 4 << 20));
  }
  void gro() { ASSERT_TRUE(set_socket_option(receiver_.get(), IPPROTO_UDP, UDP_GRO, 1)); }

  // Sends datagrams of these sizes, each of its own byte, with one traffic class.
  SendReport send(const std::vector<std::size_t>& sizes) {
    std::vector<SealedPacket> packets;
    for (const std::size_t size : sizes) {
      content_.push_back(Bytes(size, static_cast<std::uint8_t>(content_.size() + 1)));
    }
    for (std::size_t i = content_.size() - sizes.size(); i < content_.size(); ++i) {
      packets.push_back({.bytes = content_[i], .path = path_, .traffic_class = 0x2a});
    }
    SendReport report;
    sender_queue_.send(sender_.get(), packets, report);
    return report;
  }
  std::vector<Bytes> receive() {
    std::vector<Bytes> out;
    while (queue_.read(receiver_.get())) {
      while (!queue_.empty()) {
        const ArrivedDatagram one = queue_.next();
        EXPECT_EQ(one.arrival->traffic_class, 0x2a);
        EXPECT_EQ(one.arrival->destination, address("127.0.0.1"));
        EXPECT_EQ(one.source.address, address("127.0.0.1"));
        crowded_ = crowded_ || one.crowded;
        out.push_back(to_bytes(one.bytes));
      }
    }
    return out;
  }

  UniqueFd receiver_{socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  UniqueFd sender_{socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  OuterPath path_;
  ReceiveQueue queue_;
  SendQueue sender_queue_;
  std::vector<Bytes> content_;
  bool crowded_ = false;
};

TEST_F(ReceiveQueueTest, SinglesOfEverySize) {
  EXPECT_EQ(send({1, 100, 2047, 2048, 2049, 5000, 65507, 3}).sent, 8U);
  EXPECT_EQ(receive(), content_);
  EXPECT_FALSE(crowded_);
  EXPECT_FALSE(queue_.read(receiver_.get()));
  EXPECT_TRUE(queue_.empty());
}

TEST_F(ReceiveQueueTest, VectorsAreCut) {
  gro();
  std::vector<std::size_t> sizes(44, 1450);
  sizes.push_back(100);  // as one vector
  sizes.insert(sizes.end(), 10, 700);
  EXPECT_EQ(send(sizes).sent, 55U);
  EXPECT_EQ(receive(), content_);
  EXPECT_TRUE(crowded_);
  // And singles after them.
  content_.clear();
  EXPECT_EQ(send({5, 6, 5, 7, 5}).sent, 5U);
  EXPECT_EQ(receive(), content_);
}

TEST_F(ReceiveQueueTest, AVectorArrivesInPiecesWithoutGro) {
  EXPECT_EQ(send(std::vector<std::size_t>(40, 1000)).sent, 40U);
  EXPECT_EQ(receive(), content_);
  EXPECT_FALSE(crowded_);
}

}  // namespace
}  // namespace oakgate::soft
