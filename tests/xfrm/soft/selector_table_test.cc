#include "xfrm/soft/selector_table.h"

#include <gtest/gtest.h>

#include <random>

#include "packets.h"

namespace oakgate::soft {
namespace {

using test::address;

Selector selector(std::string_view subnet, std::uint8_t protocol = 0, std::uint16_t port = 0) {
  return {*Subnet::parse(subnet), protocol, port};
}

int find(const SelectorTable<int>& table, const Flow& flow) {
  const int* found = table.find(flow);
  return found == nullptr ? 0 : *found;
}

TEST(SelectorTable, TheMostSpecificWins) {
  SelectorTable<int> table;
  table.insert({selector("10.0.0.0/8"), selector("10.0.0.0/8")}, 1);
  table.insert({selector("10.0.0.0/8"), selector("10.2.0.0/24")}, 2);
  table.insert({selector("10.1.0.0/24"), selector("10.2.0.0/24")}, 3);
  table.insert({selector("10.1.0.0/24"), selector("10.2.0.0/24", 6, 179)}, 4);
  table.insert({selector("10.1.0.0/24"), selector("10.2.0.0/24", 6)}, 5);
  table.insert({selector("0.0.0.0/0"), selector("0.0.0.0/0")}, 6);
  const IpAddress lan = address("10.1.0.5");
  const IpAddress far = address("10.2.0.9");
  EXPECT_EQ(find(table, {lan, far, 6, 40000, 179}), 4);
  EXPECT_EQ(find(table, {lan, far, 6, 40000, 80}), 5);
  EXPECT_EQ(find(table, {lan, far, 17, 53, 53}), 3);
  EXPECT_EQ(find(table, {address("10.3.0.1"), far, 6, 1, 179}), 2);
  EXPECT_EQ(find(table, {lan, address("10.9.9.9"), 1, 0, 0}), 1);
  EXPECT_EQ(find(table, {address("192.0.2.1"), address("198.51.100.1"), 1, 0, 0}), 6);
}

TEST(SelectorTable, ALessSpecificOneCatchesWhatThePortsRefuse) {
  SelectorTable<int> table;
  table.insert({selector("10.1.0.0/24"), selector("10.2.0.0/24", 6, 179)}, 1);
  table.insert({selector("10.1.0.0/24"), selector("10.0.0.0/8")}, 2);
  EXPECT_EQ(find(table, {address("10.1.0.5"), address("10.2.0.9"), 6, 1, 80}), 2);
}

TEST(SelectorTable, APacketWithoutPortsMeetsOnlySelectorsWithoutPorts) {
  SelectorTable<int> table;
  table.insert({selector("10.1.0.0/24"), selector("10.2.0.0/24", 17, 53)}, 1);
  EXPECT_EQ(find(table, {address("10.1.0.5"), address("10.2.0.9"), 17, 0, 0}), 0);
  table.insert({selector("10.1.0.0/24"), selector("10.2.0.0/24", 17)}, 2);
  EXPECT_EQ(find(table, {address("10.1.0.5"), address("10.2.0.9"), 17, 0, 0}), 2);
}

TEST(SelectorTable, FamiliesDoNotMix) {
  SelectorTable<int> table;
  table.insert({selector("0.0.0.0/0"), selector("0.0.0.0/0")}, 1);
  table.insert({selector("::/0"), selector("::/0")}, 2);
  EXPECT_EQ(find(table, {address("2001:db8::1"), address("2001:db8::2"), 6, 1, 1}), 2);
  EXPECT_EQ(find(table, {address("10.1.0.1"), address("10.2.0.1"), 6, 1, 1}), 1);
}

TEST(SelectorTable, EqualPairsKeepTheirOrderAndLeaveOneByOne) {
  SelectorTable<int> table;
  const SelectorPair pair{selector("10.1.0.0/24"), selector("10.2.0.0/24")};
  const Flow flow{address("10.1.0.5"), address("10.2.0.9"), 1, 0, 0};
  table.insert(pair, 1);
  table.insert(pair, 2);
  EXPECT_EQ(find(table, flow), 1);
  table.erase(pair, 1);
  EXPECT_EQ(find(table, flow), 2);
  table.erase(pair, 1);  // not there: nothing happens
  table.erase(pair, 2);
  EXPECT_EQ(find(table, flow), 0);
}

TEST(SelectorTable, ARangeIsAllItsSubnetsAndAPartOfItGoesFirst) {
  const auto range = [](const char* first, const char* last) {
    return Selector::of_range({address(first), address(last)});
  };
  SelectorTable<int> table;
  const SelectorPair whole{range("10.1.0.10", "10.1.0.20"), selector("10.2.0.0/24")};
  const SelectorPair part{range("10.1.0.16", "10.1.0.20"), selector("10.2.0.0/24")};
  const auto from = [&](const char* host) {
    return find(table, {address(host), address("10.2.0.9"), 6, 1, 1});
  };
  table.insert(whole, 1);
  for (const char* host : {"10.1.0.10", "10.1.0.15", "10.1.0.16", "10.1.0.20"}) EXPECT_EQ(from(host), 1);
  for (const char* host : {"10.1.0.9", "10.1.0.21"}) EXPECT_EQ(from(host), 0);
  table.insert(part, 2);  // two of its subnets are the whole range's, too
  EXPECT_EQ(from("10.1.0.15"), 1);
  for (const char* host : {"10.1.0.16", "10.1.0.19", "10.1.0.20"}) EXPECT_EQ(from(host), 2);
  table.erase(whole, 1);
  EXPECT_EQ(from("10.1.0.15"), 0);
  EXPECT_EQ(from("10.1.0.16"), 2);
  table.insert(whole, 1);
  table.erase(part, 2);
  EXPECT_EQ(from("10.1.0.16"), 1);
  table.erase(whole, 1);
  EXPECT_EQ(from("10.1.0.16"), 0);
}

// Against a walk over everything.
TEST(SelectorTable, AgreesWithTheDefinition) {
  std::mt19937 random(7);
  const auto subnet = [&random] {
    const std::uint8_t raw[4] = {10, static_cast<std::uint8_t>(random() % 4),
                                 static_cast<std::uint8_t>(random() % 4), 0};
    return Subnet(*IpAddress::from_bytes(raw), static_cast<int>(8 * (random() % 4)));
  };
  SelectorTable<int> table;
  std::vector<SelectorPair> pairs(1);
  for (int i = 1; i <= 300; ++i) {
    const std::uint8_t protocol = random() % 2 == 0 ? 0 : 6;
    const auto port = static_cast<std::uint16_t>(protocol == 0 ? 0 : random() % 3);
    pairs.push_back({{subnet(), protocol, 0}, {subnet(), protocol, port}});
    table.insert(pairs.back(), i);
  }
  const auto rank = [&pairs](int i) {
    const SelectorPair& pair = pairs[static_cast<std::size_t>(i)];
    return std::tuple(pair.remote.subnet.prefix(), pair.local.subnet.prefix(),
                      (pair.remote.protocol != 0) * 2 + (pair.remote.port != 0), -i);
  };
  for (int round = 0; round < 5'000; ++round) {
    const auto host = [&random] {
      const std::uint8_t raw[4] = {10, static_cast<std::uint8_t>(random() % 5),
                                   static_cast<std::uint8_t>(random() % 5), 9};
      return *IpAddress::from_bytes(raw);
    };
    const Flow flow{host(), host(), static_cast<std::uint8_t>(random() % 2 == 0 ? 6 : 17), 7,
                    static_cast<std::uint16_t>(random() % 4)};
    int best = 0;
    for (int i = 1; i <= 300; ++i) {
      if (within(pairs[static_cast<std::size_t>(i)], flow) && (best == 0 || rank(i) > rank(best))) best = i;
    }
    ASSERT_EQ(find(table, flow), best) << flow.local.to_string() << " " << flow.remote.to_string();
  }
}

}  // namespace
}  // namespace oakgate::soft
