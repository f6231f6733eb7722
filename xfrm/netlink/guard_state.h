// The guard's inside: what it holds, and the steps its public functions are made of. For guard*.cc alone.
#pragma once

#include <span>

#include "xfrm/netlink/guard.h"
#include "xfrm/netlink/guard_plan.h"
#include "xfrm/netlink/nft_guard.h"
#include "xfrm/netlink/policy_hash.h"
#include "xfrm/netlink/second_look.h"
#include "xfrm/netlink/subnet_counts.h"
#include "xfrm/netlink/tunnel_interfaces.h"
#include "xfrm/netlink/unique_fd.h"

namespace oakgate {

struct GuardTableKey {
  Subnet local;
  std::uint8_t protocol = 0;
  friend auto operator<=>(const GuardTableKey&, const GuardTableKey&) = default;
};
[[nodiscard]] inline std::vector<GuardTableKey> table_keys(const ProtectPolicy& policy) {
  std::vector<GuardTableKey> keys;
  if (policy.ties.steered()) return keys;  // what leads to it is the operator's
  for (const Subnet& local : policy.selectors.local.subnets())
    keys.push_back({local, policy.selectors.local.protocol});
  return keys;
}
// What two pairs cannot both have.
struct GuardKey {
  SelectorPair selectors;  // canonical
  PacketMark mark;
  std::uint32_t if_id = 0;
  friend auto operator<=>(const GuardKey&, const GuardKey&) = default;
};
[[nodiscard]] inline GuardKey guard_key(const ProtectPolicy& policy) {
  return {policy.selectors.canonical(), policy.ties.mark, policy.ties.if_id()};
}
struct GuardTable {
  std::uint32_t id = 0;
  std::size_t users = 0;
  bool ruled = false;  // the kernel has its rule
};

// What the kernel tells routes of ours apart by.
struct GuardRouteKey {
  std::uint32_t table = 0;
  Subnet destination;
  std::uint32_t metric = 0;
  friend auto operator<=>(const GuardRouteKey&, const GuardRouteKey&) = default;
};
inline GuardRouteKey key_of(const Route& route) {
  return {route.table, route.destination, route.metric};
}

// What several may want of one: the owner with the lowest reqid decides what it looks like.
struct GuardRoute {
  std::map<std::uint32_t, Route> owners;
  bool placed = false;  // the kernel has the first owner's
  [[nodiscard]] const Route& wanted() const { return owners.begin()->second; }
};

struct GuardPair {
  ProtectPolicy policy;
  std::vector<GuardTableKey> table_keys;  // one for each local subnet
  std::vector<Route> routes;
  std::vector<XfrmPolicy> policies;
  std::optional<unsigned> interface {};  // the index of the xfrm device that it uses
};

// What a pair wants of a policy that others may want, too: parts of ranges may coincide.
struct GuardClaim {
  Reqid reqid;
  SelectorPair selectors;
  XfrmPolicy policy;
  [[nodiscard]] bool before(const GuardClaim& other) const {
    if (selectors.narrower_than(other.selectors)) return true;
    return !other.selectors.narrower_than(selectors) && reqid < other.reqid;
  }
};

// Remembers the first error of a sequence that goes on regardless.
class FirstError {
 public:
  void note(Result<void> result) {
    if (!result && first_) first_ = std::move(result);
  }
  [[nodiscard]] Result<void> result() && { return std::move(first_); }

 private:
  Result<void> first_;
};

struct Guard::State {
  Routing routing;
  std::unique_ptr<AddressMonitor> monitor;
  std::optional<NetlinkSocket> xfrm;  // none: a kernel without XFRM
  std::optional<unsigned> tunnel_ifindex;
  std::optional<TunnelInterfaces> interfaces;  // the kernel plane's
  std::optional<NftGuard> nftables;            // instead of XFRM's policies, on the software plane

  std::map<Reqid, GuardPair> pairs;
  std::map<GuardKey, Reqid> selectors;
  // By policy key; the kernel has the first one's, whose selectors are the narrowest.
  std::map<XfrmPolicy, std::vector<GuardClaim>> claims;
  std::map<GuardTableKey, GuardTable> tables;
  std::map<GuardRouteKey, GuardRoute> routes;
  std::set<Family> framed;           // those whose frame_rules() are wanted
  std::set<Family> frames_standing;  // and there
  std::set<XfrmPolicy>
      standing;  // policies of no single pair: TUN, Neighbor Discovery, exemptions, fragments
  std::set<std::uint32_t> slots;  // indices in use by them
  std::vector<Route> throws;
  std::vector<Subnet> exempt;  // networks of ours and of the link: no wide remote subnet takes them
  std::set<Reqid> wide;        // pairs whose remote subnet holds one of them, or a peer
  std::multiset<IpAddress> peers;
  std::map<IpAddress, std::size_t> gateways;  // our own, how many pairs each; without the unknown one
  SubnetCounts remotes;                       // of every pair
  bool looks_for_peers = false;               // which networks are ours depends on where the peers are
  bool policies_hashed = false;               // the kernel hashes policies as we want it

