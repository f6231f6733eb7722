// A hash table whose entries lie one behind the other: what is looked for with every packet, among 100,000
// others. A look-up reads one cache line mostly, and prefetch() has it brought in while other packets are
// worked on.
//
// Open addressing with linear probing, at most three quarters full, so that a probe has an end; each cell
// keeps its hash. An erased cell is filled by moving those behind it up, so nothing of it remains. `Hash`
// gives 64 well mixed bits; `Key` has ==. Pointers to values hold until the next insert or erase.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "xfrm/soft/prefetch.h"
#include "xfrm/soft/slab.h"

namespace oakgate::soft {

// Multiplies and folds: each bit of `value` counts in the low bits of the result.
[[nodiscard]] constexpr std::uint64_t mixed(std::uint64_t value) {
  value *= 0x9e37'79b9'7f4a'7c15;  // 2^64 divided by the golden ratio
  value ^= value >> 32;
  value *= 0xd6e8'feb8'6659'fd93;
  return value ^ value >> 32;
}

template <typename Key, typename Value, typename Hash>
class FlatTable {
 public:
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] std::size_t capacity() const { return cells_.size(); }

  // Null: not in it.
  [[nodiscard]] Value* find(const Key& key) { return const_cast<Value*>(std::as_const(*this).find(key)); }
  [[nodiscard]] const Value* find(const Key& key) const {
    if (size_ == 0) return nullptr;
    const std::uint32_t hash = hash_of(key);
    for (std::size_t at = home(hash); cells_[at].hash != kEmpty; at = after(at)) {
      if (cells_[at].hash == hash && cells_[at].key == key) return &cells_[at].value;
    }
    return nullptr;
  }
  // Ahead of a find().
  void prefetch(const Key& key) const {
    if (size_ != 0) prefetch_line(&cells_[home(hash_of(key))]);
  }

  // The value of `key`, a new one if it had none.
  Value& operator[](const Key& key) {
    if (Value* const found = find(key)) return *found;
    if ((size_ + 1) * 4 > cells_.size() * 3) resize(cells_.size() * 2);
    ++size_;
    Cell& cell = cells_[free_cell(hash_of(key))];
    cell.hash = hash_of(key);
    cell.key = key;
    return cell.value;
  }

  // False: it was not in it.
  bool erase(const Key& key) {
    Value* const found = find(key);
    if (found == nullptr) return false;
    std::size_t hole = home(hash_of(key));
    while (&cells_[hole].value != found) hole = after(hole);
    // Whoever would have been in the hole, had it been free, moves there; then its place is the hole.
    for (std::size_t at = after(hole); cells_[at].hash != kEmpty; at = after(at)) {
      const std::size_t distance = (at - home(cells_[at].hash)) & mask();
      if (distance < ((at - hole) & mask())) continue;
      cells_[hole] = std::move(cells_[at]);
      hole = at;
    }
    cells_[hole] = Cell{};
    --size_;
    shrink();
    return true;
  }

 private:
  static constexpr std::uint32_t kEmpty = 0;
  static constexpr std::uint32_t kTaken = 0x8000'0000;  // of every hash, so that none is kEmpty
  static constexpr std::size_t kLeast = 8;
  struct Cell {
    std::uint32_t hash = kEmpty;
    Key key{};
    Value value{};
  };

  using Cells = std::vector<Cell, HugeAllocator<Cell>>;

  [[nodiscard]] static std::uint32_t hash_of(const Key& key) {
    return static_cast<std::uint32_t>(Hash{}(key)) | kTaken;
  }
  [[nodiscard]] std::size_t mask() const { return cells_.size() - 1; }
  [[nodiscard]] std::size_t home(std::uint32_t hash) const { return hash & mask(); }
  [[nodiscard]] std::size_t after(std::size_t at) const { return (at + 1) & mask(); }
  [[nodiscard]] std::size_t free_cell(std::uint32_t hash) const {
    std::size_t at = home(hash);
    while (cells_[at].hash != kEmpty) at = after(at);
    return at;
  }
  // Without memory for a smaller one it stays as it is.
  void shrink() {
    if (cells_.size() <= kLeast || size_ * 8 >= cells_.size()) return;
    try {
      resize(cells_.size() / 4);
    } catch (const std::bad_alloc&) {
      return;
    }
  }
  void resize(std::size_t size) {
    Cells before(std::max(size, kLeast));
    before.swap(cells_);
    for (Cell& cell : before) {
      if (cell.hash != kEmpty) cells_[free_cell(cell.hash)] = std::move(cell);
    }
  }

  Cells cells_;  // a power of two, or none
  std::size_t size_ = 0;
};

}  // namespace oakgate::soft
