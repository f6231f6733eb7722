// What a tunnel does to packets beside protecting them (PacketHandling): DF, DSCP, the MSS of TCP; and which
// families may lie inside which.
#include <gtest/gtest.h>

#include <algorithm>

#include "packets.h"
#include "xfrm/soft/checksum.h"
#include "xfrm/soft/esp_engine.h"

namespace oakgate::soft {
namespace {

using test::address;

constexpr std::uint16_t kDf = 0x4000;

// One SA pair between two engines, in both directions.
class HandlingTest : public testing::Test {
 protected:
  struct Gateway {
    explicit Gateway(std::size_t& mtu)
        : engine({[&mtu](const OuterPath&) { return mtu; },
                  [](std::span<std::uint8_t> iv) {
                    std::fill(iv.begin(), iv.end(), std::uint8_t{7});
                    return true;
                  }}) {}
    EspEngine engine;
    PacketBatch batch;
    EngineOutput out;
  };

  SaSpec spec(bool from_a, Direction direction) const {
    SaSpec sa;
    sa.direction = direction;
    sa.source = address(from_a ? outer_a_ : outer_b_);
    sa.id = {address(from_a ? outer_b_ : outer_a_), IpsecProtocol::esp, Spi{from_a ? 0x1000U : 0x2000U}};
    sa.reqid = {kReqidBase + 1};
    const Selector left{*Subnet::parse(left_), 0, 0};
    const Selector right{*Subnet::parse(right_), 0, 0};
    const bool at_a = from_a == (direction == Direction::out);
    sa.selectors = at_a ? SelectorPair{left, right} : SelectorPair{right, left};
    sa.cipher = EspCipher::aes_128;
    sa.integrity = Integrity::sha256;
    sa.encryption_key = SecretBytes(Bytes(16, 0x11));
    sa.integrity_key = SecretBytes(Bytes(32, 0x22));
    sa.handling = handling_;
    return sa;
  }
  void up() {
    for (const bool at_a : {true, false}) {
      EspEngine& engine = (at_a ? a_ : b_).engine;
      for (const Direction direction : {Direction::in, Direction::out}) {
        const SaSpec sa = spec(at_a == (direction == Direction::out), direction);
        if (direction == Direction::in) {
          ASSERT_TRUE(engine.protect({sa.reqid, sa.selectors, sa.id.destination, sa.source}));
        }
        ASSERT_TRUE(engine.install({&sa, 1}, {}));
      }
    }
  }
  // Through a's engine; what it sends is in a_.out.
  EngineOutput& send(const Bytes& packet) {
    a_.out.clear();
    a_.batch.clear();
    std::copy(packet.begin(), packet.end(), a_.batch.next_room().begin());
    a_.batch.add(a_.batch.next_room().first(packet.size()));
    a_.engine.outbound(a_.batch, Instant(Milliseconds(5000)), a_.out);
    return a_.out;
  }
  // And out of b's.
  Bytes receive(std::uint8_t traffic_class = 0) {
    if (a_.out.sealed.empty()) return {};
    const Bytes esp = to_bytes(a_.out.sealed[0].bytes);
    b_.out.clear();
    b_.batch.clear();
    std::copy(esp.begin(), esp.end(), b_.batch.next_room().begin());
    BatchPacket& packet = b_.batch.add(b_.batch.next_room().first(esp.size()));
    packet.destination = address(outer_b_);
    packet.source = {address(outer_a_), 0};
    packet.traffic_class = traffic_class;
    b_.engine.inbound(b_.batch, b_.out);
    return b_.out.opened.empty() ? Bytes{} : to_bytes(b_.out.opened[0]);
  }
  static Bytes syn(std::uint16_t mss, std::string_view source, std::string_view destination) {
    Bytes packet =
        test::make_packet({.source = source, .destination = destination, .protocol = 6, .payload = 24});
    const auto tcp = packet[0] >> 4 == 4 ? std::size_t{20} : std::size_t{40};
    packet[tcp + 12] = 6 << 4;
    packet[tcp + 13] = 0x02;
    packet[tcp + 20] = 2;
    packet[tcp + 21] = 4;
    packet[tcp + 22] = static_cast<std::uint8_t>(mss >> 8);
    packet[tcp + 23] = static_cast<std::uint8_t>(mss);
    return packet;
  }
  static std::uint16_t mss_in(const Bytes& packet) {
    if (packet.size() < 4) return 0;
    return static_cast<std::uint16_t>(packet[packet.size() - 2] << 8 | packet.back());
  }

