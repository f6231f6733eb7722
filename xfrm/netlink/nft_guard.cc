#include "xfrm/netlink/nft_guard.h"

#include <arpa/inet.h>
#include <linux/if_arp.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "xfrm/netlink/netlink_message.h"
#include "xfrm/netlink/nftables.h"

namespace oakgate {

namespace {

constexpr int kPriorityRaw = -300;  // NF_IP_PRI_RAW: before anything that judges
constexpr const char* kProbeTable = "oakgate-probe";
constexpr std::uint16_t kIkePort = 500;
constexpr std::uint16_t kEncapsulationPort = 4500;

struct Chain {
  PolicyDirection direction;
  const char* name;
  std::uint32_t hook;
};
constexpr Chain kChains[] = {{PolicyDirection::in, "input", NF_INET_LOCAL_IN},
                             {PolicyDirection::forward, "forward", NF_INET_FORWARD}};

template <typename Value>
ByteView raw(const Value& value) {
  return {reinterpret_cast<const std::uint8_t*>(&value), sizeof(value)};
}

Bytes port_is(std::uint32_t offset, std::uint16_t port) {
  const std::uint16_t as_it_travels = htons(port);
  return nft::payload_is(NFT_PAYLOAD_TRANSPORT_HEADER, offset, raw(as_it_travels));
}
Bytes protocol_is(std::uint8_t protocol) {
  return nft::meta_is(NFT_META_L4PROTO, raw(protocol));
}

// The address at `offset` of the IP header lies in the subnet; nothing to ask for everything.
Bytes address_within(std::uint32_t offset, const Subnet& subnet) {
  if (subnet.prefix() == 0) return {};
  const ByteView address = subnet.address().bytes();
  Bytes mask(address.size());
  for (int bit = 0; bit < subnet.prefix(); ++bit) {
    mask[static_cast<std::size_t>(bit) / 8] |= static_cast<std::uint8_t>(0x80 >> bit % 8);
  }
  return nft::payload_is(NFT_PAYLOAD_NETWORK_HEADER, offset, address, subnet.is_host() ? ByteView{} : mask);
}

// Fragments behind the first: RFC 791 section 3.1, RFC 8200 section 4.5. The first one shows its ports.
Bytes is_later_fragment(Family family) {
  const std::array<std::uint8_t, 2> offset_v4 = {0x1f, 0xff};
  const std::array<std::uint8_t, 2> offset_v6 = {0xff, 0xf8};
  return family == Family::ipv4 ? nft::payload_has(NFT_PAYLOAD_NETWORK_HEADER, 6, offset_v4)
                                : nft::extension_has(IPPROTO_FRAGMENT, 2, offset_v6);
}

// Ports, or what stands for one: see XfrmPolicy::source.
Bytes ports_are(const XfrmPolicy& policy) {
  const std::uint16_t source = policy.source.port;
  if (policy.source.protocol == IPPROTO_ICMPV6 && source != 0) {
    const auto type = static_cast<std::uint8_t>(source);
    return nft::payload_is(NFT_PAYLOAD_TRANSPORT_HEADER, 0, raw(type));
  }
  const std::uint16_t destination = policy.destination.port;
  return join(
      {source != 0 ? port_is(0, source) : Bytes{}, destination != 0 ? port_is(2, destination) : Bytes{}});
}

nft::Rule rule_of(const XfrmPolicy& policy) {
  const Family family = policy.source.subnet.family();
  const bool v4 = family == Family::ipv4;
  const auto version = static_cast<std::uint8_t>(v4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
  const std::uint8_t protocol = policy.source.protocol;
  return join({nft::meta_is(NFT_META_NFPROTO, raw(version)),
               address_within(v4 ? 12 : 8, policy.source.subnet),
               address_within(v4 ? 16 : 24, policy.destination.subnet),
               protocol != 0 ? protocol_is(protocol) : Bytes{},
               policy.fragments ? is_later_fragment(family) : ports_are(policy),
               nft::verdict(policy.action == PolicyAction::block ? NF_DROP : NF_ACCEPT)});
}

// What no policy judges: our own packets, those out of tunnels, and to this host IKE, ESP and AH.
std::vector<nft::Rule> head_rules(PolicyDirection direction, unsigned tunnel_ifindex) {
  const Bytes accept = nft::verdict(NF_ACCEPT);
  std::vector<nft::Rule> rules = {join({nft::meta_is(NFT_META_IIF, tunnel_ifindex), accept})};
  if (direction != PolicyDirection::in) return rules;
  constexpr std::uint16_t kLoopback = ARPHRD_LOOPBACK;
  rules.push_back(join({nft::meta_is(NFT_META_IIFTYPE, raw(kLoopback)), accept}));
  rules.push_back(join({protocol_is(IPPROTO_ESP), accept}));
  rules.push_back(join({protocol_is(IPPROTO_AH), accept}));
  for (const std::uint16_t port : {kIkePort, kEncapsulationPort}) {
    rules.push_back(join({protocol_is(IPPROTO_UDP), port_is(2, port), accept}));
  }
  return rules;
}

Error nft_error(int error) {
  return {ErrorCode::data_plane,
          std::string("plaintext from outside for protected subnets cannot be dropped by nftables: ") +
              std::strerror(error),
          "a kernel with nftables for IPv4 and IPv6 (CONFIG_NF_TABLES_INET), or with XFRM",
          "`modprobe nf_tables`, or drop it by a firewall rule for each remote subnet",
          {}};
}

Result<void> outcome(int error) {
  if (error == 0) return {};
  return fail(nft_error(error));
}

}  // namespace

Result<NftGuard> NftGuard::open(unsigned tunnel_ifindex) {
  nft::Connection kernel;
  if (const int error = kernel.open(); error != 0) return fail(nft_error(error));
  NftGuard guard(std::move(kernel), tunnel_ifindex);
  // Everything a rule may hold, for both families, written and taken away at once.
  Policies tried;
  for (const char* everything : {"192.0.2.0/24", "2001:db8::/32"}) {
    XfrmPolicy policy;
    policy.direction = PolicyDirection::forward;
    policy.source = policy.destination = {*Subnet::parse(everything), IPPROTO_UDP, 0};
    policy.fragments = true;
    tried.emplace(policy, policy);
  }
  if (auto worked = guard.write(kProbeTable, tried, false); !worked) return fail(std::move(worked.error()));
  if (guard.kernel_.find_table(NFPROTO_INET, kGuardTables[0]) == 0) {
    guard.leftover_ = kGuardTables[0];
    guard.table_ = kGuardTables[1];
  } else if (guard.kernel_.find_table(NFPROTO_INET, kGuardTables[1]) == 0) {
    guard.leftover_ = kGuardTables[1];
  }
  return guard;
}

Result<void> NftGuard::write(const std::string& table, const Policies& policies, bool keep) {
  std::vector<const XfrmPolicy*> in_order;
  in_order.reserve(policies.size());
  for (const auto& [key, policy] : policies) in_order.push_back(&policy);
  std::stable_sort(in_order.begin(), in_order.end(),
                   [](const XfrmPolicy* a, const XfrmPolicy* b) { return a->priority < b->priority; });
  nft::Transaction transaction(NFPROTO_INET);
  transaction.replace_table(table);
  for (const Chain& chain : kChains) {
    transaction.add_chain(table, chain.name, chain.hook, kPriorityRaw);
    for (const nft::Rule& rule : head_rules(chain.direction, tunnel_ifindex_)) {
      transaction.add_rule(table, chain.name, rule);
    }
    for (const XfrmPolicy* policy : in_order) {
      if (policy->direction == chain.direction) transaction.add_rule(table, chain.name, rule_of(*policy));
    }
  }
  if (!keep) transaction.remove_table(table);
  return outcome(kernel_.commit(transaction));
}

Result<void> NftGuard::change(const std::vector<XfrmPolicy>& put, const std::vector<XfrmPolicy>& drop) {
  Policies changed = policies_;
  for (const XfrmPolicy& policy : drop) changed.erase(policy.key());
  for (const XfrmPolicy& policy : put) {
    if (policy.direction != PolicyDirection::out) changed[policy.key()] = policy;
  }
  if (changed == policies_) return {};
  if (auto done = write(table_, changed, !changed.empty()); !done) return done;
  policies_ = std::move(changed);
  return {};
}

Result<void> NftGuard::write_anew(const std::vector<XfrmPolicy>& all) {
  Policies wanted;
  for (const XfrmPolicy& policy : all) {
    if (policy.direction != PolicyDirection::out) wanted[policy.key()] = policy;
  }
  if (auto done = write(table_, wanted, !wanted.empty()); !done) return done;
  policies_ = std::move(wanted);
  return {};
}

Result<void> NftGuard::release_leftovers() {
  const std::string table = leftover_;
  if (table.empty()) return {};
  nft::Transaction transaction(NFPROTO_INET);
  transaction.add_table(table);  // so that one which is not there is no error
  transaction.remove_table(table);
  auto released = outcome(kernel_.commit(transaction));
  if (released) leftover_.clear();
  return released;
}

void remove_guard_tables() {
  nft::Connection kernel;
  if (kernel.open() != 0) return;
  for (const char* table : kGuardTables) {
    if (kernel.find_table(NFPROTO_INET, table) != 0) continue;
    nft::Transaction transaction(NFPROTO_INET);
    transaction.remove_table(table);
    (void)kernel.commit(transaction);  // gone in between, perhaps
  }
}

}  // namespace oakgate
