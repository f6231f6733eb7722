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

// Three homes for all keys.
struct CollidingHash {
  template <std::size_t kWords>
  std::size_t operator()(const SelectorKey<kWords>& key) const noexcept {
    return SelectorKeyHash{}(key) % 3;
  }
};

// Random inserts, erases and look-ups of both families, with ranges, protocols and ports, against a list that
// is walked. Few networks, so that pairs share keys and each other's traffic.
template <typename Hash>
class AgainstAList {
 public:
  explicit AgainstAList(unsigned seed) : random_(seed) {}
  void step(int value) {
    if (list_.empty() || below(100) < (list_.size() < 120 ? 60U : 40U)) {
      list_.push_back({pair(), value});
      table_.insert(list_.back().pair, value);
    } else {
      const auto gone = list_.begin() + static_cast<std::ptrdiff_t>(below(list_.size()));
      table_.erase(gone->pair, gone->value);
      list_.erase(gone);
    }
    for (int i = 0; i < 4; ++i) look_up();
  }
  void empty() {
    for (const Entry& entry : list_) table_.erase(entry.pair, entry.value);
    list_.clear();
    for (int i = 0; i < 50; ++i) look_up();
  }

 private:
  struct Entry {
    SelectorPair pair;
    int value = 0;
    std::vector<SelectorPair> parts = pair.subnet_pairs();
  };

  std::size_t below(std::size_t limit) { return random_() % limit; }
  IpAddress host(Family family) {
    Bytes raw(family == Family::ipv4 ? 4 : 16);
    raw.front() = family == Family::ipv4 ? 10 : 0xfd;
    raw[raw.size() / 2] = static_cast<std::uint8_t>(below(3));
    raw.back() = static_cast<std::uint8_t>(below(6));
    return *IpAddress::from_bytes(raw);
  }
  Selector side(Family family, std::uint8_t protocol) {
    const auto port = static_cast<std::uint16_t>(protocol == 6 ? below(3) : 0);
    if (below(4) == 0) {
      // Within one network: a range over several comes to very many subnets.
      const IpAddress one = host(family);
      Bytes raw = to_bytes(one.bytes());
      raw.back() = static_cast<std::uint8_t>(below(6));
      const IpAddress other = *IpAddress::from_bytes(raw);
      return Selector::of_range({std::min(one, other), std::max(one, other)}, protocol, port);
    }
    const IpAddress address = host(family);
    return {Subnet(address, static_cast<int>(below(5)) * address.bits() / 4), protocol, port};
  }
  SelectorPair pair() {
    const Family family = below(2) == 0 ? Family::ipv4 : Family::ipv6;
    const std::uint8_t protocol = std::array<std::uint8_t, 4>{0, 0, 6, 17}.at(below(4));
    return {side(family, protocol), side(family, protocol)};
  }

  // Whether the first decides about the flow, which both hold: by the part that the flow is in.
  static bool goes_first(const Entry& one, const Entry& other, const Flow& flow) {
    const auto prefixes = [&flow](const Entry& entry) {
      for (const SelectorPair& part : entry.parts) {
        if (part.remote.subnet.contains(flow.remote) && part.local.subnet.contains(flow.local))
          return std::pair(part.remote.subnet.prefix(), part.local.subnet.prefix());
      }
      return std::pair(-1, -1);
    };
    const auto fixed = [](const SelectorPair& pair) {
      return (pair.remote.port != 0) + (pair.local.port != 0) + (pair.remote.protocol != 0) +
             (pair.local.protocol != 0);
    };
    const auto mine = std::pair(prefixes(one), fixed(one.pair));
    const auto theirs = std::pair(prefixes(other), fixed(other.pair));
    return mine != theirs ? mine > theirs : one.pair.narrower_than(other.pair);
  }
  void look_up() {
    const Family family = below(2) == 0 ? Family::ipv4 : Family::ipv6;
    const auto port = [this] { return static_cast<std::uint16_t>(below(3)); };
    const auto protocol = static_cast<std::uint8_t>(below(2) == 0 ? 6 : 17);
    const Flow flow{host(family), host(family), protocol, port(), port()};
    const Entry* best = nullptr;
    for (const Entry& entry : list_) {
      if (within(entry.pair, flow) && (best == nullptr || goes_first(entry, *best, flow))) best = &entry;
    }
    table_.prefetch(flow);
    const int* const found = table_.find(flow);
    ASSERT_EQ(found != nullptr ? *found : 0, best != nullptr ? best->value : 0)
        << flow.local.to_string() << " " << flow.remote.to_string();
  }

  std::mt19937 random_;
  SelectorTable<int, Hash> table_;
  std::vector<Entry> list_;  // in the order of insertion
};

template <typename Hash>
void agrees_with_a_list() {
  for (unsigned seed = 1; seed <= 5; ++seed) {
    AgainstAList<Hash> both(seed);
    for (int step = 1; step <= 400; ++step) {
      SCOPED_TRACE("seed " + std::to_string(seed) + " step " + std::to_string(step));
      both.step(step);
      if (testing::Test::HasFatalFailure()) return;
    }
    both.empty();
  }
}

TEST(SelectorTable, AgreesWithAListThatComesAndGoes) {
  agrees_with_a_list<SelectorKeyHash>();
}
TEST(SelectorTable, AgreesWithAListThoughKeysCollide) {
  agrees_with_a_list<CollidingHash>();
}

}  // namespace
}  // namespace oakgate::soft
