// What drops inbound plaintext for protected selectors where the kernel has no XFRM: the guard's policies as
// rules of a table of our own. For guard*.cc alone; the software plane's policies only (they block or allow).
//
//   table inet oakgate {
//     chain input   { type filter hook input priority raw;
//                     iiftype loopback accept; iif oakgate0 accept;
//                     meta l4proto esp accept; meta l4proto ah accept;
//                     udp dport 500 accept; udp dport 4500 accept      IKE, ESP and AH are no plaintext
//                     ip saddr 10.2.0.0/24 ip daddr 10.1.0.0/24 drop   the policies, the lowest priority
//                     first
//     }
//     chain forward { type filter hook forward priority raw; iif oakgate0 accept; the same policies }
//   }
//
// Every change writes the table anew, in one transaction: no packet meets half of it, and a table that
// somebody flushed comes back. The table stays after a kill -9. The next start leaves it in place, writes its
// own under the other name of kGuardTables, and takes the old one away at release_leftovers(). Packets pass
// the rules one by one, and writing takes the longer the more there are: good for some hundred selector
// pairs, not for thousands.
#pragma once

#include <array>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "ike/base/result.h"
#include "xfrm/netlink/nftables.h"
#include "xfrm/netlink/xfrm_policy.h"

namespace oakgate {

inline constexpr std::array<const char*, 2> kGuardTables = {"oakgate", "oakgate-next"};

class NftGuard {
 public:
  // `tunnel_ifindex`: what comes from there has passed the plane's own checks. An error if the kernel lacks
  // something; it was tried out. Works in the calling thread's namespace from then on.
  [[nodiscard]] static Result<NftGuard> open(unsigned tunnel_ifindex);

  // Takes some away, adds others or replaces those with the same key: all of it or none. Policies that judge
  // outbound packets are passed over.
  [[nodiscard]] Result<void> change(const std::vector<XfrmPolicy>& put, const std::vector<XfrmPolicy>& drop);
  // Writes these anew and no others, whatever is there: after an error nobody knows.
  [[nodiscard]] Result<void> write_anew(const std::vector<XfrmPolicy>& all);
  // Takes away what a killed run left.
  [[nodiscard]] Result<void> release_leftovers();

 private:
  using Policies = std::map<XfrmPolicy, XfrmPolicy>;  // by key
  explicit NftGuard(nft::Connection kernel, unsigned tunnel_ifindex)
      : kernel_(std::move(kernel)), tunnel_ifindex_(tunnel_ifindex) {}
  [[nodiscard]] Result<void> write(const std::string& table, const Policies& policies, bool keep);

  nft::Connection kernel_;
  unsigned tunnel_ifindex_;
  std::string table_ = kGuardTables[0];
  std::string leftover_;  // a table of a killed run; empty: none
  Policies policies_;
};

// Without an NftGuard, on a kernel that has XFRM now: takes a killed run's tables away, in the calling
// thread's namespace.
void remove_guard_tables();

}  // namespace oakgate