  std::string_view outer_a_ = "192.0.2.1";
  std::string_view outer_b_ = "192.0.2.2";
  std::string_view left_ = "10.1.0.0/24";
  std::string_view right_ = "10.2.0.0/24";
  PacketHandling handling_;
  std::size_t mtu_ = 1500;
  Gateway a_{mtu_};
  Gateway b_{mtu_};
};

TEST_F(HandlingTest, DfIsCopied) {
  up();
  EXPECT_TRUE(send(test::make_packet({.flags = kDf})).sealed.at(0).dont_fragment);
  EXPECT_FALSE(send(test::make_packet({.flags = 0})).sealed.at(0).dont_fragment);
  EXPECT_EQ(send(test::make_packet({.payload = 1470, .flags = kDf})).icmp.size(), 1U);
  EXPECT_EQ(a_.engine.drops().too_big, 1U);
  const SealedPacket large = send(test::make_packet({.payload = 1470})).sealed.at(0);
  EXPECT_FALSE(large.dont_fragment);
  EXPECT_EQ(large.fragment_to, 1500U);
}

TEST_F(HandlingTest, DfIsSetWhereThePacketFits) {
  handling_.df_bit = DfBit::set;
  up();
  EXPECT_TRUE(send(test::make_packet({.flags = 0})).sealed.at(0).dont_fragment);
  EXPECT_TRUE(send(test::make_packet({.flags = kDf})).sealed.at(0).dont_fragment);
  EXPECT_FALSE(send(test::make_packet({.payload = 1470})).sealed.at(0).dont_fragment);
}

TEST_F(HandlingTest, DfIsClearedAndNothingIsTooBig) {
  handling_.df_bit = DfBit::clear;
  up();
  EXPECT_FALSE(send(test::make_packet({.flags = kDf})).sealed.at(0).dont_fragment);
  EngineOutput& large = send(test::make_packet({.payload = 1470, .flags = kDf}));
  ASSERT_EQ(large.sealed.size(), 1U);
  EXPECT_TRUE(large.icmp.empty());
  EXPECT_FALSE(large.sealed[0].dont_fragment);
  EXPECT_EQ(large.sealed[0].fragment_to, 1500U);
  EXPECT_EQ(receive(), test::make_packet({.payload = 1470, .flags = kDf})) << "the inner DF stays";
}

// RFC 6040 and RFC 2983: DSCP may stay inside, ECN goes with the packet.
TEST_F(HandlingTest, DscpIsCopiedOrNotAndEcnAlways) {
  up();
  EXPECT_EQ(send(test::make_packet({.traffic_class = 0xb9})).sealed.at(0).traffic_class, 0xb9);
}

TEST_F(HandlingTest, DscpStaysInside) {
  handling_.copy_dscp = false;
  up();
  EXPECT_EQ(send(test::make_packet({.traffic_class = 0xb9})).sealed.at(0).traffic_class, 0x01);
  const Bytes arrived = receive(0x03);
  ASSERT_GT(arrived.size(), 20U);
  EXPECT_EQ(arrived[1], 0xbb) << "its own DSCP, and the congestion that was met";
  EXPECT_EQ(internet_checksum(ByteView(arrived).first(20)), 0) << "the header's checksum was mended";
}

TEST_F(HandlingTest, TheTtlOfTheInnerPacketIsItsSendersAffair) {
  up();
  Bytes packet = test::make_packet({});
  const std::uint8_t ttl = packet[8];
  send(packet);
  EXPECT_EQ(receive().at(8), ttl) << "the hosts' kernels count the hop, on both sides of the tunnel";
}

TEST_F(HandlingTest, MssIsLeftWithoutTheOption) {
  up();
  send(syn(1460, "10.1.0.5", "10.2.0.9"));
  EXPECT_EQ(mss_in(receive()), 1460);
}

TEST_F(HandlingTest, MssIsANumber) {
  handling_.tcp_mss = {TcpMss::Kind::fixed, 1300};
  up();
  send(syn(1460, "10.1.0.5", "10.2.0.9"));
  EXPECT_EQ(mss_in(receive()), 1300);
  send(syn(1200, "10.1.0.5", "10.2.0.9"));
  EXPECT_EQ(mss_in(receive()), 1200);
}

// A segment of the clamped size is the largest that goes in one piece.
TEST_F(HandlingTest, MssIsWhatThePathCarries) {
  handling_.tcp_mss = {TcpMss::Kind::clamp, 0};
  mtu_ = 1400;
  up();
  send(syn(1460, "10.1.0.5", "10.2.0.9"));
  const std::size_t mss = mss_in(receive());
  ASSERT_GT(mss, 1200U);
  const auto segment = [&](std::size_t data) {
    return test::make_packet({.protocol = 6, .payload = 20 + data, .flags = kDf});
  };
  EXPECT_EQ(send(segment(mss)).sealed.size(), 1U);
  EXPECT_EQ(send(segment(mss + 1)).sealed.size(), 0U);
}

// What b's host says it takes is what a's host will send: a's path decides.
TEST_F(HandlingTest, TheMssOfTheOtherSideIsClampedOnArrival) {
  up();
  send(syn(1460, "10.1.0.5", "10.2.0.9"));
  const Bytes esp = to_bytes(a_.out.sealed.at(0).bytes);
  // b alone is told to clamp.
  handling_.tcp_mss = {TcpMss::Kind::clamp, 0};
  mtu_ = 1300;
  Gateway b(mtu_);
  for (const Direction direction : {Direction::in, Direction::out}) {
    const SaSpec sa = spec(direction == Direction::in, direction);
    ASSERT_TRUE(b.engine.install({&sa, 1}, {}));
  }
  std::copy(esp.begin(), esp.end(), b.batch.next_room().begin());
  BatchPacket& packet = b.batch.add(b.batch.next_room().first(esp.size()));
  packet.destination = address(outer_b_);
  packet.source = {address(outer_a_), 0};
  b.engine.inbound(b.batch, b.out);
  ASSERT_EQ(b.out.opened.size(), 1U);
  const std::uint16_t mss = mss_in(to_bytes(b.out.opened[0]));
  EXPECT_LT(mss, 1260);
  EXPECT_GT(mss, 1150);
}

TEST_F(HandlingTest, EachFamilyTravelsInEachOther) {
  const std::pair<std::string_view, std::string_view> outers[] = {{"192.0.2.1", "192.0.2.2"},
                                                                  {"2001:db8::1", "2001:db8::2"}};
  for (const auto& [outer_a, outer_b] : outers) {
    for (const bool v6 : {false, true}) {
      outer_a_ = outer_a;
      outer_b_ = outer_b;
      left_ = v6 ? "2001:db8:1::/64" : "10.1.0.0/24";
      right_ = v6 ? "2001:db8:2::/64" : "10.2.0.0/24";
      up();
      const std::string_view source = v6 ? "2001:db8:1::5" : "10.1.0.5";
      const std::string_view destination = v6 ? "2001:db8:2::9" : "10.2.0.9";
      const Bytes packet = test::make_packet({.source = source, .destination = destination, .payload = 600});
      ASSERT_EQ(send(packet).sealed.size(), 1U) << outer_a << " " << v6;
      EXPECT_EQ(receive(), packet) << outer_a << " " << v6;
      // The largest that fits, and one byte more: the sender hears the size that would have fitted.
      EngineOutput& large = send(
          test::make_packet({.source = source, .destination = destination, .payload = 1480, .flags = kDf}));
      ASSERT_EQ(large.icmp.size(), 1U) << outer_a << " " << v6;
      for (const bool inbound : {true, false}) {
        const SaId ids[] = {spec(true, Direction::out).id, spec(false, Direction::out).id};
        (inbound ? a_ : b_).engine.remove(ids);
      }
      for (Gateway* gateway : {&a_, &b_}) gateway->engine.unprotect({kReqidBase + 1});
    }
  }
}

// RFC 4301 section 5.2 step 4: source and destination, both families.
TEST_F(HandlingTest, InnerSourceAndDestinationMustBothLieInTheSelectors) {
  // a protects more than b has agreed to.
  up();
  left_ = "10.0.0.0/8";
  right_ = "10.0.0.0/8";
  for (const Direction direction : {Direction::in, Direction::out}) {
    const SaId id = spec(direction == Direction::out, direction).id;
    a_.engine.remove({&id, 1});
  }
  const SaSpec out = spec(true, Direction::out);
  ASSERT_TRUE(a_.engine.protect({out.reqid, out.selectors, out.source, out.id.destination}));
  ASSERT_TRUE(a_.engine.install({&out, 1}, {}));
  const std::pair<std::string_view, std::string_view> spoofed[] = {
      {"10.1.1.5", "10.2.0.9"}, {"10.1.0.5", "10.2.1.9"}, {"10.2.0.9", "10.1.0.5"}};
  std::uint64_t count = 0;
  for (const auto& [source, destination] : spoofed) {
    send(test::make_packet({.source = source, .destination = destination}));
    ASSERT_EQ(a_.out.sealed.size(), 1U);
    EXPECT_EQ(receive(), Bytes{}) << source << " " << destination;
    EXPECT_EQ(b_.engine.drops().selector_mismatch, ++count);
  }
}

}  // namespace
}  // namespace oakgate::soft
