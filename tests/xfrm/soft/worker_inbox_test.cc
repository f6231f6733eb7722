#include "xfrm/soft/worker_inbox.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <string>
#include <thread>

namespace oakgate::soft {
namespace {

bool readable(int fd, int patience_ms = 0) {
  pollfd one{fd, POLLIN, 0};
  return ::poll(&one, 1, patience_ms) == 1;
}

HandedPacket handed(std::vector<std::uint8_t>& bytes, std::size_t ip_header = 0) {
  HandedPacket out;
  out.packet.bytes = std::span(bytes).subspan(ip_header);
  out.packet.ip_header = ip_header;
  return out;
}

TEST(WorkerInbox, RingsAreBoundedInAll) {
  for (unsigned workers = 1; workers <= 64; ++workers) {
    const std::size_t one = WorkerInbox::ring_bytes(workers);
    EXPECT_GE(one, std::size_t{256} << 10);
    EXPECT_LE(one, std::size_t{8} << 20);
    if (workers <= 16) {
      EXPECT_LE(one * workers * (workers - 1), std::size_t{128} << 20) << workers;
    }
  }
}

TEST(WorkerInbox, KeepsEachSendersOrderAndAllThatIsKnownOfAPacket) {
  WorkerInbox inbox(1, 3);
  ASSERT_TRUE(inbox.open());
  EXPECT_FALSE(inbox.may_send(1));
  std::vector<std::uint8_t> ah{0x45, 0, 1, 2, 3};
  HandedPacket first = handed(ah, 2);
  first.packet.traffic_class = 0xb8;
  first.packet.source = {*IpAddress::parse("192.0.2.7"), 4500};
  first.packet.encapsulated = true;
  first.packet.protocol = IpsecProtocol::ah;
  std::vector<std::uint8_t> inner{9};
  HandedPacket second = handed(inner);
  second.from_lan = true;
  second.virtio.gso_size = 1360;
  ASSERT_TRUE(inbox.put(0, first));
  ASSERT_TRUE(inbox.put(0, second));
  inbox.deliver(0);
  HandedPacket got;
  EXPECT_FALSE(inbox.take(2, got));
  ASSERT_TRUE(inbox.take(0, got));
  EXPECT_EQ(std::vector(got.packet.bytes.data() - 2, got.packet.bytes.data() + 3), ah);
  EXPECT_EQ(got.packet.bytes.size(), 3U);
  EXPECT_EQ(got.packet.traffic_class, 0xb8);
  EXPECT_EQ(got.packet.source, first.packet.source);
  EXPECT_TRUE(got.packet.encapsulated);
  EXPECT_EQ(got.packet.protocol, IpsecProtocol::ah);
  EXPECT_FALSE(got.from_lan);
  ASSERT_TRUE(inbox.take(0, got));
  EXPECT_TRUE(got.from_lan);
  EXPECT_EQ(got.virtio.gso_size, 1360);
  ASSERT_EQ(got.packet.bytes.size(), 1U);
  EXPECT_EQ(got.packet.bytes[0], 9);
  EXPECT_FALSE(inbox.take(0, got));
}

TEST(WorkerInbox, WakesOnlyWhoSleeps) {
  WorkerInbox inbox(0, 2);
  ASSERT_TRUE(inbox.open());
  std::vector<std::uint8_t> bytes{1};
  ASSERT_TRUE(inbox.put(1, handed(bytes)));
  inbox.deliver(1);
  EXPECT_FALSE(readable(inbox.fd())) << "it is awake";
  EXPECT_FALSE(inbox.may_sleep()) << "something waits";
  HandedPacket got;
  ASSERT_TRUE(inbox.take(1, got));
  inbox.release(1);
  EXPECT_TRUE(inbox.may_sleep());
  ASSERT_TRUE(inbox.put(1, handed(bytes)));
  inbox.deliver(1);
  EXPECT_TRUE(readable(inbox.fd()));
  inbox.answer();
  ASSERT_TRUE(inbox.put(1, handed(bytes)));
  inbox.deliver(1);
  EXPECT_FALSE(readable(inbox.fd())) << "it has been woken";
}

TEST(WorkerInbox, IsFullWhenNobodyTakes) {
  WorkerInbox inbox(0, 2);
  ASSERT_TRUE(inbox.open());
  std::vector<std::uint8_t> vector(65535);
  std::size_t fits = 0;
  while (fits < 1000 && inbox.put(1, handed(vector))) ++fits;
  EXPECT_EQ(fits, 127U);
  inbox.deliver(1);
  HandedPacket got;
  ASSERT_TRUE(inbox.take(1, got));
  inbox.release(1);
  EXPECT_TRUE(inbox.put(1, handed(vector)));
}

// Nobody sleeps through what was delivered.
TEST(WorkerInbox, LosesNoWakeUp) {
  constexpr int kPackets = 20'000;
  WorkerInbox inbox(0, 2);
  ASSERT_TRUE(inbox.open());
  std::thread sender([&inbox] {
    std::vector<std::uint8_t> bytes(64);
    for (int i = 0; i < kPackets; ++i) {
      while (!inbox.put(1, handed(bytes))) std::this_thread::yield();
      inbox.deliver(1);
    }
  });
  int got = 0;
  bool overslept = false;
  while (got < kPackets && !overslept) {
    if (inbox.may_sleep()) overslept = !readable(inbox.fd(), 5000);
    inbox.awake();
    inbox.answer();
    HandedPacket handed;
    while (inbox.take(1, handed)) ++got;
    inbox.release(1);
  }
  sender.join();
  EXPECT_FALSE(overslept);
  EXPECT_EQ(got, kPackets);
}

}  // namespace
}  // namespace oakgate::soft
