#include "xfrm/soft/flat_table.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>

namespace oakgate::soft {
namespace {

struct Mixed {
  std::size_t operator()(int key) const { return mixed(static_cast<std::uint64_t>(key)); }
};
// Whatever the key: few homes, the last cells of the table among them.
struct Colliding {
  std::size_t operator()(int key) const {
    return key % 3 == 0 ? SIZE_MAX : static_cast<std::size_t>(key % 3);
  }
};

// Against a std::map: some tables grow and shrink, others stay as they are.
template <typename Hash>
void like_a_map(unsigned seed, int keys, int steps) {
  std::mt19937 random(seed);
  FlatTable<int, std::unique_ptr<int>, Hash> table;
  std::map<int, int> model;
  for (int step = 0; step < steps; ++step) {
    const int key = static_cast<int>(random()) % keys;
    // It fills, and empties, and fills again.
    const bool filling = step / (keys * 2) % 2 == 0;
    if (random() % 4 < (filling ? 3U : 1U)) {
      table[key] = std::make_unique<int>(step);
      model[key] = step;
    } else {
      ASSERT_EQ(table.erase(key), model.erase(key) == 1);
    }
    ASSERT_EQ(table.size(), model.size());
    const int other = static_cast<int>(random()) % keys;
    table.prefetch(other);
    const auto* const found = table.find(other);
    ASSERT_EQ(found != nullptr, model.contains(other)) << "step " << step;
    if (found != nullptr) {
      ASSERT_EQ(**found, model.at(other));
    }
    ASSERT_LE(table.size() * 4, table.capacity() * 3) << "a probe must find an end";
    ASSERT_LE(table.capacity(), std::max<std::size_t>(8, table.size() * 8 + 8));
    if (step % keys != 0) continue;
    for (const auto& [each, value] : model) {
      ASSERT_NE(table.find(each), nullptr) << "step " << step;
      ASSERT_EQ(**table.find(each), value);
    }
  }
}

TEST(FlatTable, IsLikeAMap) {
  for (unsigned seed = 0; seed < 10; ++seed) like_a_map<Mixed>(seed, 1 << (3 + seed % 8), 20000);
}

TEST(FlatTable, IsLikeAMapThoughAllCollide) {
  for (unsigned seed = 0; seed < 10; ++seed) like_a_map<Colliding>(seed, 8 << (seed % 4), 10000);
}

TEST(FlatTable, NothingIsInAnEmptyOne) {
  FlatTable<int, int, Mixed> table;
  EXPECT_EQ(table.find(1), nullptr);
  EXPECT_FALSE(table.erase(1));
  table.prefetch(1);
  EXPECT_EQ(table[1], 0);
  EXPECT_TRUE(table.erase(1));
  EXPECT_TRUE(table.empty());
}

TEST(FlatTable, HashesSpreadKeysThatFollowEachOther) {
  // Hosts of one network, as they lie in memory: what differs is in the upper bytes of a word.
  FlatTable<std::uint64_t, int, decltype([](std::uint64_t key) { return mixed(key); })> table;
  std::map<std::uint64_t, int> homes;
  for (std::uint64_t i = 0; i < 4096; ++i) ++homes[mixed(i << 24) & 4095];
  for (const auto& [home, count] : homes) EXPECT_LT(count, 12);
}

}  // namespace
}  // namespace oakgate::soft
