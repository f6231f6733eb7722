// Which configured peers may call from an address: the most specific subnet first, in one subnet the order of
// the configuration. As many look-ups as there are different prefix lengths, however many peers there are.
#pragma once

#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ike/base/net.h"

namespace oakgate::ike {

struct Peer;

class SourceIndex {
 public:
  // In the order of the configuration. A peer stays valid until the index is made anew.
  void add(const Subnet& subnet, Peer& peer) {
    by_length_[{subnet.family(), -subnet.prefix()}][subnet.address()].push_back(&peer);
  }
  // The first that `fits`; null: none.
  template <typename Fits>
  [[nodiscard]] Peer* find(const IpAddress& source, const Fits& fits) const {
    const auto end = by_length_.upper_bound({source.family(), 0});
    for (auto length = by_length_.lower_bound({source.family(), -source.bits()}); length != end; ++length) {
      const auto peers = length->second.find(Subnet(source, -length->first.second).address());
      if (peers == length->second.end()) continue;
      for (Peer* peer : peers->second) {
        if (fits(*peer)) return peer;
      }
    }
    return nullptr;
  }

 private:
  // Prefix lengths negated: the longest comes first.
  std::map<std::pair<Family, int>, std::unordered_map<IpAddress, std::vector<Peer*>>> by_length_;
};

}  // namespace oakgate::ike
