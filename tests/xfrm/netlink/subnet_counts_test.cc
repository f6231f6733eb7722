#include "xfrm/netlink/subnet_counts.h"

#include <gtest/gtest.h>

namespace oakgate {
namespace {

Subnet net(const char* text) {
  return *Subnet::parse(text);
}
IpAddress at(const char* text) {
  return *IpAddress::parse(text);
}

TEST(SubnetCounts, TellsWhetherAnyHoldsAnAddress) {
  SubnetCounts counts;
  EXPECT_FALSE(counts.hold(at("10.2.0.1")));
  counts.add(net("10.2.0.0/24"));
  counts.add(net("10.0.0.0/8"));
  counts.add(net("2001:db8::/32"));
  EXPECT_TRUE(counts.hold(at("10.2.0.1")));
  EXPECT_TRUE(counts.hold(at("10.3.0.1")));
  EXPECT_FALSE(counts.hold(at("11.0.0.1")));
  EXPECT_TRUE(counts.hold(at("2001:db8::1")));
  EXPECT_FALSE(counts.hold(at("32.1.13.184"))) << "the same bits of another family";
  counts.remove(net("10.0.0.0/8"));
  EXPECT_FALSE(counts.hold(at("10.3.0.1")));
  EXPECT_TRUE(counts.hold(at("10.2.0.1")));
}

TEST(SubnetCounts, EachIsAsOftenThereAsItWasAdded) {
  SubnetCounts counts;
  counts.add(net("10.2.0.0/24"));
  counts.add(net("10.2.0.0/24"));
  counts.remove(net("10.2.0.0/24"));
  EXPECT_TRUE(counts.hold(at("10.2.0.9")));
  counts.remove(net("10.2.0.0/24"));
  EXPECT_FALSE(counts.hold(at("10.2.0.9")));
  counts.remove(net("10.2.0.0/24"));
  counts.remove(net("0.0.0.0/0"));
  EXPECT_FALSE(counts.hold(at("10.2.0.9")));
}

}  // namespace
}  // namespace oakgate