  // Ours, and nobody's now: of a killed run, or what could not be removed.
  std::map<XfrmPolicy, XfrmPolicy> leftover_policies;  // by key
  std::multimap<GuardRouteKey, Route> leftover_routes;
  std::set<Rule> leftover_rules;
  bool after_a_kill = false;
  bool released = false;  // the killed run's need not wait any more

  // Something failed: what the kernel holds of ours is compared with what is wanted, until it is the same.
  std::map<Reqid, ProtectPolicy> pending;  // could not be guarded, and will be
  bool in_doubt = false;
  bool policies_in_doubt = false;  // XFRM's; before the next is added, the kernel is asked
  bool unfinished = false;         // something may be as it is, or have failed: to be seen
  bool told = false;               // the operator
  long patience = 1;               // seconds to the next attempt
  std::optional<SecondLook> second_look{};
  UniqueFd poll{};  // epoll over the monitor and the second look

  [[nodiscard]] bool software() const { return tunnel_ifindex.has_value(); }

  // --- routes and rules
  Result<void> want(std::uint32_t owner, const Route& route);
  Result<void> place(GuardRoute& route);
  Result<void> take_away(const Route& route);
  Result<void> unwant(std::uint32_t owner, const Route& route);
  Result<void> frame(Family family);
  std::uint32_t table_for(const GuardTableKey& key);
  // Returns those that have no rule yet.
  std::vector<GuardTableKey> use_tables(const ProtectPolicy& policy);
  Result<void> add_rules(std::span<const GuardTableKey> keys);
  Result<void> leave_tables(std::span<const GuardTableKey> keys);
  std::optional<unsigned> device_for(const ProtectPolicy& policy);
  std::vector<Route> routes_for(const GuardPair& pair);
  std::vector<Route> interface_routes(const GuardPair& pair);
  Result<void> use_interface(GuardPair& pair, const GuardPair& old);
  Result<void> set_routes(Reqid reqid, GuardPair& pair);

  // --- policies
  Result<void> claim(const ProtectPolicy& policy, std::span<const XfrmPolicy> wanted);
  Result<void> give_up(Reqid reqid, std::span<const XfrmPolicy> policies);
  Result<void> put_policies(const std::vector<XfrmPolicy>& wanted, const std::vector<XfrmPolicy>& previous);
  Result<void> drop_policies(std::span<const XfrmPolicy> policies);
  Result<void> set_standing(const std::set<XfrmPolicy>& wanted);
  Result<void> settle_policies();
  void hash_policies();
  void unhash_policies();

  // --- exemptions
  void count(const ProtectPolicy& policy, bool add);
  [[nodiscard]] bool holds_peer(const Subnet& remote) const;
  [[nodiscard]] bool concerns_exemptions(const ProtectPolicy& policy) const;
  [[nodiscard]] bool concerns_exemptions(const ProtectPolicy& before, const ProtectPolicy& now) const;
  std::vector<Subnet> find_own_networks();
  [[nodiscard]] bool leads_outside(unsigned ifindex);
  void plan_exemptions(Reqid reqid, const Subnet& remote, std::span<const GuardTableKey> locals,
                       std::set<XfrmPolicy>& policies, std::set<Route>& wanted);
  Result<void> mend_exemptions();

  // --- after an error
  Result<void> protect(const ProtectPolicy& policy);
  Result<void> mend();
  Result<void> compare_routes();
  Result<void> compare_rules();
  Result<void> drop_leftovers();
  void look_later();
  // Where a peer is reached; an answer that is none is asked for again later.
  std::optional<unsigned> device_towards(const IpAddress& peer);
  // The result, and if it is an error, another look at once.
  Result<void> or_look_again(Result<void> result);

  // Everything of all pairs, together: thousands of them have as many policies and routes each.
  Result<void> leave_all();
  Result<void> watch();
  Result<void> take_stock();
  Result<void> forget_states();
};

}  // namespace oakgate
