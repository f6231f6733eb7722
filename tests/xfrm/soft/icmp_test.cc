#include "xfrm/soft/icmp.h"
#include "xfrm/soft/checksum.h"

#include <gtest/gtest.h>

#include "packets.h"

namespace oakgate::soft {
namespace {

using test::address;
using test::make_packet;
using test::PacketSpec;

std::optional<IcmpMessage> about(const Bytes& packet, IcmpError kind, std::uint16_t mtu = 0) {
  const auto parsed = parse_inner_packet(packet);
  EXPECT_TRUE(parsed);
  return make_icmp_error(packet, *parsed, kind, mtu);
}

TEST(Icmp, TooBigForIpv4) {
  const Bytes packet = make_packet({.payload = 1400, .flags = 0x4000});
  const auto message = about(packet, IcmpError::too_big, 1234);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->destination, address("10.1.0.5"));
  EXPECT_EQ(to_hex(ByteView(message->bytes).first(2)), "0304");
  EXPECT_EQ(to_hex(ByteView(message->bytes).subspan(4, 4)), "000004d2");
  EXPECT_EQ(internet_checksum(message->bytes), 0);
  EXPECT_EQ(message->bytes.size() + 20, 576U);
  EXPECT_TRUE(std::equal(message->bytes.begin() + 8, message->bytes.end(), packet.begin()));
}

TEST(Icmp, TooBigForIpv6NeverBelow1280) {
  const Bytes packet =
      make_packet({.source = "2001:db8:1::5", .destination = "2001:db8:2::9", .payload = 1400});
  EXPECT_EQ(to_hex(ByteView(about(packet, IcmpError::too_big, 1390)->bytes).first(8)), "020000000000056e");
  EXPECT_EQ(to_hex(ByteView(about(packet, IcmpError::too_big, 900)->bytes).first(8)), "0200000000000500");
  EXPECT_EQ(about(packet, IcmpError::too_big, 900)->bytes.size() + 40, 1280U);
}

TEST(Icmp, Prohibited) {
  EXPECT_EQ(to_hex(ByteView(about(make_packet({}), IcmpError::prohibited)->bytes).first(2)), "030d");
  const Bytes v6 = make_packet({"2001:db8:1::5", "2001:db8:2::9"});
  EXPECT_EQ(to_hex(ByteView(about(v6, IcmpError::prohibited)->bytes).first(2)), "0101");
}

TEST(Icmp, SilentWhereTheRfcsForbidAnError) {
  EXPECT_FALSE(about(make_packet({.flags = 0x0010}), IcmpError::prohibited)) << "later fragment";
  for (const char* source : {"0.0.0.0", "127.0.0.1", "224.0.0.5", "255.255.255.255"}) {
    EXPECT_FALSE(about(make_packet({.source = source}), IcmpError::prohibited)) << source;
  }
  EXPECT_FALSE(about(make_packet({.destination = "224.0.0.5"}), IcmpError::prohibited));
  EXPECT_FALSE(about(make_packet({"2001:db8::1", "ff02::1"}), IcmpError::prohibited));
  EXPECT_TRUE(about(make_packet({"2001:db8::1", "ff0e::1"}), IcmpError::too_big, 1300));
  Bytes error = make_packet({.protocol = 1});
  error[20] = 3;
  EXPECT_FALSE(about(error, IcmpError::prohibited));
  error[20] = 8;
  EXPECT_TRUE(about(error, IcmpError::prohibited)) << "an echo request is no error";
  Bytes error6 = make_packet({"2001:db8::1", "2001:db8::2", 58});
  error6[40] = 1;
  EXPECT_FALSE(about(error6, IcmpError::prohibited));
  error6[40] = 128;
  EXPECT_TRUE(about(error6, IcmpError::prohibited));
  EXPECT_FALSE(about(make_packet({.protocol = 1, .payload = 0}), IcmpError::prohibited));
}

TEST(TokenBucket, BurstThenRate) {
  TokenBucket bucket(3, 2);
  Instant now{Milliseconds(1000)};
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(bucket.take(now));
  EXPECT_FALSE(bucket.take(now));
  now += Milliseconds(499);
  EXPECT_FALSE(bucket.take(now));
  now += Milliseconds(1);
  EXPECT_TRUE(bucket.take(now));
  EXPECT_FALSE(bucket.take(now));
  now += std::chrono::hours(24 * 365);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(bucket.take(now));
  EXPECT_FALSE(bucket.take(now)) << "never more than the burst";
}

}  // namespace
}  // namespace oakgate::soft
