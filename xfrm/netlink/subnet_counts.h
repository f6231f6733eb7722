// A multiset of subnets that tells whether any of them holds an address: as many look-ups as there are
// different prefix lengths, however many subnets there are.
#pragma once

#include <map>
#include <unordered_map>
#include <utility>

#include "ike/base/net.h"

namespace oakgate {

class SubnetCounts {
 public:
  void add(const Subnet& subnet) { ++by_length_[{subnet.family(), subnet.prefix()}][subnet.address()]; }
  // One that is not there is no error.
  void remove(const Subnet& subnet) {
    const auto length = by_length_.find({subnet.family(), subnet.prefix()});
    if (length == by_length_.end()) return;
    const auto found = length->second.find(subnet.address());
    if (found == length->second.end() || --found->second > 0) return;
    length->second.erase(found);
    if (length->second.empty()) by_length_.erase(length);
  }
  [[nodiscard]] bool hold(const IpAddress& address) const {
    for (const auto& [length, subnets] : by_length_) {
      if (length.first == address.family() && subnets.contains(Subnet(address, length.second).address()))
        return true;
    }
    return false;
  }

 private:
  std::map<std::pair<Family, int>, std::unordered_map<IpAddress, std::size_t>> by_length_;
};

}  // namespace oakgate
