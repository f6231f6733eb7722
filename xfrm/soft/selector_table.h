// Which policy an outbound packet meets: the SPD's outbound part (RFC 4301 section 4.4.1), made for many
// entries.
//
// The most specific selector pair wins: longest remote prefix, then longest local prefix, then protocol and
// ports; between equals the one of fewer addresses, then the one inserted first. Pairs of one shape (family
// and the two prefix lengths) share a hash table, so a look-up costs one probe a shape in use, however many
// policies there are. A range is in it as the subnets it consists of.
//
// A pair of two subnets, which nearly all are, is in its table's cell whole: its key says everything of it.
// The others that share a key, or have protocols, ports or ranges, are in a list that the cell names.
//
// Fragments (RFC 4301 section 7.1): a packet without visible ports has ports 0 here, and meets only selectors
// without ports.
#pragma once

#include <algorithm>
#include <memory>
#include <type_traits>
#include <vector>

#include "xfrm/soft/flat_table.h"
#include "xfrm/soft/flow.h"

namespace oakgate::soft {

// `T` is small and trivial: a pointer, a number. `Hash`: for tests that want collisions.
template <typename T, typename Hash = SelectorKeyHash>
class SelectorTable {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  // Both sides of `pair` are of one family. Without memory (std::bad_alloc) nothing of it stays.
  void insert(const SelectorPair& pair, const T& value) {
    const auto parts = pair.subnet_pairs();
    const bool v4 = pair.remote.family() == Family::ipv4;
    const Entry entry{pair, value};
    std::size_t done = 0;
    try {
      for (; done < parts.size(); ++done)
        v4 ? insert_part(ipv4_, parts[done], entry) : insert_part(ipv6_, parts[done], entry);
    } catch (const std::bad_alloc&) {
      while (done-- > 0) v4 ? erase_part(ipv4_, parts[done], entry) : erase_part(ipv6_, parts[done], entry);
      throw;
    }
  }

  // The entry with exactly this pair and value, if there is one.
  void erase(const SelectorPair& pair, const T& value) {
    for (const SelectorPair& part : pair.subnet_pairs()) {
      pair.remote.family() == Family::ipv4 ? erase_part(ipv4_, part, {pair, value})
                                           : erase_part(ipv6_, part, {pair, value});
    }
  }

  // Valid until the next insert or erase; null: no policy.
  [[nodiscard]] const T* find(const AnyFlow auto& flow) const {
    if (flow.local.family() != flow.remote.family()) return nullptr;
    return flow.remote.is_v4() ? find_in(ipv4_, flow) : find_in(ipv6_, flow);
  }
  // Ahead of a find(): has what that reads first brought into the cache.
  void prefetch(const AnyFlow auto& flow) const {
    flow.remote.is_v4() ? prefetch_in(ipv4_, flow) : prefetch_in(ipv6_, flow);
  }

 private:
  // More shapes than these a gateway hardly has, and too many prefetches get in each other's way.
  static constexpr std::size_t kPrefetched = 4;

  struct Entry {
    SelectorPair pair;
    T value;
    // Whether its key says everything of it.
    [[nodiscard]] bool plain() const {
      const auto bare = [](const Selector& side) {
        return side.protocol == 0 && side.port == 0 && !side.range;
      };
      return bare(pair.local) && bare(pair.remote);
    }
    friend bool operator==(const Entry&, const Entry&) = default;
  };
  struct Bucket {
    T value{};                                 // of the one plain entry, if there is no list
    std::unique_ptr<std::vector<Entry>> list;  // most specific first
  };
  // Prefix lengths; what is more specific comes first.
  struct Shape {
    int remote_prefix = 0;
    int local_prefix = 0;
    friend auto operator<=>(const Shape&, const Shape&) = default;
  };
  template <std::size_t kWords>
  struct Group {
    using Key = SelectorKey<kWords>;
    Shape shape;
    Key mask;
    FlatTable<Key, Bucket, Hash> entries;
  };
  template <std::size_t kWords>
  using Groups = std::vector<Group<kWords>>;  // most specific shape first

