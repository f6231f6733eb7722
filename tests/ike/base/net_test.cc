#include "ike/base/net.h"

#include <gtest/gtest.h>

namespace oakgate {
namespace {

TEST(IpAddress, ParsesBothFamiliesStrictly) {
  EXPECT_EQ(IpAddress::parse("192.0.2.1")->to_string(), "192.0.2.1");
  EXPECT_EQ(IpAddress::parse("2001:DB8::1")->to_string(), "2001:db8::1");
  for (const char* bad :
       {"", "192.0.2", "192.0.2.256", "192.0.2.01", "192.0.2.1 ", "fe80::1%eth0", "[::1]", "gw"}) {
    EXPECT_FALSE(IpAddress::parse(bad)) << bad;
  }
  EXPECT_FALSE(IpAddress::parse(std::string(1000, '1')));
}

TEST(Subnet, RefusesHostBitsAndBadPrefixes) {
  EXPECT_EQ(Subnet::parse("10.1.0.0/24")->to_string(), "10.1.0.0/24");
  EXPECT_EQ(Subnet::parse("10.1.0.7")->to_string(), "10.1.0.7/32");
  EXPECT_EQ(Subnet::parse("0.0.0.0/0")->prefix(), 0);
  EXPECT_EQ(Subnet::parse("2001:db8::/32")->prefix(), 32);
  for (const char* bad : {"10.1.0.7/24", "10.1.0.0/33", "10.1.0.0/-1", "10.1.0.0/", "10.1.0.0/2x", "/24"}) {
    EXPECT_FALSE(Subnet::parse(bad)) << bad;
  }
}

// Held against counting equal bits, for every prefix of both families.
TEST(Subnet, EveryPrefixLength) {
  for (const char* text : {"203.0.113.165", "2001:db8:5a5a:a5a5:ff00:ff:1234:8001"}) {
    const IpAddress address = *IpAddress::parse(text);
    for (int prefix = 0; prefix <= address.bits(); ++prefix) {
      const Subnet subnet(address, prefix);
      for (int flipped = 0; flipped < address.bits(); ++flipped) {
        Bytes raw = to_bytes(address.bytes());
        raw[static_cast<std::size_t>(flipped / 8)] ^= static_cast<std::uint8_t>(0x80 >> (flipped % 8));
        const IpAddress other = *IpAddress::from_bytes(raw);
        EXPECT_EQ(subnet.contains(other), flipped >= prefix) << text << "/" << prefix << " bit " << flipped;
        EXPECT_EQ(Subnet(other, prefix) == subnet, flipped >= prefix) << text << "/" << prefix;
      }
    }
  }
}

TEST(Subnet, ContainsAndEnds) {
  const Subnet net = *Subnet::parse("10.1.0.0/23");
  EXPECT_TRUE(net.contains(*IpAddress::parse("10.1.1.255")));
  EXPECT_FALSE(net.contains(*IpAddress::parse("10.1.2.0")));
  EXPECT_FALSE(net.contains(*IpAddress::parse("::1")));
  EXPECT_EQ(net.last().to_string(), "10.1.1.255");
  EXPECT_EQ(net.netmask().to_string(), "255.255.254.0");
  EXPECT_TRUE(Subnet::any(Family::ipv4).contains(net));
  EXPECT_FALSE(net.contains(Subnet::any(Family::ipv4)));
}

TEST(Selector, MatchesAddressProtocolAndPort) {
  const Selector bgp{*Subnet::parse("10.1.0.0/24"), 6, 179};
  EXPECT_TRUE(bgp.matches(*IpAddress::parse("10.1.0.9"), 6, 179));
  EXPECT_FALSE(bgp.matches(*IpAddress::parse("10.1.0.9"), 6, 80));
  EXPECT_FALSE(bgp.matches(*IpAddress::parse("10.1.0.9"), 17, 179));
  EXPECT_FALSE(bgp.matches(*IpAddress::parse("10.2.0.9"), 6, 179));
  EXPECT_EQ(bgp.to_string(), "10.1.0.0/24 tcp 179");
}

TEST(Endpoint, PrintsBothFamilies) {
  EXPECT_EQ((Endpoint{*IpAddress::parse("192.0.2.1"), 500}.to_string()), "192.0.2.1:500");
  EXPECT_EQ((Endpoint{*IpAddress::parse("2001:db8::1"), 4500}.to_string()), "[2001:db8::1]:4500");
}

}  // namespace
}  // namespace oakgate
