#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>

#include "ike/base/net.h"

namespace oakgate {
namespace {

IpAddress ip(const char* text) {
  return *IpAddress::parse(text);
}
AddressRange range(const char* first, const char* last) {
  return {ip(first), ip(last)};
}
Selector selector(const char* subnet, std::uint8_t protocol = 0, std::uint16_t port = 0) {
  return {*Subnet::parse(subnet), protocol, port};
}
Selector selector(const AddressRange& range, std::uint8_t protocol = 0, std::uint16_t port = 0) {
  return Selector::of_range(range, protocol, port);
}
std::string text(const std::vector<Subnet>& subnets) {
  std::string out;
  for (const Subnet& subnet : subnets) out += subnet.to_string() + " ";
  return out;
}

TEST(AddressRange, SubnetsCoverItExactly) {
  EXPECT_EQ(text(range("192.0.2.7", "192.0.2.7").subnets()), "192.0.2.7/32 ");
  EXPECT_EQ(text(range("192.0.2.0", "192.0.2.255").subnets()), "192.0.2.0/24 ");
  EXPECT_EQ(text(range("192.0.2.1", "192.0.2.6").subnets()),
            "192.0.2.1/32 192.0.2.2/31 192.0.2.4/31 192.0.2.6/32 ");
  EXPECT_EQ(text(range("0.0.0.0", "255.255.255.255").subnets()), "0.0.0.0/0 ");
  EXPECT_EQ(text(range("255.255.255.254", "255.255.255.255").subnets()), "255.255.255.254/31 ");
  EXPECT_EQ(text(range("2001:db8::", "2001:db8::ffff").subnets()), "2001:db8::/112 ");
  EXPECT_EQ(text(range("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff").subnets()), "::/0 ");
  EXPECT_EQ(range("0.0.0.1", "255.255.255.254").subnets().size(), 62U) << "the most there are";
  EXPECT_EQ(range("::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe").subnets().size(), 254U);
}

// What the data planes' precedence rests on.
TEST(AddressRange, ASubnetOfAPartLiesInASubnetOfTheWhole) {
  std::mt19937 random(3);
  const auto address = [](unsigned number) {
    const std::uint8_t raw[4] = {10, 0, static_cast<std::uint8_t>(number >> 8),
                                 static_cast<std::uint8_t>(number)};
    return *IpAddress::from_bytes(raw);
  };
  for (int round = 0; round < 500; ++round) {
    std::array<unsigned, 4> ends{};
    for (unsigned& end : ends) end = static_cast<unsigned>(random() % 4096);
    std::sort(ends.begin(), ends.end());
    const AddressRange whole{address(ends[0]), address(ends[3])};
    const AddressRange part{address(ends[1]), address(ends[2])};
    const auto wide = whole.subnets();
    unsigned covered = 0;
    for (const Subnet& one : part.subnets()) {
      EXPECT_TRUE(std::any_of(wide.begin(), wide.end(), [&](const Subnet& w) { return w.contains(one); }))
          << one.to_string() << " of " << part.to_string() << " in " << whole.to_string();
      EXPECT_TRUE(part.contains(one.address()) && part.contains(one.last()));
      covered += 1U << (32 - one.prefix());
    }
    EXPECT_EQ(covered, ends[2] - ends[1] + 1);
  }
}

TEST(AddressRange, HasANarrowestSubnetAroundItAndAWidth) {
  EXPECT_EQ(range("10.1.0.10", "10.1.0.20").around().to_string(), "10.1.0.0/27");
  EXPECT_EQ(range("127.255.255.255", "128.0.0.0").around().to_string(), "0.0.0.0/0");
  EXPECT_EQ(range("10.1.0.7", "10.1.0.7").around().to_string(), "10.1.0.7/32");
  EXPECT_LT(range("10.1.0.10", "10.1.0.20").width(), range("10.0.0.255", "10.0.1.10").width());
  EXPECT_EQ(range("10.1.0.255", "10.1.1.1").width()[15], 2);
  EXPECT_EQ(range("10.1.0.255", "10.1.1.1").width()[14], 0);
}

TEST(Selector, OfARangeMatchesFromItsFirstToItsLastAddress) {
  const Selector some = selector(range("10.1.0.10", "10.1.0.20"), 6, 80);
  EXPECT_TRUE(some.matches(ip("10.1.0.10"), 6, 80));
  EXPECT_TRUE(some.matches(ip("10.1.0.20"), 6, 80));
  EXPECT_FALSE(some.matches(ip("10.1.0.9"), 6, 80));
  EXPECT_FALSE(some.matches(ip("10.1.0.21"), 6, 80));
  EXPECT_FALSE(some.matches(ip("10.1.0.15"), 17, 80));
  EXPECT_FALSE(some.matches(ip("2001:db8::1"), 6, 80));
  EXPECT_EQ(some.to_string(), "10.1.0.10-10.1.0.20 tcp 80");
}

TEST(Selector, ARangeThatIsASubnetIsTheSameTraffic) {
  const Selector net = selector(range("10.1.0.0", "10.1.0.255"));
  EXPECT_EQ(net.to_string(), "10.1.0.0-10.1.0.255");
  EXPECT_NE(net, selector("10.1.0.0/24"));
  EXPECT_EQ(net.canonical(), selector("10.1.0.0/24"));
  EXPECT_EQ(selector(range("10.1.0.9", "10.1.0.9")).canonical(), selector("10.1.0.9"));
  const Selector odd = selector(range("10.1.0.0", "10.1.0.254"));
  EXPECT_EQ(odd.canonical(), odd);
  EXPECT_TRUE((SelectorPair{net, odd}.same_traffic({selector("10.1.0.0/24"), odd})));
}

TEST(Selector, ContainsAndOverlaps) {
  const Selector lan = selector("10.1.0.0/24");
  const Selector some = selector(range("10.1.0.10", "10.1.0.20"));
  const Selector beyond = selector(range("10.1.0.200", "10.1.1.20"));
  EXPECT_TRUE(lan.contains(some));
  EXPECT_FALSE(some.contains(lan));
  EXPECT_FALSE(lan.contains(beyond));
  EXPECT_TRUE(lan.overlaps(beyond));
  EXPECT_FALSE(some.overlaps(beyond));
  EXPECT_TRUE(lan.contains(selector("10.1.0.0/24", 6, 80)));
  EXPECT_FALSE(selector("10.1.0.0/24", 6).contains(lan));
  EXPECT_TRUE(selector("10.1.0.0/24", 6).overlaps(lan));
  EXPECT_FALSE(selector("10.1.0.0/24", 6).overlaps(selector("10.1.0.0/24", 17)));
  EXPECT_FALSE(selector("10.1.0.0/24", 6, 80).overlaps(selector("10.1.0.0/24", 6, 81)));
  EXPECT_FALSE(selector("0.0.0.0/0").contains(selector("::/0")));
  EXPECT_FALSE(selector("0.0.0.0/0").overlaps(selector("::/0")));
}

TEST(SelectorPair, BecomesPairsOfSubnets) {
  const SelectorPair pair{selector(range("10.1.0.1", "10.1.0.2"), 6, 80), selector("10.2.0.0/24", 6)};
  const auto parts = pair.subnet_pairs();
  ASSERT_EQ(parts.size(), 2U);
  EXPECT_EQ(parts[0].to_string(), "10.1.0.1/32 tcp 80 === 10.2.0.0/24 tcp");
  EXPECT_EQ(parts[1].to_string(), "10.1.0.2/32 tcp 80 === 10.2.0.0/24 tcp");
  EXPECT_TRUE(pair.narrower_than({selector("10.1.0.0/24", 6), selector("10.2.0.0/24", 6)}));
  EXPECT_FALSE(pair.narrower_than(pair));
}

}  // namespace
}  // namespace oakgate