  static Shape shape_of(const SelectorPair& pair) {
    return {pair.remote.subnet.prefix(), pair.local.subnet.prefix()};
  }
  // How much of protocol and ports is fixed.
  static int rank_of(const SelectorPair& pair) {
    return (pair.remote.port != 0) + (pair.local.port != 0) + (pair.remote.protocol != 0) +
           (pair.local.protocol != 0);
  }

  template <std::size_t kWords>
  static const T* find_in(const Groups<kWords>& groups, const AnyFlow auto& flow) {
    const auto key = SelectorKey<kWords>::of(flow);
    for (const Group<kWords>& group : groups) {
      const Bucket* const bucket = group.entries.find(key.masked(group.mask));
      if (bucket == nullptr) continue;
      if (!bucket->list) return &bucket->value;
      for (const Entry& entry : *bucket->list) {
        if (within(entry.pair, flow)) return &entry.value;
      }
    }
    return nullptr;
  }
  template <std::size_t kWords>
  static void prefetch_in(const Groups<kWords>& groups, const AnyFlow auto& flow) {
    const auto key = SelectorKey<kWords>::of(flow);
    for (std::size_t i = 0; i < std::min(groups.size(), kPrefetched); ++i) {
      groups[i].entries.prefetch(key.masked(groups[i].mask));
    }
  }

  // `part`: subnets within the entry's pair.
  template <std::size_t kWords>
  static void insert_part(Groups<kWords>& groups, const SelectorPair& part, const Entry& fresh) {
    auto& table = group_of(groups, shape_of(part)).entries;
    const auto key = SelectorKey<kWords>::of(part);
    Bucket* const known = table.find(key);
    if (known == nullptr) {
      // Whole before it is in: there may be no memory for it.
      Bucket bucket;
      if (fresh.plain()) {
        bucket.value = fresh.value;
      } else {
        bucket.list = std::make_unique<std::vector<Entry>>(1, fresh);
      }
      table[key] = std::move(bucket);
      return;
    }
    Bucket& bucket = *known;
    if (!bucket.list) bucket.list = std::make_unique<std::vector<Entry>>(1, Entry{bare(part), bucket.value});
    const auto behind = [&](const Entry& entry) {
      const int rank = rank_of(entry.pair);
      return rank < rank_of(fresh.pair) ||
             (rank == rank_of(fresh.pair) && fresh.pair.narrower_than(entry.pair));
    };
    bucket.list->insert(std::find_if(bucket.list->begin(), bucket.list->end(), behind), fresh);
  }

  template <std::size_t kWords>
  static void erase_part(Groups<kWords>& groups, const SelectorPair& part, const Entry& gone) {
    const auto group = std::find_if(groups.begin(), groups.end(), [&](const Group<kWords>& candidate) {
      return candidate.shape == shape_of(part);
    });
    if (group == groups.end()) return;
    const auto key = SelectorKey<kWords>::of(part);
    Bucket* const bucket = group->entries.find(key);
    if (bucket == nullptr) return;
    if (bucket->list) {
      std::vector<Entry>& list = *bucket->list;
      const auto found = std::find(list.begin(), list.end(), gone);
      if (found != list.end()) list.erase(found);
      if (list.size() == 1 && list.front().plain()) {
        bucket->value = list.front().value;
        bucket->list.reset();
        return;
      }
      if (!list.empty()) return;
    } else if (!gone.plain() || !(bucket->value == gone.value)) {
      return;
    }
    group->entries.erase(key);
    if (group->entries.empty()) groups.erase(group);
  }

  // The pair that a plain entry in `part`'s place has.
  static SelectorPair bare(const SelectorPair& part) { return {{part.local.subnet}, {part.remote.subnet}}; }

  template <std::size_t kWords>
  static Group<kWords>& group_of(Groups<kWords>& groups, const Shape& shape) {
    const auto position = std::find_if(groups.begin(), groups.end(),
                                       [&](const Group<kWords>& group) { return group.shape <= shape; });
    if (position != groups.end() && position->shape == shape) return *position;
    const auto mask =
        SelectorKey<kWords>::of(prefix_mask(shape.remote_prefix), prefix_mask(shape.local_prefix));
    return *groups.insert(position, Group<kWords>{shape, mask, {}});
  }

  Groups<1> ipv4_;
  Groups<4> ipv6_;
};

}  // namespace oakgate::soft
