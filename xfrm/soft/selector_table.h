// Which policy an outbound packet meets: the SPD's outbound part (RFC 4301 section 4.4.1), made for many
// entries.
//
// The most specific selector pair wins: longest remote prefix, then longest local prefix, then protocol and
// ports; between equals the one of fewer addresses, then the one inserted first. Pairs of one shape (family
// and the two prefix lengths) share a hash table, so a look-up costs one probe a shape in use, however many
// policies there are. A range is in it as the subnets it consists of.
//
// Fragments (RFC 4301 section 7.1): a packet without visible ports has ports 0 here, and meets only selectors
// without ports.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "ike/base/net.h"

namespace oakgate::soft {

struct Flow {
  IpAddress local;
  IpAddress remote;
  std::uint8_t protocol = 0;
  std::uint16_t local_port = 0;
  std::uint16_t remote_port = 0;
  friend bool operator==(const Flow&, const Flow&) = default;
};

// Whether the flow lies within both sides of the pair.
[[nodiscard]] inline bool within(const SelectorPair& pair, const Flow& flow) {
  return pair.local.matches(flow.local, flow.protocol, flow.local_port) &&
         pair.remote.matches(flow.remote, flow.protocol, flow.remote_port);
}

template <typename T>
class SelectorTable {
 public:
  // Both sides of `pair` are of one family.
  void insert(const SelectorPair& pair, const T& value) {
    for (const SelectorPair& part : pair.subnet_pairs()) insert_part(part, Entry{pair, value});
  }

  // The entry with exactly this pair and value, if there is one.
  void erase(const SelectorPair& pair, const T& value) {
    for (const SelectorPair& part : pair.subnet_pairs()) erase_part(part, pair, value);
  }

  // Valid until the next insert or erase; null: no policy.
  [[nodiscard]] const T* find(const Flow& flow) const {
    for (const Group& group : groups_) {
      if (group.shape.family != flow.remote.family() || flow.local.family() != flow.remote.family()) continue;
      const Key key{Subnet(flow.remote, group.shape.remote_prefix).address(),
                    Subnet(flow.local, group.shape.local_prefix).address()};
      const auto bucket = group.entries.find(key);
      if (bucket == group.entries.end()) continue;
      for (const Entry& entry : bucket->second) {
        if (within(entry.pair, flow)) return &entry.value;
      }
    }
    return nullptr;
  }

 private:
  struct Shape {
    int remote_prefix = 0;
    int local_prefix = 0;
    Family family{};
    friend auto operator<=>(const Shape&, const Shape&) = default;
  };
  struct Key {
    IpAddress remote;
    IpAddress local;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const noexcept {
      return std::hash<IpAddress>{}(key.remote) * 31 + std::hash<IpAddress>{}(key.local);
    }
  };
  struct Entry {
    SelectorPair pair;
    T value;
  };
  struct Group {
    Shape shape;
    std::unordered_map<Key, std::vector<Entry>, KeyHash> entries;  // each list: most specific first
  };

  static Shape shape_of(const SelectorPair& pair) {
    return {pair.remote.subnet.prefix(), pair.local.subnet.prefix(), pair.remote.subnet.family()};
  }
  static Key key_of(const SelectorPair& pair) {
    return {pair.remote.subnet.address(), pair.local.subnet.address()};
  }
  // How much of protocol and ports is fixed.
  static int rank_of(const SelectorPair& pair) {
    return (pair.remote.port != 0) + (pair.local.port != 0) + (pair.remote.protocol != 0) +
           (pair.local.protocol != 0);
  }

  // `part`: subnets within the entry's pair.
  void insert_part(const SelectorPair& part, const Entry& fresh) {
    std::vector<Entry>& entries = group_of(part).entries[key_of(part)];
    const auto behind = [&](const Entry& entry) {
      const int rank = rank_of(entry.pair);
      return rank < rank_of(fresh.pair) ||
             (rank == rank_of(fresh.pair) && fresh.pair.narrower_than(entry.pair));
    };
    entries.insert(std::find_if(entries.begin(), entries.end(), behind), fresh);
  }

  void erase_part(const SelectorPair& part, const SelectorPair& pair, const T& value) {
    const auto group = std::find_if(groups_.begin(), groups_.end(), [&](const Group& candidate) {
      return candidate.shape == shape_of(part);
    });
    if (group == groups_.end()) return;
    const auto bucket = group->entries.find(key_of(part));
    if (bucket == group->entries.end()) return;
    std::vector<Entry>& entries = bucket->second;
    const auto found = std::find_if(entries.begin(), entries.end(), [&](const Entry& entry) {
      return entry.pair == pair && entry.value == value;
    });
    if (found != entries.end()) entries.erase(found);
    if (entries.empty()) group->entries.erase(bucket);
    if (group->entries.empty()) groups_.erase(group);
  }

  Group& group_of(const SelectorPair& pair) {
    const Shape shape = shape_of(pair);
    const auto position = std::find_if(groups_.begin(), groups_.end(),
                                       [&](const Group& group) { return group.shape <= shape; });
    if (position != groups_.end() && position->shape == shape) return *position;
    return *groups_.insert(position, Group{shape, {}});
  }

  std::vector<Group> groups_;  // most specific shape first
};

}  // namespace oakgate::soft
