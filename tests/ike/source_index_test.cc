#include "ike/source_index.h"

#include <gtest/gtest.h>

#include "ike/peers.h"

namespace oakgate::ike {
namespace {

IpAddress address(const char* text) {
  return *IpAddress::parse(text);
}

const auto kAny = [](const Peer&) { return true; };

TEST(SourceIndex, TheMostSpecificSubnetDecidesThenTheOrder) {
  Peer host;
  Peer range;
  Peer again;
  Peer anybody;
  SourceIndex index;
  index.add(Subnet::any(Family::ipv4), anybody);
  index.add(*Subnet::parse("192.0.2.0/24"), range);
  index.add(*Subnet::parse("192.0.2.0/24"), again);
  index.add(*Subnet::parse("192.0.2.7"), host);
  EXPECT_EQ(index.find(address("192.0.2.7"), kAny), &host);
  EXPECT_EQ(index.find(address("192.0.2.8"), kAny), &range);
  EXPECT_EQ(index.find(address("198.51.100.1"), kAny), &anybody);
  EXPECT_EQ(index.find(address("2001:db8::1"), kAny), nullptr);
  EXPECT_EQ(
      index.find(address("192.0.2.7"), [&](const Peer& peer) { return &peer != &host && &peer != &range; }),
      &again);
  EXPECT_EQ(index.find(address("192.0.2.7"), [](const Peer&) { return false; }), nullptr);
}

TEST(SourceIndex, FamiliesAreApart) {
  Peer four;
  Peer six;
  SourceIndex index;
  index.add(Subnet::any(Family::ipv4), four);
  index.add(*Subnet::parse("2001:db8::/32"), six);
  EXPECT_EQ(index.find(address("2001:db8::1"), kAny), &six);
  EXPECT_EQ(index.find(address("2001:db9::1"), kAny), nullptr);
  EXPECT_EQ(index.find(address("32.1.13.184"), kAny), &four);
}

TEST(SourceIndex, AsManyPeersAsThereAre) {
  std::vector<Peer> peers(20000);
  SourceIndex index;
  for (std::size_t i = 0; i < peers.size(); ++i) {
    const Bytes raw{10, 1, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)};
    index.add(Subnet::host(*IpAddress::from_bytes(raw)), peers[i]);
  }
  for (std::size_t i = 0; i < peers.size(); ++i) {
    const Bytes raw{10, 1, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)};
    ASSERT_EQ(index.find(*IpAddress::from_bytes(raw), kAny), &peers[i]);
  }
}

}  // namespace
}  // namespace oakgate::ike
